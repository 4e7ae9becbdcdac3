/** PNG (the third edition, with animations): chunks of a length, a type, data and a checksum. */
import { ascii, joined, maxParts, notAnImage, type Picture, UnusableImage, viewOf } from "./picture.ts";
import { readOrientation, writeOrientation } from "./exif.ts";

/** The picture, its colours and its measure in the world; `caBX` holds Content Credentials. All texts and times go. */
const kept = [
  ...["IHDR", "PLTE", "IDAT", "IEND", "tRNS", "bKGD", "sBIT", "pHYs"],
  ...["gAMA", "cHRM", "sRGB", "iCCP", "cICP", "mDCV", "cLLI", "caBX"],
];
const animated = ["acTL", "fcTL", "fdAT"];
/** Bits of a sample that each type of colour may have. */
const depths: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};

/** Throws UnusableImage: `wrong_type` for an animation, else `not_an_image`. */
export function cleanPng(file: Uint8Array): Picture {
  const view = viewOf(file);
  const parts = [file.subarray(0, 8)];
  let size: { width: number; height: number } | null = null;
  let orientation: number | null = null;
  let pixels = 0;
  let hasExif = false;
  let at = 8;

  for (let chunks = 1;; chunks += 1) {
    if (chunks > maxParts) throw notAnImage("there are too many chunks");
    if (at + 12 > file.length) throw notAnImage("the PNG has no end");
    const length = view.getUint32(at);
    const next = at + 12 + length;
    if (next > file.length) throw notAnImage("a chunk has no end");
    const type = ascii(file, at + 4, at + 8);
    const data = file.subarray(at + 8, at + 8 + length);
    if ((type === "IHDR") !== (size === null)) throw notAnImage("a header is missing, or there are two");
    if (animated.includes(type)) throw new UnusableImage("wrong_type", "an animated PNG");
    if (type === "IHDR") size = readHeader(data);
    if (type === "IDAT") pixels += length;
    if (type === "eXIf") {
      orientation ??= readOrientation(data);
    } else if (kept.includes(type)) {
      if (checksum(file.subarray(at + 4, next - 4)) !== view.getUint32(next - 4)) {
        throw notAnImage("a chunk is broken");
      }
      // Behind the pixels it would count as well, but not for everybody.
      if (type === "IDAT" && !hasExif && pixels === length && orientation !== null && orientation !== 1) {
        parts.push(exifChunk(orientation));
        hasExif = true;
      }
      parts.push(file.subarray(at, next));
    } else if (/^[A-Z]/.test(type)) {
      throw notAnImage("a chunk that must be understood is not known");
    }
    if (type === "IEND") break;
    at = next;
  }

  if (size === null || pixels === 0) throw notAnImage("there are no pixels");
  // It stood behind the pixels.
  if (orientation !== null && orientation !== 1 && !hasExif) parts.splice(-1, 0, exifChunk(orientation));
  return { parts, ...size, orientation: orientation ?? 1 };
}

function readHeader(data: Uint8Array): { width: number; height: number } {
  const [depth = 0, colours = 0, compression, filter, interlace = 2] = data.subarray(8);
  const isKnown = data.length === 13 && depths[colours]?.includes(depth) && compression === 0 &&
    filter === 0 &&
    interlace <= 1;
  if (!isKnown) throw notAnImage("the header is malformed");
  const view = viewOf(data);
  return { width: view.getUint32(0), height: view.getUint32(4) };
}

function exifChunk(orientation: number): Uint8Array {
  const exif = writeOrientation(orientation);
  const content = joined([new TextEncoder().encode("eXIf"), exif]);
  const frame = new DataView(new ArrayBuffer(8));
  frame.setUint32(0, exif.length);
  frame.setUint32(4, checksum(content));
  return joined([new Uint8Array(frame.buffer, 0, 4), content, new Uint8Array(frame.buffer, 4, 4)]);
}

/** CRC-32 of each byte by itself. */
const remainders = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit += 1) {
    remainder = remainder & 1 ? (remainder >>> 1) ^ 0xedb88320 : remainder >>> 1;
  }
  return remainder;
});

/** CRC-32. node:zlib has it, but not in the platform's Deno. */
export function checksum(bytes: Uint8Array): number {
  let sum = 0xffffffff;
  for (let at = 0; at < bytes.length; at += 1) {
    sum = (sum >>> 8) ^ (remainders[(sum ^ (bytes[at] ?? 0)) & 0xff] ?? 0);
  }
  return (sum ^ 0xffffffff) >>> 0;
}
