/** Signed URLs of a job's files: made for an hour, renewed before the last ten minutes. */
import type { SignedUrls } from "./database/videos.ts";
import type { Storage } from "./storage.ts";

const lifeSeconds = 3600;
/** What `video_url` has left at least when a client gets it. */
const leastSecondsLeft = 600;

/** Signs the files' URLs in one call. `now` in milliseconds since 1970. */
export async function signUrls(
  storage: Pick<Storage, "sign">,
  paths: { video: string; thumbnail?: string },
  now: number,
): Promise<SignedUrls> {
  const all = [paths.video, ...(paths.thumbnail === undefined ? [] : [paths.thumbnail])];
  const [video, thumbnail] = await storage.sign(all, lifeSeconds);
  if (video === undefined) throw new Error("Storage signed no URL");
  return {
    video_url: video,
    thumbnail_url: thumbnail ?? null,
    expires_at: new Date(now + lifeSeconds * 1000).toISOString(),
  };
}

/** Whether a URL that expires then is too old to be given to a client. */
export function isStale(expiresAt: string | null, now: number): boolean {
  return expiresAt === null || Date.parse(expiresAt) - now < leastSecondsLeft * 1000;
}
