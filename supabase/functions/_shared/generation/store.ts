/** Brings a provider's result into private storage and completes the job. */
import { createHash } from "node:crypto";
import type { GenerationDatabase, StoredAsset, StoreTask } from "../database/generation.ts";
import type { Logger } from "../logger.ts";
import type { Provider } from "../providers/provider.ts";
import { signUrls } from "../signed-urls.ts";
import type { Storage } from "../storage.ts";
import { openMedia, UnusableResult } from "./media.ts";
import { readMp4 } from "./mp4.ts";

export interface StoreContext {
  readonly generation: Pick<GenerationDatabase, "recordStored" | "recordUnusableResult">;
  readonly storage: Storage;
  readonly log: Logger;
  readonly fetch: typeof fetch;
  now(): number;
}

/** Ten times what a minute in 1080p takes. */
const largestVideo = 500 * 1024 * 1024;
const largestThumbnail = 5 * 1024 * 1024;

/**
 * Streams the video, and the thumbnail where there is one, into storage, then completes the job and takes its
 * credits. What is no video that could be kept fails the job and gives them back. Throws what may be tried again.
 */
export async function storeVideo(task: StoreTask, provider: Provider, context: StoreContext): Promise<void> {
  const { generation, storage, log } = context;
  const folder = `${task.user_id}/${task.subject}`;
  let assets: StoredAsset[];
  try {
    assets = [
      await storeFile(task.payload.video_url, `${folder}/video.mp4`, provider, context),
      ...await storeThumbnail(task, `${folder}/thumbnail`, provider, context),
    ];
  } catch (error) {
    if (!(error instanceof UnusableResult)) throw error;
    log.warn("unusable_result", { job_id: task.subject, cause: error.message });
    await generation.recordUnusableResult(task, error.message);
    await storage.remove([`${folder}/video.mp4`]);
    return;
  }

  const paths = Object.fromEntries(assets.map(({ kind, path }) => [kind, path]));
  const { status } = await generation.recordStored(
    task,
    assets,
    await signUrls(storage, { video: `${folder}/video.mp4`, ...paths }, context.now()),
  );
  log.info("stored", { job_id: task.subject, status, bytes: assets[0]?.bytes });
  // The job ended otherwise in the meantime: nothing is kept for it.
  if (status !== "completed") await storage.remove(assets.map(({ path }) => path));
}

async function storeFile(
  url: string,
  path: string,
  provider: Provider,
  { storage, fetch }: StoreContext,
): Promise<StoredAsset> {
  const media = await openMedia(fetch, url, provider.capabilities.resultHosts, largestVideo);
  const hash = createHash("sha256");
  const reader = readMp4();
  let bytes = 0;
  const content = media.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        bytes += chunk.byteLength;
        hash.update(chunk);
        reader.push(chunk);
        controller.enqueue(chunk);
      },
    }),
  );
  await storage.upload(path, content, "video/mp4");
  const mp4 = reader.finish();
  if (mp4 === null) throw new UnusableResult("The result is not a playable MP4");
  return {
    kind: "video",
    path,
    bytes,
    content_type: "video/mp4",
    sha256: hash.digest("hex"),
    duration_milliseconds: mp4.durationMilliseconds,
    width: mp4.width,
    height: mp4.height,
  };
}

/** A video without its thumbnail is still a video, so nothing about a thumbnail fails a job. */
async function storeThumbnail(
  task: StoreTask,
  path: string,
  provider: Provider,
  { storage, fetch, log }: StoreContext,
): Promise<StoredAsset[]> {
  const { thumbnail_url: url } = task.payload;
  if (url === null) return [];
  try {
    const media = await openMedia(fetch, url, provider.capabilities.resultHosts, largestThumbnail);
    const content = new Uint8Array(await new Response(media).arrayBuffer());
    const type = imageType(content);
    if (type === null) throw new UnusableResult("The thumbnail is no JPEG, PNG or WebP");
    await storage.upload(path, new Blob([content]).stream(), type);
    const sha256 = createHash("sha256").update(content).digest("hex");
    const facts = { duration_milliseconds: null, width: null, height: null };
    return [{ kind: "thumbnail", path, bytes: content.byteLength, content_type: type, sha256, ...facts }];
  } catch (error) {
    log.warn("no_thumbnail", { job_id: task.subject, error });
    return [];
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
