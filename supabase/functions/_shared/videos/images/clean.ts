/**
 * Looks at a picture's bytes, and takes out of it whatever is not the picture: where and with what it was made, what else is in
 * the file, and what follows its end. Nothing is decoded: the compressed pixels are copied as they are, and whatever size they
 * have, the header tells it. Kept are what the pixels need to look the same (orientation, colour profile) and Content
 * Credentials (C2PA), which say how the picture was made.
 */
import { cleanJpeg } from "./jpeg.ts";
import { ascii, type ImageType, joined, maxImageBytes, type Picture, UnusableImage } from "./picture.ts";
import { cleanPng } from "./png.ts";
import { cleanWebp } from "./webp.ts";

/** Pixels a side: what the models take. The larger one bounds what decoding costs whoever does it. */
const minSide = 64;
const maxSide = 8192;

export interface CleanImage {
  readonly content: Uint8Array<ArrayBuffer>;
  readonly contentType: ImageType;
  /** Pixels, as it is shown: an orientation that turns it by a quarter swaps them. */
  readonly width: number;
  readonly height: number;
}

const readers: Readonly<Record<ImageType, (file: Uint8Array) => Picture>> = {
  "image/jpeg": cleanJpeg,
  "image/png": cleanPng,
  "image/webp": cleanWebp,
};

/** The picture without the rest. Throws UnusableImage for what is none, or another than the types and sizes that are taken. */
export function cleanImage(file: Uint8Array): CleanImage {
  if (file.length > maxImageBytes) throw new UnusableImage("too_large", `${file.length} bytes`);
  const contentType = typeOf(file);
  const { parts, width, height, orientation } = readers[contentType](file);
  for (const side of [width, height]) {
    if (side < minSide || side > maxSide) throw new UnusableImage("wrong_size", `${width} x ${height}`);
  }
  const content = joined(parts);
  // EXIF that was shorter than ours is.
  if (content.length > maxImageBytes) throw new UnusableImage("too_large", `${content.length} bytes`);
  const isTurned = orientation >= 5;
  return {
    content,
    contentType,
    width: isTurned ? height : width,
    height: isTurned ? width : height,
  };
}

/** By the first bytes; what anybody calls it is not asked. */
function typeOf(file: Uint8Array): ImageType {
  const start = ascii(file, 0, 12);
  if (start.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (start.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  if (/^RIFF[^]{4}WEBP$/.test(start)) return "image/webp";
  const isOther =
    /^GIF8[79]a|^BM|^II\*\0|^MM\0\*|^[^]{4}ftyp(heic|heix|hevc|mif1|msf1|avif|avis)|^[^]{4}JXL /;
  if (isOther.test(start)) throw new UnusableImage("wrong_type", "another type of image");
  throw new UnusableImage("not_an_image", "no type that is known");
}
