/** WebP (RFC 9649): a RIFF container of chunks, each a type, a length and data, which are padded to an even length. */
import { ascii, joined, maxParts, notAnImage, type Picture, UnusableImage, viewOf } from "./picture.ts";
import { readOrientation, writeOrientation } from "./exif.ts";

/** In the order in which the format wants them; `C2PA` holds Content Credentials. */
const order = ["VP8X", "ICCP", "ALPH", "VP8 ", "VP8L", "EXIF", "C2PA"];
/** Flags of VP8X. */
const hasAnimation = 0x02;
const hasXmp = 0x04;
const hasExif = 0x08;

/** Throws UnusableImage: `wrong_type` for an animation, else `not_an_image`. */
export function cleanWebp(file: Uint8Array): Picture {
  const view = viewOf(file);
  const end = 8 + view.getUint32(4, true);
  if (end > file.length) throw notAnImage("the WebP has no end");
  const chunks = new Map<string, Uint8Array>();
  let count = 0;
  for (let at = 12; at < end;) {
    count += 1;
    if (count > maxParts) throw notAnImage("there are too many chunks");
    const length = at + 8 <= end ? view.getUint32(at + 4, true) : Infinity;
    // The padding of the last one is left out by some.
    const next = at + 8 + length + length % 2;
    if (at + 8 + length > end) throw notAnImage("a chunk has no end");
    const type = ascii(file, at, at + 4);
    if (type === "ANIM" || type === "ANMF") throw new UnusableImage("wrong_type", "an animated WebP");
    if (order.includes(type)) {
      if (chunks.has(type)) throw notAnImage("a chunk comes twice");
      chunks.set(type, file.subarray(at + 8, at + 8 + length));
    }
    at = next;
  }

  const frame = frameOf(chunks);
  const extended = chunks.get("VP8X");
  const exif = chunks.get("EXIF");
  const orientation = exif === undefined || extended === undefined ? 1 : readOrientation(withoutName(exif));
  const content = new Map(chunks);
  content.delete("EXIF");
  if (extended === undefined) {
    for (const type of ["ICCP", "ALPH", "C2PA"]) content.delete(type);
  } else {
    content.set("VP8X", readExtended(extended, frame, orientation));
    if (orientation !== 1) content.set("EXIF", writeOrientation(orientation));
  }
  const kept = order.flatMap((type) => {
    const data = content.get(type);
    return data === undefined ? [] : [chunk(type, data)];
  });
  const length = kept.reduce((sum, part) => sum + part.length, 4);
  return { parts: [header(length), ...kept], ...frame, orientation };
}

/** The size that the compressed pixels have. */
function frameOf(chunks: ReadonlyMap<string, Uint8Array>): { width: number; height: number } {
  const lossy = chunks.get("VP8 ");
  const lossless = chunks.get("VP8L");
  if ((lossy === undefined) === (lossless === undefined)) throw notAnImage("there is not one picture");
  if (lossy !== undefined) {
    const isKeyFrame = lossy.length >= 10 && ((lossy[0] ?? 1) & 1) === 0 &&
      ascii(lossy, 3, 6) === "\x9d\x01\x2a";
    if (!isKeyFrame) throw notAnImage("the frame's header is malformed");
    const view = viewOf(lossy);
    return { width: view.getUint16(6, true) & 0x3fff, height: view.getUint16(8, true) & 0x3fff };
  }
  if (lossless === undefined || lossless.length < 5 || lossless[0] !== 0x2f) {
    throw notAnImage("the frame's header is malformed");
  }
  const bits = viewOf(lossless).getUint32(1, true);
  return { width: (bits & 0x3fff) + 1, height: (bits >>> 14 & 0x3fff) + 1 };
}

/** VP8X as it is without what goes. */
function readExtended(
  extended: Uint8Array,
  frame: { width: number; height: number },
  orientation: number,
): Uint8Array {
  if (extended.length < 10) throw notAnImage("the extended header is malformed");
  const flags = extended[0] ?? 0;
  if ((flags & hasAnimation) !== 0) throw new UnusableImage("wrong_type", "an animated WebP");
  const side = (at: number) => (viewOf(extended).getUint32(at - 1, true) >>> 8) + 1;
  if (side(4) !== frame.width || side(7) !== frame.height) throw notAnImage("the canvas is not the picture");
  const cleaned = extended.slice(0, 10);
  cleaned[0] = (flags & ~(hasXmp | hasExif)) | (orientation === 1 ? 0 : hasExif);
  return cleaned;
}

/** Some write the name that EXIF has in a JPEG before it. */
function withoutName(exif: Uint8Array): Uint8Array {
  return ascii(exif, 0, 6) === "Exif\0\0" ? exif.subarray(6) : exif;
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const head = new Uint8Array(8);
  head.set(new TextEncoder().encode(type));
  viewOf(head).setUint32(4, data.length, true);
  return joined([head, data, new Uint8Array(data.length % 2)]);
}

function header(length: number): Uint8Array {
  const head = new TextEncoder().encode("RIFF0000WEBP");
  viewOf(head).setUint32(4, length, true);
  return head;
}
