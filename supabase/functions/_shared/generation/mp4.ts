/**
 * Reads what an MP4 says about itself while it streams by (ISO/IEC 14496-12): the boxes `ftyp` and `moov` are kept,
 * everything else is counted and let go.
 */

export interface Mp4 {
  /** Null for a fragmented file that does not state it. */
  durationMilliseconds: number | null;
  width: number;
  height: number;
}

export interface Mp4Reader {
  push(chunk: Uint8Array): void;
  /** Null for what is no whole, playable MP4 with a picture. */
  finish(): Mp4 | null;
}

/** An hour of video has a `moov` of about 1 MB. */
const largestMovieBox = 16 * 1024 * 1024;

/** Reads one file; what it needs of it is kept, up to 16 MB. */
export function readMp4(): Mp4Reader {
  const seen = new Set<string>();
  let header = new Uint8Array(0);
  let type = "";
  /** Bytes of the current box that are still to come. */
  let remaining = 0;
  let movieParts: Uint8Array[] = [];
  let isBroken = false;

  function beginBox(): void {
    const view = viewOf(header);
    const size = view.getUint32(0);
    type = typeAt(header, 4);
    // A size of 0 is a last box that goes on until the end of the file.
    remaining = size === 0 ? Infinity : (size === 1 ? Number(view.getBigUint64(8)) : size) - header.length;
    isBroken = remaining < 0 || (seen.size === 0 && type !== "ftyp") ||
      (type === "moov" && (seen.has("moov") || remaining > largestMovieBox));
    seen.add(type);
    header = new Uint8Array(0);
  }

  return {
    push(chunk) {
      let rest = chunk;
      while (rest.length > 0 && !isBroken) {
        const isBetweenBoxes = remaining === 0;
        const wanted = isBetweenBoxes ? headerLength(header) - header.length : remaining;
        const part = rest.subarray(0, Math.min(rest.length, wanted));
        rest = rest.subarray(part.length);
        if (isBetweenBoxes) {
          header = concat([header, part]);
          if (header.length === headerLength(header)) beginBox();
        } else {
          if (type === "moov") movieParts.push(part.slice());
          remaining -= part.length;
        }
      }
    },
    finish() {
      const isWhole = !isBroken && header.length === 0 && (remaining === 0 || remaining === Infinity);
      const movie = isWhole && seen.has("mdat") ? describe(concat(movieParts)) : null;
      movieParts = [];
      return movie;
    },
  };
}

/** A size and a type; a size of 1 says that the real one follows in 8 bytes more. */
function headerLength(header: Uint8Array): number {
  return header.length >= 8 && viewOf(header).getUint32(0) === 1 ? 16 : 8;
}

/** The duration from `mvhd`, the size of the picture from the `tkhd` of the video track. */
function describe(movie: Uint8Array): Mp4 | null {
  try {
    const boxes = [...boxesIn(movie)];
    const track = boxes.find(({ type, body }) => type === "trak" && isVideo(body))?.body;
    const movieHeader = boxes.find(({ type }) => type === "mvhd")?.body;
    const trackHeader = track === undefined ? undefined : find(track, "tkhd");
    if (movieHeader === undefined || trackHeader === undefined) return null;

    const view = viewOf(movieHeader);
    const isLong = view.getUint8(0) === 1;
    const timescale = view.getUint32(isLong ? 20 : 12);
    const duration = isLong ? Number(view.getBigUint64(24)) : view.getUint32(16);
    // Width and height are the last eight bytes, in 16.16 fixed point.
    const picture = viewOf(trackHeader.subarray(trackHeader.length - 8));
    const width = picture.getUint16(0);
    const height = picture.getUint16(4);
    if (timescale === 0 || width === 0 || height === 0) return null;
    const durationMilliseconds = duration === 0 ? null : Math.round(duration / timescale * 1000);
    return { durationMilliseconds, width, height };
  } catch (error) {
    // A box that is cut off, or lies about its size, is read beyond its end.
    if (error instanceof RangeError) return null;
    throw error;
  }
}

function isVideo(track: Uint8Array): boolean {
  const media = find(track, "mdia");
  const handler = media === undefined ? undefined : find(media, "hdlr");
  return handler !== undefined && typeAt(handler, 8) === "vide";
}

function find(container: Uint8Array, type: string): Uint8Array | undefined {
  for (const box of boxesIn(container)) if (box.type === type) return box.body;
  return undefined;
}

function* boxesIn(container: Uint8Array): Generator<{ type: string; body: Uint8Array }> {
  for (let offset = 0; offset + 8 <= container.length;) {
    const rest = container.subarray(offset);
    const length = headerLength(rest);
    const view = viewOf(rest);
    const size = length === 16 ? Number(view.getBigUint64(8)) : view.getUint32(0) || rest.length;
    if (size < length || size > rest.length) throw new RangeError("A box is longer than what holds it");
    yield { type: typeAt(rest, 4), body: rest.subarray(length, size) };
    offset += size;
  }
}

function typeAt(bytes: Uint8Array, offset: number): string {
  return String.fromCharCode(...bytes.subarray(offset, offset + 4));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
