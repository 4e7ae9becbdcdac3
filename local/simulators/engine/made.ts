/** What a simulated generation is: the video that was ordered, or what a rule makes of it, said by its container. */
import type { ActiveProviderRule } from "./rules.ts";

/** What an MP4 tells about its pictures (ISO/IEC 14496-12). */
export interface Made {
  readonly seconds: number;
  readonly width: number;
  readonly height: number;
}

type Bytes = Uint8Array<ArrayBuffer>;

/** The picture of so many lines in a shape such as `16:9`; what is no shape is as wide as that. */
export function pictureOf(lines: number, shape: string): { width: number; height: number } {
  const [across = 16, down = 9] = /^\d+:\d+$/.test(shape) ? shape.split(":").map(Number) : [];
  const longer = Math.round(lines * Math.max(across, down) / Math.min(across, down));
  return across >= down ? { width: longer, height: lines } : { width: lines, height: longer };
}

/** The number in a field of an input, which some models want as a text such as `8s`. */
export function numberIn(input: unknown, name: string, fallback: number): number {
  const fields: Record<string, unknown> = typeof input === "object" && input !== null ? { ...input } : {};
  return Number.parseFloat(String(fields[name])) || fallback;
}

/**
 * The video with a container that tells of `made`, and of what the rule has instead: its frames are shown for longer or shorter,
 * and scaled. As long as it was.
 */
export function tailored(video: Bytes, made: Made, { says }: Pick<ActiveProviderRule, "says">): Bytes {
  const { seconds = made.seconds, width = made.width, height = made.height, codec, frames } = says ?? {};
  const bytes = video.slice();
  const view = new DataView(bytes.buffer);
  const milliseconds = Math.round(seconds * 1000);

  const write: Readonly<Record<string, (at: number) => void>> = {
    // In the movie's own timescale, which is a millisecond.
    mvhd: (at) => view.setUint32(at + 16, milliseconds),
    elst: (at) => view.setUint32(at + 8, milliseconds),
    tkhd(at) {
      view.setUint32(at + 20, milliseconds);
      view.setUint32(at + 76, width << 16);
      view.setUint32(at + 80, height << 16);
    },
    // The pictures take as many units as before, which are longer or shorter.
    mdhd: (at) => view.setUint32(at + 12, Math.round(view.getUint32(at + 16) / seconds)),
    stsd(at) {
      if (codec !== undefined) bytes.set(new TextEncoder().encode(codec), at + 12);
      view.setUint16(at + 40, width);
      view.setUint16(at + 42, height);
    },
    stsz(at) {
      if (frames !== undefined) view.setUint32(at + 8, frames);
    },
  };
  const containers = ["moov", "trak", "edts", "mdia", "minf", "stbl"];
  function walk(from: number, end: number): void {
    for (let at = from; at + 8 <= end; at += view.getUint32(at)) {
      const type = new TextDecoder().decode(bytes.subarray(at + 4, at + 8));
      write[type]?.(at + 8);
      if (containers.includes(type)) walk(at + 8, at + view.getUint32(at));
    }
  }
  walk(0, bytes.byteLength);
  return bytes;
}
