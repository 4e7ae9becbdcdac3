/** Signed URLs of jobs' files: made for an hour, renewed before the last ten minutes. */
import { codes } from "../errors/error-codes.ts";
import { AppError } from "../errors/app-error.ts";
import * as z from "zod/mini";
import type { Database } from "../database/call.ts";
import type { Video } from "./contract.ts";
import type { Storage } from "../platform/storage.ts";

/** What a job shows of its files. */
export type SignedUrls = {
  video_url: string;
  thumbnail_url: string | null;
  /** ISO 8601. */
  video_url_expires_at: string;
};

export type JobUrls = SignedUrls & { job_id: string };

const lifeSeconds = 3600;
/** What `video_url` has left at least when a client gets it. */
const minSecondsLeft = 600;

/** Signs a video's URLs in one call. `now` in milliseconds since 1970. Throws ERR_6002, also where it is not there. */
export async function signUrls(
  storage: Pick<Storage, "sign">,
  paths: { video: string; thumbnail?: string },
  now: number,
): Promise<SignedUrls> {
  const [urls] = await signAll(storage, [paths], now);
  if (!urls) throw new AppError(codes["storage/failed"], { cause: `${paths.video} is not in storage` });
  return urls;
}

/**
 * Renews whatever is too old to be given to a client, all in one call: the new URLs by the job's id, null for a video
 * that is not in storage. Throws ERR_6002.
 */
export async function renewUrls(
  storage: Pick<Storage, "sign">,
  videos: readonly Video[],
  now: number,
): Promise<Map<string, SignedUrls | null>> {
  const stale = videos.filter(({ job, paths }) =>
    paths.video !== undefined && isStale(job.video_url_expires_at, now)
  );
  if (stale.length === 0) return new Map();
  const urls = await signAll(storage, stale.map(({ paths }) => paths), now);
  return new Map(stale.map(({ job }, index) => [job.job_id, urls[index] ?? null]));
}

/** Keeps them for the next reader. Throws as `call` does. */
export async function keepUrls(database: Database, urls: readonly JobUrls[]): Promise<void> {
  await database.call("keep_signed_urls", { p_urls: urls }, z.unknown());
}

/** Whether a URL that expires then is too old to be given to a client. */
function isStale(expiresAt: string | null, now: number): boolean {
  return expiresAt === null || Date.parse(expiresAt) - now < minSecondsLeft * 1000;
}

/** The URLs of each video, null for one that is not there. */
async function signAll(
  storage: Pick<Storage, "sign">,
  files: readonly Video["paths"][],
  now: number,
): Promise<(SignedUrls | null)[]> {
  const paths = files.flatMap(({ video, thumbnail }) => [video, thumbnail]).filter((path) =>
    path !== undefined
  );
  const signed = await storage.sign(paths, lifeSeconds);
  const urls = new Map(paths.map((path, index) => [path, signed[index]]));
  return files.map(({ video = "", thumbnail = "" }) => {
    const url = urls.get(video);
    return url
      ? {
        video_url: url,
        thumbnail_url: urls.get(thumbnail) ?? null,
        video_url_expires_at: new Date(now + lifeSeconds * 1000).toISOString(),
      }
      : null;
  });
}
