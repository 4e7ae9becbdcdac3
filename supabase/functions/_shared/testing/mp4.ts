/** Movies of a few hundred bytes, made box by box, for tests of what reads them. */

/** A box of ISO/IEC 14496-12; `size` replaces the one that it really has, 1 puts the real one into 64 bits. */
export function box(type: string, body: Uint8Array, size?: number): Uint8Array<ArrayBuffer> {
  const isLong = size === 1;
  const header = new DataView(new ArrayBuffer(isLong ? 16 : 8));
  header.setUint32(0, size ?? 8 + body.length);
  for (const [index, letter] of [...type].entries()) header.setUint8(4 + index, letter.charCodeAt(0));
  if (isLong) header.setBigUint64(8, BigInt(16 + body.length));
  return join(new Uint8Array(header.buffer), body);
}

export function join(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

export interface MovieOptions {
  /** Of `mvhd`; 1 has times of 64 bits. */
  version?: 0 | 1;
  timescale?: number;
  /** In units of the timescale. */
  duration?: bigint;
  width?: number;
  height?: number;
  /** Of the one track with a picture, which follows one with sound. */
  handler?: string;
}

/** A `moov` with a track of sound and one of pictures. */
export function movie(options: MovieOptions = {}): Uint8Array<ArrayBuffer> {
  const {
    version = 0,
    timescale = 1000,
    duration = 5000n,
    width = 1280,
    height = 720,
    handler = "vide",
  } = options;
  const movieHeader = new DataView(new ArrayBuffer(version === 1 ? 112 : 100));
  movieHeader.setUint8(0, version);
  movieHeader.setUint32(version === 1 ? 20 : 12, timescale);
  if (version === 1) movieHeader.setBigUint64(24, duration);
  else movieHeader.setUint32(16, Number(duration));
  const track = (handler: string, width: number, height: number) => {
    const trackHeader = new DataView(new ArrayBuffer(84));
    trackHeader.setUint16(76, width);
    trackHeader.setUint16(80, height);
    const handlerBox = box("hdlr", join(new Uint8Array(8), new TextEncoder().encode(handler)));
    return box("trak", join(box("tkhd", new Uint8Array(trackHeader.buffer)), box("mdia", handlerBox)));
  };
  return box(
    "moov",
    join(
      box("mvhd", new Uint8Array(movieHeader.buffer)),
      track("soun", 0, 0),
      track(handler, width, height),
    ),
  );
}

export const fileType = box("ftyp", new TextEncoder().encode("isom"));
export const media = box("mdat", new Uint8Array(100).fill(7));

/** A whole file of 5 seconds. */
export function mp4(options?: MovieOptions): Uint8Array<ArrayBuffer> {
  return join(fileType, movie(options), media);
}
