/** The files that simulated generations result in, and what can be wrong with them. */
import type { ActiveProviderRule } from "./provider-rules.ts";

/** Of which a generation is; the first is wider than high. */
export type Frame = "landscape" | "portrait";

interface Files {
  readonly video: Uint8Array<ArrayBuffer>;
  readonly thumbnail: Uint8Array<ArrayBuffer>;
}

/** Made once for the project; README.md says how. */
const folder = new URL("./media/", import.meta.url);

export interface Media {
  /** The size of a video in bytes. */
  videoSize(frame: Frame): number;
  /** The answer to a request for the video, or its thumbnail; `elsewhere` is where a redirect leads. */
  answer(
    generation: { frame: Frame; rule: MediaRule },
    extension: "mp4" | "jpg",
    elsewhere: string,
  ): Response;
}

export type MediaRule = Pick<ActiveProviderRule, "media" | "mediaBytes">;

/** Reads the files. */
export async function loadMedia(): Promise<Media> {
  const read = async (name: Frame): Promise<Files> => {
    const [video, thumbnail] = await Promise.all([
      Deno.readFile(new URL(`${name}.mp4`, folder)),
      Deno.readFile(new URL(`${name}.jpg`, folder)),
    ]);
    return { video, thumbnail };
  };
  const [landscape, portrait] = await Promise.all([read("landscape"), read("portrait")]);
  const files: Readonly<Record<Frame, Files>> = { landscape, portrait };
  return {
    videoSize: (frame) => files[frame].video.byteLength,
    answer({ frame, rule }, extension, elsewhere) {
      const { video, thumbnail } = files[frame];
      return extension === "jpg" ? file(thumbnail, "image/jpeg") : videoAnswer(video, rule, elsewhere);
    },
  };
}

function file(bytes: Uint8Array<ArrayBuffer>, type: string): Response {
  return new Response(bytes, {
    headers: { "content-type": type, "content-length": String(bytes.byteLength) },
  });
}

function videoAnswer(video: Uint8Array<ArrayBuffer>, rule: MediaRule, elsewhere: string): Response {
  switch (rule.media) {
    case "missing":
      return new Response("Not Found", { status: 404 });
    case "not_a_video":
      return file(new TextEncoder().encode("<!doctype html><title>Not a video</title>"), "video/mp4");
    case "redirected":
      return new Response(null, { status: 302, headers: { location: elsewhere } });
    case "huge":
      return new Response(endless(video, rule.mediaBytes), { headers: { "content-type": "video/mp4" } });
    case "padded":
      return new Response(padded(video, rule.mediaBytes), {
        headers: { "content-type": "video/mp4", "content-length": String(rule.mediaBytes) },
      });
    case "truncated":
      return new Response(broken(video.subarray(0, video.byteLength / 2)), {
        headers: { "content-type": "video/mp4", "content-length": String(video.byteLength) },
      });
    default:
      return file(video, "video/mp4");
  }
}

/** The bytes over and over, made as they are read, up to a length. */
function endless(bytes: Uint8Array<ArrayBuffer>, length: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  let left = length;
  return new ReadableStream({
    pull(controller) {
      const part = bytes.subarray(0, Math.min(left, bytes.byteLength));
      controller.enqueue(part);
      left -= part.byteLength;
      if (left === 0) controller.close();
    },
  });
}

/** As much of the padding as is made at a time. */
const zeros = new Uint8Array(256 * 1024);

/** The video and a box `free` (ISO/IEC 14496-12) of zeros, together so long. */
function padded(video: Uint8Array<ArrayBuffer>, length: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  const box = new Uint8Array(8);
  new DataView(box.buffer).setUint32(0, length - video.byteLength);
  box.set(new TextEncoder().encode("free"), 4);
  let left = length - video.byteLength - box.byteLength;
  if (left < 0) throw new RangeError(`The video alone is longer than ${length} bytes`);
  return new ReadableStream({
    start(controller) {
      controller.enqueue(video);
      controller.enqueue(box);
    },
    pull(controller) {
      const part = zeros.subarray(0, left);
      left -= part.byteLength;
      if (part.byteLength > 0) controller.enqueue(part);
      if (left === 0) controller.close();
    },
  });
}

/** The bytes, and then an error instead of an end. */
function broken(bytes: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array<ArrayBuffer>> {
  const parts = [bytes];
  return new ReadableStream({
    pull(controller) {
      const part = parts.shift();
      if (part === undefined) controller.error(new Error("The connection broke"));
      else controller.enqueue(part);
    },
  });
}
