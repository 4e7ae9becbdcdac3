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
  /** Of its picture alone, in units of the timescale; not stated without it. */
  pictureDuration?: number;
  /** It is shown turned by a quarter. */
  isTurned?: boolean;
  codec?: string;
  /** How many pictures it has. */
  frames?: number;
  /** The size that its pictures are made in; that which they are shown in without it. */
  made?: { width: number; height: number };
  /** The pictures come in fragments, of this duration together where it is not null. */
  fragments?: { duration: number | null };
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
    pictureDuration = 0,
    isTurned = false,
    codec = "avc1",
    frames = 120,
    made = { width, height },
    fragments,
  } = options;
  const movieHeader = new DataView(new ArrayBuffer(version === 1 ? 112 : 100));
  movieHeader.setUint8(0, version);
  movieHeader.setUint32(version === 1 ? 20 : 12, timescale);
  if (version === 1) movieHeader.setBigUint64(24, duration);
  else movieHeader.setUint32(16, Number(duration));
  const track = (handler: string, width: number, height: number, samples: readonly Uint8Array[]) => {
    const trackHeader = new DataView(new ArrayBuffer(84));
    trackHeader.setUint32(20, handler === "soun" ? 0 : pictureDuration);
    // A matrix that leaves the picture as it is, or turns it.
    trackHeader.setInt32(40, isTurned ? 0 : 0x10000);
    trackHeader.setInt32(44, isTurned ? 0x10000 : 0);
    trackHeader.setUint16(76, width);
    trackHeader.setUint16(80, height);
    const handlerBox = box("hdlr", join(new Uint8Array(8), new TextEncoder().encode(handler)));
    const information = box("minf", box("stbl", join(...samples)));
    const header = box("tkhd", new Uint8Array(trackHeader.buffer));
    return box("trak", join(header, box("mdia", join(handlerBox, information))));
  };
  const sample = new DataView(new ArrayBuffer(78));
  sample.setUint16(24, made.width);
  sample.setUint16(26, made.height);
  const pictures = [
    box("stsd", join(new Uint8Array(8), box(codec, new Uint8Array(sample.buffer)))),
    box("stsz", words(0, 0, fragments ? 0 : frames)),
  ];
  const whole = typeof fragments?.duration === "number" ? [box("mehd", words(0, fragments.duration))] : [];
  return box(
    "moov",
    join(
      box("mvhd", new Uint8Array(movieHeader.buffer)),
      ...(fragments ? [box("mvex", join(...whole))] : []),
      track("soun", 0, 0, []),
      track(handler, width, height, pictures),
    ),
  );
}

/** Numbers of 32 bits, one after the other. */
function words(...values: number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  for (const [index, value] of values.entries()) view.setUint32(4 * index, value);
  return new Uint8Array(view.buffer);
}

export const fileType = box("ftyp", new TextEncoder().encode("isom"));
export const media = box("mdat", new Uint8Array(100).fill(7));

/** A whole file of 5 seconds. */
export function mp4(options?: MovieOptions): Uint8Array<ArrayBuffer> {
  return join(fileType, movie(options), media);
}
