import type { Answer, Context } from "../_shared/context.ts";
import type { VideosDatabase } from "../_shared/database/videos.ts";
import { jobResponse } from "../_shared/job.ts";
import { isStale, signUrls } from "../_shared/signed-urls.ts";
import type { Storage } from "../_shared/storage.ts";
import type { VideoStatusQuery, VideoStatusResponse } from "./schema.ts";

/** Reads the job; the kept URL is renewed when it has less than ten minutes left, and kept again after the answer. */
export async function getVideoStatus(
  query: VideoStatusQuery,
  context: Context<"user"> & {
    database: Pick<VideosDatabase, "videoStatus" | "keepSignedUrls">;
    storage: Pick<Storage, "sign">;
  },
): Promise<Answer<VideoStatusResponse>> {
  const { database, storage } = context;
  const status = await database.videoStatus(context.caller.userId, query.job_id);
  const { progress, next_poll_seconds, paths } = status;
  const job = jobResponse(status.job, context.answerLanguage());

  const { video } = paths;
  if (video !== undefined && isStale(job.video_url_expires_at, context.now())) {
    const urls = await signUrls(storage, { ...paths, video }, context.now());
    context.waitUntil(() => database.keepSignedUrls(job.job_id, urls));
    job.video_url = urls.video_url;
    job.thumbnail_url = urls.thumbnail_url;
    job.video_url_expires_at = urls.expires_at;
  }
  return { status: 200, body: { ...job, progress, next_poll_seconds } };
}
