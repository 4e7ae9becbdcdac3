/** The host of the files that simulated generations result in, and what can be wrong with them. */
import type { ProviderJob } from "./jobs.ts";
import { type LoopbackServer, startLoopbackServer } from "./loopback-server.ts";
import { type Made, tailored } from "./made.ts";
import { logRequest, type ProviderRequest } from "./request-log.ts";
import type { ActiveProviderRule } from "./rules.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Made once for the project; README.md says how. */
const folder = new URL("../media/", import.meta.url);

export interface MediaServer extends LoopbackServer {
  /** Its name and port. */
  readonly host: string;
  /** Where the video of a generation is. */
  videoUrl(requestId: string): string;
  /** In bytes. */
  videoSize(made: Made): number;
}

/** Serves the files of the generations that `find` knows. The account's key must never get here. */
export async function startMediaServer(
  { port, log, authorization, find, elsewhere }: {
    /** 0 for a free one. */
    port: number;
    log: ProviderRequest[];
    /** The header with the account's key. */
    authorization: string;
    find: (
      requestId: string,
    ) => { made: Made; job: ProviderJob & { rule: ActiveProviderRule } } | undefined;
    /** Where a redirect leads. */
    elsewhere: () => string;
  },
): Promise<MediaServer> {
  const read = async (name: "landscape" | "portrait") => ({
    mp4: await Deno.readFile(new URL(`${name}.mp4`, folder)),
    jpg: await Deno.readFile(new URL(`${name}.jpg`, folder)),
  });
  const files = { landscape: await read("landscape"), portrait: await read("portrait") };
  const pictureOf = ({ width, height }: Made) => files[width < height ? "portrait" : "landscape"];

  function answer(requestId: string | null, extension: string | undefined): Response {
    const generation = requestId === null ? undefined : find(requestId);
    if (generation === undefined) return notFound();
    const { mp4, jpg } = pictureOf(generation.made);
    if (extension === "jpg") return file(jpg, "image/jpeg");
    const { job } = generation;
    // A video that is not there yet.
    if (job.mediaFailuresLeft > 0) {
      job.mediaFailuresLeft -= 1;
      return notFound();
    }
    return videoAnswer(tailored(mp4, generation.made, job.rule), job.rule, elsewhere());
  }

  const server = await startLoopbackServer(port, (request) => {
    const { pathname } = new URL(request.url);
    const [, requestId = null, extension] = /^\/files\/([^/]+)\/output\.(mp4|jpg)$/.exec(pathname) ?? [];
    const response = answer(requestId, extension);
    const entry = logRequest(log, request, authorization, { host: "media", body: null });
    Object.assign(entry, { requestId, status: response.status });
    return Promise.resolve(response);
  });
  return {
    ...server,
    host: `127.0.0.1:${server.port}`,
    videoUrl: (requestId) => `${server.url}/files/${requestId}/output.mp4`,
    videoSize: (made) => pictureOf(made).mp4.byteLength,
  };
}

function notFound(): Response {
  return new Response("Not Found", { status: 404 });
}

/** The length is told where it is known. */
function file(body: Bytes | Iterable<Bytes>, type: string, length?: number): Response {
  const known = body instanceof Uint8Array ? body.byteLength : length;
  return new Response(body instanceof Uint8Array ? body : ReadableStream.from(body), {
    headers: { "content-type": type, ...(known === undefined ? {} : { "content-length": String(known) }) },
  });
}

function videoAnswer(video: Bytes, { media, mediaBytes }: ActiveProviderRule, elsewhere: string): Response {
  switch (media) {
    case "missing":
      return notFound();
    case "not_a_video":
      return file(new TextEncoder().encode("<!doctype html><title>Not a video</title>"), "video/mp4");
    case "redirected":
      return new Response(null, { status: 302, headers: { location: elsewhere } });
    case "huge":
      return file(endless(video, mediaBytes), "video/mp4");
    case "padded":
      return file(padded(video, mediaBytes), "video/mp4", mediaBytes);
    case "truncated":
      return file(broken(video.subarray(0, video.byteLength / 2)), "video/mp4", video.byteLength);
    default:
      return file(video, "video/mp4");
  }
}

/** The bytes over and over, made as they are read, up to a length. */
function* endless(bytes: Bytes, length: number): Generator<Bytes> {
  for (let left = length; left > 0; left -= bytes.byteLength) {
    yield bytes.subarray(0, Math.min(left, bytes.byteLength));
  }
}

/** The video and a box `free` (ISO/IEC 14496-12) of zeros, together so long. */
function* padded(video: Bytes, length: number): Generator<Bytes> {
  const box = new Uint8Array(8);
  const left = length - video.byteLength - box.byteLength;
  if (left < 0) throw new RangeError(`The video alone is longer than ${length} bytes`);
  new DataView(box.buffer).setUint32(0, left + box.byteLength);
  box.set(new TextEncoder().encode("free"), 4);
  yield video;
  yield box;
  // As much of the padding as is made at a time.
  yield* endless(new Uint8Array(256 * 1024), left);
}

/** The bytes, and then an error instead of an end. */
function* broken(bytes: Bytes): Generator<Bytes> {
  yield bytes;
  throw new Error("The connection broke");
}
