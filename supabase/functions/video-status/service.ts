import { codes } from "../_shared/errors/error-codes.ts";
import { AppError } from "../_shared/errors/app-error.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { actor, type Database, fields } from "../_shared/database/call.ts";
import { shownJob } from "../_shared/videos/contract.ts";
import { keepUrls, renewUrls } from "../_shared/videos/signed-urls.ts";
import type { Storage } from "../_shared/platform/storage.ts";
import { VideoStatus, type VideoStatusQuery, type VideoStatusResponse } from "./schema.ts";

/** Reads the job; the kept URL is renewed when it has less than ten minutes left, and kept again after the answer. */
export async function getVideoStatus(
  query: VideoStatusQuery,
  context: Context<"user"> & {
    database: Database;
    storage: Pick<Storage, "sign">;
  },
): Promise<Answer<VideoStatusResponse>> {
  const { database, storage } = context;
  const args = { ...fields(query), ...actor(context) };
  const status = await database.call("video_status", args, VideoStatus);
  const { progress, next_poll_seconds } = status;
  const job = shownJob(status.job, context.answerLanguage());

  const urls = (await renewUrls(storage, [status], context.now())).get(job.job_id);
  if (urls === null) {
    throw new AppError(codes["storage/failed"], { cause: `The video of ${job.job_id} is not in storage` });
  }
  if (urls !== undefined) {
    context.waitUntil(() => keepUrls(database, [{ job_id: job.job_id, ...urls }]));
  }
  return { status: 200, body: { ...job, ...urls, progress, next_poll_seconds } };
}
