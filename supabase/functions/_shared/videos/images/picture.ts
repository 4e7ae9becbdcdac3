/** What the readers of all formats share: what they find, and why it may be of no use. */

export const imageTypes = ["image/jpeg", "image/png", "image/webp"] as const;
export type ImageType = (typeof imageTypes)[number];

/** 10 MB, as Storage holds the bucket to it. */
export const maxImageBytes = 10 * 1024 * 1024;

/** Why a picture cannot be used. `missing`: there is none where it should be, or none that could be fetched from there. */
export const unusableReasons = ["not_an_image", "wrong_type", "too_large", "wrong_size", "missing"] as const;
export type UnusableReason = (typeof unusableReasons)[number];

export class UnusableImage extends Error {
  override readonly name = "UnusableImage";

  constructor(readonly reason: UnusableReason, why: string) {
    super(why);
  }
}

/** A picture as its format's reader found it: parts of the file that stay, in their order, and its size as it is stored. */
export interface Picture {
  readonly parts: readonly Uint8Array[];
  readonly width: number;
  readonly height: number;
  /** 1 to 8, as EXIF has it. */
  readonly orientation: number;
}

export function notAnImage(why: string): UnusableImage {
  return new UnusableImage("not_an_image", why);
}

/**
 * Segments or chunks of a file. A picture of 10 MB in parts of 8 kB, as libpng writes them, has 1,280. What is nothing but
 * empty parts has millions, and each costs memory and time of an isolate that has little of both.
 */
export const maxParts = 10_000;

/** Bytes as text of one character each. */
export function ascii(bytes: Uint8Array, from: number, to: number): string {
  return String.fromCharCode(...bytes.subarray(from, to));
}

export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
