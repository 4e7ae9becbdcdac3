import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { readCursor, writeCursor } from "../_shared/request/cursor.ts";
import type { VideosDatabase } from "../_shared/database/videos.ts";
import { jobResponse } from "../_shared/videos/contract.ts";
import { renewUrls } from "../_shared/videos/signed-urls.ts";
import type { Storage } from "../_shared/platform/storage.ts";
import { VideoJobsPosition, type VideoJobsQuery, type VideoJobsResponse } from "./schema.ts";

/** What a job shows of a video that is lost: one missing file must not hide the rest of a history. */
const noUrls = { video_url: null, thumbnail_url: null, video_url_expires_at: null };

/** Reads a page of the history; URLs with less than ten minutes left are renewed together, and kept after the answer. */
export async function listVideoJobs(
  query: VideoJobsQuery,
  context: Context<"user"> & {
    database: Pick<VideosDatabase, "listVideoJobs" | "keepSignedUrls">;
    storage: Pick<Storage, "sign">;
  },
): Promise<Answer<VideoJobsResponse>> {
  const { caller, database, storage, log } = context;
  const { limit, status = null } = query;
  const after = readCursor(VideoJobsPosition, query.cursor);
  const { videos, next } = await database.listVideoJobs(caller.userId, { limit, status, after });

  const renewed = await renewUrls(storage, videos, context.now());
  const kept = [...renewed].flatMap(([job_id, urls]) => urls === null ? [] : [{ job_id, ...urls }]);
  if (kept.length > 0) context.waitUntil(() => database.keepSignedUrls(kept));
  const jobs = videos.map(({ job }) => {
    const urls = renewed.get(job.job_id);
    if (urls === null) log.error("video_missing", { job_id: job.job_id });
    return { ...jobResponse(job, context.answerLanguage()), ...(urls === null ? noUrls : urls) };
  });
  return { status: 200, body: { jobs, next_cursor: writeCursor(next) } };
}
