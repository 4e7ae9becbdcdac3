/** Brings a provider's result into private storage and completes the job. */
import type { Database } from "../database/call.ts";
import { whileDatabaseIsAway } from "../database/while-away.ts";
import type { Logger } from "../platform/logger.ts";
import type { Provider } from "./providers/provider.ts";
import { attemptOf, type Task } from "../queue/task.ts";
import { JobState } from "./procedures.ts";
import { signUrls } from "./signed-urls.ts";
import type { Storage } from "../platform/storage.ts";
import { openMedia, UnusableResult } from "./media.ts";
import { readMp4 } from "./mp4.ts";

export interface StoreContext {
  readonly database: Database;
  readonly storage: Pick<Storage, "upload" | "sign">;
  readonly log: Logger;
  readonly fetch: typeof fetch;
  now(): number;
}

export type StoredAsset = {
  kind: "video" | "thumbnail";
  /** In the bucket `videos`. */
  path: string;
  bytes: number;
  content_type: string;
  duration_milliseconds: number | null;
  width: number | null;
  height: number | null;
  /** Of the picture in a video, as its container names it; `none` where it names none. Null for a thumbnail. */
  codec: string | null;
  frames: number | null;
};

/**
 * What fits into an isolate's CPU time (docs/decisions/0028-a-stored-file-is-not-hashed.md). `videos.max_stored_bytes` says
 * the same to whoever sells a model.
 */
export const maxVideoBytes = 150 * 1024 * 1024;
const maxThumbnailBytes = 5 * 1024 * 1024;

/**
 * For all streams of an attempt together. A task is claimed in the first 25 s of a worker, so that 25 s of the 150 s that the
 * platform gives are left to complete the job; while the database is away for longer, the next attempt does it.
 */
const maxStreamingMilliseconds = 100_000;

/** Where the files come from and go to. */
interface Transfer {
  readonly context: StoreContext;
  readonly provider: string;
  readonly hosts: readonly string[];
  readonly signal: AbortSignal;
  /** Aborted when the task is another's: then nothing is to be completed here. */
  readonly taken: AbortSignal;
  /** Told the bytes of each piece. */
  count(bytes: number): void;
}

/** What a provider made, and whose it is to fetch. */
export interface Result {
  readonly provider: Provider;
  readonly videoUrl: string;
  readonly thumbnailUrl: string | null;
}

/** The files of a job in its folder of storage. */
export function filesIn(folder: string): { video: string; thumbnail: string } {
  return { video: `${folder}/video.mp4`, thumbnail: `${folder}/thumbnail` };
}

/**
 * Streams the video, and the thumbnail where there is one, into storage, then completes the job and takes its
 * credits; says whether the job is completed now. What is no video that could be kept, or not what was ordered, fails the job
 * and gives them back. Throws what may be tried again, and when `signal` is aborted. `count` is told the bytes of each piece that was read.
 */
export async function storeVideo(
  task: Task,
  { provider, videoUrl, thumbnailUrl }: Result,
  folder: string,
  context: StoreContext,
  signal: AbortSignal,
  count: (bytes: number) => void = () => {},
): Promise<boolean> {
  const { database, storage, log } = context;
  const attempt = { ...attemptOf(task), p_job_id: task.subject };
  const paths = filesIn(folder);
  const end = new AbortController();
  const transfer: Transfer = {
    context,
    provider: provider.name,
    hosts: provider.capabilities.resultHosts,
    taken: signal,
    count,
    signal: AbortSignal.any([signal, end.signal, AbortSignal.timeout(maxStreamingMilliseconds)]),
  };

  try {
    const video = await storeFile(videoUrl, paths.video, transfer);
    const thumbnail = thumbnailUrl === null
      ? null
      : await storeThumbnail(thumbnailUrl, paths.thumbnail, transfer);
    const signed = thumbnail === null ? { video: paths.video } : paths;
    const urls = await signUrls(storage, signed, context.now());
    const assets = thumbnail === null ? [video] : [video, thumbnail];
    const args = { ...attempt, p_assets: assets, p_urls: urls };
    const { status } = await whileDatabaseIsAway(() => database.call("record_stored", args, JobState));
    const { kind: _kind, path: _path, ...facts } = video;
    log[status === "completed" ? "info" : "warn"]("stored", { job_id: task.subject, status, ...facts });
    return status === "completed";
  } catch (error) {
    if (!(error instanceof UnusableResult)) throw error;
    log.warn("unusable_result", { job_id: task.subject, cause: error.message });
    const args = { ...attempt, p_cause: error.message };
    await whileDatabaseIsAway(() => database.call("record_unusable_result", args, JobState));
    return false;
  } finally {
    // What has not been read to its end is not read any further.
    end.abort();
  }
}

async function storeFile(url: string, path: string, transfer: Transfer): Promise<StoredAsset> {
  const { context: { storage, fetch }, signal } = transfer;
  const media = await openMedia(fetch, url, { ...transfer, maxBytes: maxVideoBytes });
  const reader = readMp4();
  const notPlayable = () => new UnusableResult("The result is not a playable MP4");
  let bytes = 0;
  let failure: unknown = null;
  async function* inspect() {
    try {
      for await (const chunk of media) {
        bytes += chunk.byteLength;
        transfer.count(chunk.byteLength);
        if (!reader.push(chunk)) throw notPlayable();
        yield chunk;
      }
    } catch (error) {
      failure = error;
      throw error;
    }
  }

  try {
    await storage.upload(path, ReadableStream.from(inspect()), "video/mp4", signal);
  } catch (error) {
    // An upload whose source fails has failed too, but not by itself.
    throw failure ?? error;
  }
  const mp4 = reader.finish();
  if (mp4 === null) throw notPlayable();
  return {
    kind: "video",
    path,
    bytes,
    content_type: "video/mp4",
    duration_milliseconds: mp4.durationMilliseconds,
    width: mp4.width,
    height: mp4.height,
    codec: mp4.codec ?? "none",
    frames: mp4.frames,
  };
}

/** A video without its thumbnail is still a video, so nothing about a thumbnail fails a job: null instead. */
async function storeThumbnail(url: string, path: string, transfer: Transfer): Promise<StoredAsset | null> {
  const { context: { storage, fetch, log }, signal, taken } = transfer;
  try {
    const media = await openMedia(fetch, url, { ...transfer, maxBytes: maxThumbnailBytes });
    const content = new Uint8Array(await new Response(ReadableStream.from(media)).arrayBuffer());
    const type = imageType(content);
    if (type === null) throw new UnusableResult("The thumbnail is no JPEG, PNG or WebP");
    await storage.upload(path, new Blob([content]).stream(), type, signal);
    const facts = { duration_milliseconds: null, width: null, height: null, codec: null, frames: null };
    return { kind: "thumbnail", path, bytes: content.byteLength, content_type: type, ...facts };
  } catch (error) {
    // Whoever has the task now stores it too.
    if (taken.aborted) throw error;
    log.warn("no_thumbnail", { path, error });
    return null;
  }
}

/** By the file's own first bytes; what the provider calls it is not asked. */
function imageType(content: Uint8Array): string | null {
  const start = String.fromCharCode(...content.subarray(0, 12));
  if (start.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (start.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  if (start.startsWith("RIFF") && start.endsWith("WEBP")) return "image/webp";
  return null;
}
