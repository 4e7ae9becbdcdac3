/**
 * JPEG (ITU-T T.81): segments, each a marker and mostly a length, and behind each start of scan the compressed pixels, in
 * which FF is followed by 00 or by a restart marker. Only what decoding needs is kept, and of what applications add, by name,
 * what belongs to the picture.
 */
import { ascii, maxParts, notAnImage, type Picture, UnusableImage, viewOf } from "./picture.ts";
import { readOrientation, writeOrientation } from "./exif.ts";

const end = 0xd9;
const startOfScan = 0xda;
/** Tables and intervals: DHT, DQT, DRI. */
const tables = [0xc4, 0xdb, 0xdd];
/** Baseline, extended sequential and progressive, all with Huffman codes: what every decoder reads. */
const frames = [0xc0, 0xc1, 0xc2];
/** The others: lossless, differential, arithmetic. */
const otherFrames = [0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf];
/** A progressive picture has some ten. Each costs a decoder a pass over all pixels, so that thousands are an attack. */
const maxScans = 100;
const exifName = "Exif\0\0";
/** The box that C2PA keeps its manifests in: the UUID of its description. */
const c2pa = "c2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71";

/** Throws UnusableImage: `wrong_type` for what is a JPEG that not everything shows, such as CMYK, else `not_an_image`. */
export function cleanJpeg(file: Uint8Array): Picture {
  const view = viewOf(file);
  const parts = [file.subarray(0, 2)];
  let size: { width: number; height: number } | null = null;
  let orientation: number | null = null;
  let scans = 0;
  let segments = 0;
  let at = 2;
  /** Of the numbered boxes of APP11, those that are C2PA's. */
  const credentials = new Set<number>();

  while (true) {
    if (at + 2 > file.length) throw notAnImage("the JPEG has no end");
    if (file[at] !== 0xff) throw notAnImage("something else stands between two segments");
    const marker = file[at + 1] ?? 0;
    // Any number of FF may come before a marker.
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    if (marker === end) break;
    segments += 1;
    if (segments > maxParts) throw notAnImage("there are too many segments");
    if (at + 4 > file.length) throw notAnImage("the JPEG has no end");
    const length = view.getUint16(at + 2);
    const next = at + 2 + length;
    if (length < 2 || next > file.length) throw notAnImage("a segment has no end");
    const segment = file.subarray(at, next);

    if (frames.includes(marker)) {
      if (size !== null) throw notAnImage("there is a second frame");
      size = readFrame(segment);
      parts.push(segment);
    } else if (otherFrames.includes(marker)) {
      throw new UnusableImage("wrong_type", "a JPEG that not every decoder reads");
    } else if (tables.includes(marker)) {
      parts.push(segment);
    } else if (marker === startOfScan) {
      if (size === null) throw notAnImage("pixels come before their size");
      scans += 1;
      if (scans > maxScans) throw notAnImage("there are too many scans");
      const scanEnd = endOfScan(file, next);
      parts.push(file.subarray(at, scanEnd));
      at = scanEnd;
      continue;
    } else if (marker >= 0xe0 && marker <= 0xef) {
      if (marker === 0xe1 && ascii(segment, 4, 10) === exifName) {
        // The first one counts, as it does for whatever shows the picture.
        if (orientation === null) {
          orientation = readOrientation(segment.subarray(10));
          if (orientation !== 1) parts.push(exifSegment(orientation));
        }
      } else {
        const kept = applicationSegment(marker, segment, credentials);
        if (kept !== null) parts.push(kept);
      }
    } else if (marker !== 0xfe) {
      // A comment goes; all else has no place here, such as a restart, or a height that is told later.
      throw notAnImage("a marker is where none may be");
    }
    at = next;
  }

  if (size === null || scans === 0) throw notAnImage("there are no pixels");
  parts.push(file.subarray(at, at + 2));
  return { parts, ...size, orientation: orientation ?? 1 };
}

function readFrame(segment: Uint8Array): { width: number; height: number } {
  const components = segment[9] ?? 0;
  if (segment.length !== 10 + components * 3) throw notAnImage("a frame's header is malformed");
  if (segment[4] !== 8 || (components !== 1 && components !== 3)) {
    // Four are CMYK, which few programs show in the right colours, and no provider takes.
    throw new UnusableImage("wrong_type", `a JPEG of ${components} components, ${segment[4]} bits each`);
  }
  const view = viewOf(segment);
  return { height: view.getUint16(5), width: view.getUint16(7) };
}

/** Where the compressed pixels end: at the next marker that is no restart. */
function endOfScan(file: Uint8Array, from: number): number {
  for (let at = file.indexOf(0xff, from); at !== -1; at = file.indexOf(0xff, at + 1)) {
    const next = file[at + 1];
    if (next === undefined) break;
    if (next === 0 || next === 0xff || (next >= 0xd0 && next <= 0xd7)) continue;
    return at;
  }
  throw notAnImage("the pixels have no end");
}

/** What stays of an application's segment; null where nothing does. */
function applicationSegment(
  marker: number,
  segment: Uint8Array,
  credentials: Set<number>,
): Uint8Array | null {
  const is = (name: string) => ascii(segment, 4, 4 + name.length) === name;
  if (marker === 0xe0 && is("JFIF\0") && segment.length >= 18) return withoutThumbnail(segment);
  if (marker === 0xe2 && is("ICC_PROFILE\0")) return segment;
  // How the three components are to be read as colours.
  if (marker === 0xee && is("Adobe") && segment.length === 16) return segment;
  if (marker === 0xeb && is("JP") && isCredentials(segment, credentials)) return segment;
  return null;
}

/** JFIF's density; a small picture that may come with it is of a picture that is not any more. */
function withoutThumbnail(segment: Uint8Array): Uint8Array {
  const jfif = segment.slice(0, 18);
  jfif[2] = 0;
  jfif[3] = 16;
  jfif[16] = 0;
  jfif[17] = 0;
  return jfif;
}

/** A box of JUMBF may go on over many segments, of which only the first one tells what it is. */
function isCredentials(segment: Uint8Array, credentials: Set<number>): boolean {
  if (segment.length < 20) return false;
  const view = viewOf(segment);
  const box = view.getUint16(6);
  if (view.getUint32(8) === 1 && ascii(segment, 16, 20) === "jumb" && ascii(segment, 28, 44) === c2pa) {
    credentials.add(box);
  }
  return credentials.has(box);
}

function exifSegment(orientation: number): Uint8Array {
  const exif = writeOrientation(orientation);
  const segment = new Uint8Array(10 + exif.length);
  segment.set([0xff, 0xe1, 0, 8 + exif.length]);
  segment.set(new TextEncoder().encode(exifName), 4);
  segment.set(exif, 10);
  return segment;
}
