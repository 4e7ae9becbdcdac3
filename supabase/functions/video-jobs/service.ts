import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { readCursor, writeCursor } from "../_shared/request/cursor.ts";
import { actor, type Database, fields } from "../_shared/database/call.ts";
import { shownJob } from "../_shared/videos/contract.ts";
import { keepUrls, renewUrls } from "../_shared/videos/signed-urls.ts";
import type { Storage } from "../_shared/platform/storage.ts";
import { VideoJobsPosition, type VideoJobsQuery, type VideoJobsResponse, VideoPage } from "./schema.ts";

/** What a job shows of a video that is lost: one missing file must not hide the rest of a history. */
const noUrls = { video_url: null, thumbnail_url: null, video_url_expires_at: null };

/** Reads a page of the history; URLs with less than ten minutes left are renewed together, and kept after the answer. */
export async function listVideoJobs(
  { cursor, ...list }: VideoJobsQuery,
  context: Context<"user"> & {
    database: Database;
    storage: Pick<Storage, "sign">;
  },
): Promise<Answer<VideoJobsResponse>> {
  const { database, storage, log } = context;
  const args = { ...fields(list), ...actor(context), p_after: readCursor(VideoJobsPosition, cursor) };
  const { videos, next } = await database.call("video_jobs", args, VideoPage);

  const renewed = await renewUrls(storage, videos, context.now());
  const kept = [...renewed].flatMap(([job_id, urls]) => urls === null ? [] : [{ job_id, ...urls }]);
  if (kept.length > 0) context.waitUntil(() => keepUrls(database, kept));
  const jobs = videos.map(({ job }) => {
    const urls = renewed.get(job.job_id);
    if (urls === null) log.error("video_missing", { job_id: job.job_id });
    return { ...shownJob(job, context.answerLanguage()), ...(urls === null ? noUrls : urls) };
  });
  return { status: 200, body: { jobs, next_cursor: writeCursor(next) } };
}
