/**
 * Reads what an MP4 says about itself while it streams by (ISO/IEC 14496-12): the box `moov` is kept, everything else
 * is counted and let go. Whoever made the file may have made it to cost us time or memory: both are bounded.
 */

export interface Mp4 {
  /** Null for a fragmented file that does not state it. */
  durationMilliseconds: number | null;
  width: number;
  height: number;
}

export interface Mp4Reader {
  /** False as soon as this cannot become an MP4, whatever follows. */
  push(chunk: Uint8Array): boolean;
  /** Null for what is no whole, playable MP4 with a picture. */
  finish(): Mp4 | null;
}

/** An hour of video has a `moov` of about 1 MB. */
const maxMovieBoxBytes = 4 * 1024 * 1024;

/** A fragmented file has two boxes for each fragment of a second or more: here, hours of them. */
const maxBoxes = 20_000;

/** No provider makes a day of video. All bits set, which means "unknown", comes to more as well. */
const maxMilliseconds = 24 * 60 * 60_000;

/** Reads one file; what it needs of it is kept, up to 4 MB. */
export function readMp4(): Mp4Reader {
  const header = new Uint8Array(16);
  let headerBytes = 0;
  let boxes = 0;
  let type = "";
  /** Bytes of the current box that are still to come. */
  let remaining = 0;
  let movie: Uint8Array | null = null;
  let hasMedia = false;
  let isBroken = false;

  function beginBox(): void {
    const view = viewOf(header);
    const size = view.getUint32(0);
    type = typeAt(header, 4);
    // A size of 0 is a last box that goes on until the end of the file.
    remaining = size === 0 ? Infinity : (size === 1 ? Number(view.getBigUint64(8)) : size) - headerBytes;
    headerBytes = 0;
    boxes += 1;
    isBroken = remaining < 0 || boxes > maxBoxes || (boxes === 1 && type !== "ftyp") ||
      (type === "moov" && (movie !== null || remaining > maxMovieBoxBytes));
    if (type === "moov" && !isBroken) movie = new Uint8Array(remaining);
    hasMedia ||= type === "mdat";
  }

  return {
    push(chunk) {
      let rest = chunk;
      while (rest.length > 0 && !isBroken) {
        const isInBox = remaining > 0;
        const part = rest.subarray(0, isInBox ? remaining : headerLength(header, headerBytes) - headerBytes);
        rest = rest.subarray(part.length);
        if (isInBox) {
          if (type === "moov") movie?.set(part, movie.length - remaining);
          remaining -= part.length;
        } else {
          header.set(part, headerBytes);
          headerBytes += part.length;
          if (headerBytes === headerLength(header, headerBytes)) beginBox();
        }
      }
      return !isBroken;
    },
    finish() {
      const isWhole = !isBroken && headerBytes === 0 && (remaining === 0 || remaining === Infinity);
      return isWhole && hasMedia && movie !== null ? describe(movie) : null;
    },
  };
}

/** Of a header whose first bytes are known: a size of 1 says that the real one follows the type, in 8 bytes more. */
function headerLength(header: Uint8Array, known: number): number {
  return known >= 8 && viewOf(header).getUint32(0) === 1 ? 16 : 8;
}

/** The duration from `mvhd`, the size of the picture from the `tkhd` of the video track. */
function describe(movie: Uint8Array): Mp4 | null {
  try {
    const movieHeader = find(movie, (type) => type === "mvhd");
    const track = find(movie, (type, body) => type === "trak" && isVideo(body));
    const trackHeader = track && find(track, (type) => type === "tkhd");
    if (!movieHeader || !trackHeader) return null;

    const view = viewOf(movieHeader);
    const isLong = view.getUint8(0) === 1;
    const timescale = view.getUint32(isLong ? 20 : 12);
    const duration = isLong ? Number(view.getBigUint64(24)) : view.getUint32(16);
    // Width and height are the last eight bytes, in 16.16 fixed point.
    const picture = viewOf(trackHeader.subarray(trackHeader.length - 8));
    const width = picture.getUint16(0);
    const height = picture.getUint16(4);
    if (timescale === 0 || width === 0 || height === 0) return null;
    const milliseconds = Math.round(duration / timescale * 1000);
    const isStated = milliseconds > 0 && milliseconds <= maxMilliseconds;
    return { durationMilliseconds: isStated ? milliseconds : null, width, height };
  } catch (error) {
    // A box that is cut off, or lies about its size, is read beyond its end.
    if (error instanceof RangeError) return null;
    throw error;
  }
}

function isVideo(track: Uint8Array): boolean {
  const media = find(track, (type) => type === "mdia");
  const handler = media && find(media, (type) => type === "hdlr");
  return handler !== undefined && typeAt(handler, 8) === "vide";
}

/** The body of the first box in a container that is meant. Throws a RangeError for a box that is longer than it. */
function find(
  container: Uint8Array,
  isMeant: (type: string, body: Uint8Array) => boolean,
): Uint8Array | undefined {
  for (let offset = 0; offset + 8 <= container.length;) {
    const rest = container.subarray(offset);
    const length = headerLength(rest, rest.length);
    const view = viewOf(rest);
    const size = length === 16 ? Number(view.getBigUint64(8)) : view.getUint32(0) || rest.length;
    if (size < length || size > rest.length) throw new RangeError("A box is longer than what holds it");
    const type = typeAt(rest, 4);
    const body = rest.subarray(length, size);
    if (isMeant(type, body)) return body;
    offset += size;
  }
  return undefined;
}

function typeAt(bytes: Uint8Array, offset: number): string {
  return String.fromCharCode(...bytes.subarray(offset, offset + 4));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
