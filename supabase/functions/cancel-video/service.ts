import type { Answer, Context } from "../_shared/endpoint/context.ts";
import type { VideosDatabase } from "../_shared/database/videos.ts";
import { work } from "../_shared/queue/worker.ts";
import { type VideoTaskPorts, videoTasks } from "../_shared/videos/tasks.ts";
import { jobResponse } from "../_shared/videos/contract.ts";
import type { CancelVideoRequest, CancelVideoResponse } from "./schema.ts";

/** 200 when the job is cancelled, 202 while its provider has yet to say so. */
export async function cancelVideo(
  request: CancelVideoRequest,
  context: Context<"user"> & VideoTaskPorts & { database: Pick<VideosDatabase, "cancelVideo"> },
): Promise<Answer<CancelVideoResponse>> {
  const job = await context.database.cancelVideo(context.caller.userId, request.job_id);
  if (job.status !== "cancelled") {
    context.waitUntil(() => work(context, videoTasks, job.job_id));
  }
  return {
    status: job.status === "cancelled" ? 200 : 202,
    body: jobResponse(job, context.answerLanguage()),
  };
}
