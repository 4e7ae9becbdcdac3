/**
 * Reads what an MP4 says about itself while it streams by (ISO/IEC 14496-12): the box `moov` is kept, everything else
 * is counted and let go. Whoever made the file may have made it to cost us time or memory: both are bounded.
 */

export interface Mp4 {
  /** Of the picture, not of a longer sound. Null for a fragmented file that does not state it. */
  durationMilliseconds: number | null;
  /** As it is shown, turned where the file says so; no more than it is made of. */
  width: number;
  height: number;
  /** The code of the picture's format, such as `avc1` (mp4ra.org). Null where the file names none. */
  codec: string | null;
  /** Pictures in it. Null for a fragmented file, which states them piece by piece. */
  frames: number | null;
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

/** Times from `mvhd` and the headers of the video track, its size and codec from its sample description (`stsd`). */
function describe(movie: Uint8Array): Mp4 | null {
  try {
    const movieHeader = find(movie, (type) => type === "mvhd");
    const track = find(movie, (type, body) => type === "trak" && isVideo(body));
    const trackHeader = track && find(track, (type) => type === "tkhd");
    if (!movieHeader || !track || !trackHeader) return null;
    const timescale = viewOf(movieHeader).getUint32(isLong(movieHeader) ? 20 : 12);
    const shown = shownSize(trackHeader);
    if (timescale === 0 || shown.width === 0 || shown.height === 0) return null;

    const table = findIn(track, ["mdia", "minf", "stbl"]);
    const sample = table && firstSample(table);
    const fragments = find(movie, (type) => type === "mvex");
    const whole = fragments && find(fragments, (type) => type === "mehd");
    const durations = [
      timeAt(trackHeader, 20, 28),
      timeAt(movieHeader, 16, 24),
      ...(whole ? [timeAt(whole, 4, 4)] : []),
    ];
    const milliseconds = durations.map((duration) => Math.round(duration / timescale * 1000));
    return {
      durationMilliseconds: milliseconds.find((each) => each > 0 && each <= maxMilliseconds) ?? null,
      ...smaller(shown, sample),
      codec: sample?.codec ?? null,
      frames: fragments === undefined && table !== undefined ? countSamples(table) : null,
    };
  } catch (error) {
    // A box that is cut off, or lies about its size, is read beyond its end.
    if (error instanceof RangeError) return null;
    throw error;
  }
}

interface Size {
  width: number;
  height: number;
}

/** The last 44 bytes of a `tkhd` are a matrix of nine numbers, and width and height in 16.16 fixed point. */
function shownSize(trackHeader: Uint8Array): Size {
  const end = viewOf(trackHeader.subarray(trackHeader.length - 44));
  const [width, height] = [end.getUint16(36), end.getUint16(40)];
  // By a quarter: x takes no part in x any more.
  const isTurned = end.getInt32(0) === 0 && end.getInt32(4) !== 0;
  return isTurned ? { width: height, height: width } : { width, height };
}

/** A picture of fewer pixels both ways is only blown up when it is shown; of fewer one way it has wide pixels. */
function smaller(shown: Size, made: Size | null | undefined): Size {
  if (!made || made.width === 0 || made.height === 0) return shown;
  const isTurned = (made.width > made.height) !== (shown.width > shown.height);
  const [width, height] = isTurned ? [made.height, made.width] : [made.width, made.height];
  return width < shown.width && height < shown.height ? { width, height } : shown;
}

function isLong(header: Uint8Array): boolean {
  return viewOf(header).getUint8(0) === 1;
}

/** A time of a header, which has 64 bits in its version 1. */
function timeAt(header: Uint8Array, offset: number, longOffset: number): number {
  const view = viewOf(header);
  return isLong(header) ? Number(view.getBigUint64(longOffset)) : view.getUint32(offset);
}

/** What the track's samples are, from its sample table; null where it has no description. */
function firstSample(table: Uint8Array): Size & { codec: string | null } | null {
  const descriptions = find(table, (type) => type === "stsd");
  // Version and count come before the first, which begins with its size and type.
  if (descriptions === undefined || descriptions.length < 8 + 8 + 28) return null;
  const sample = viewOf(descriptions.subarray(8));
  const code = typeAt(descriptions, 12);
  return {
    codec: /^[\x20-\x7e]{4}$/.test(code) ? code : null,
    width: sample.getUint16(32),
    height: sample.getUint16(34),
  };
}

function countSamples(table: Uint8Array): number {
  // Both have the count in the same place, after version and size.
  const sizes = find(table, (type) => type === "stsz" || type === "stz2");
  // No video has more than the database can count.
  return sizes === undefined ? 0 : Math.min(viewOf(sizes).getUint32(8), 2 ** 31 - 1);
}

/** The body of a box in a box in a box. */
function findIn(container: Uint8Array, path: readonly string[]): Uint8Array | undefined {
  return path.reduce<Uint8Array | undefined>(
    (found, name) => found && find(found, (type) => type === name),
    container,
  );
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
