import * as z from "zod/mini";
import { actor, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { work } from "../_shared/queue/worker.ts";
import { type Job, shownJob, StoredJob } from "../_shared/videos/contract.ts";
import { type VideoTaskPorts, videoTasks } from "../_shared/videos/tasks.ts";
import type { CancelVideoRequest } from "./schema.ts";

/** 200 when the job is cancelled, 202 while its provider has yet to say so. */
export async function cancelVideo(
  request: CancelVideoRequest,
  context: Context<"user"> & VideoTaskPorts,
): Promise<Answer<Job>> {
  const args = { ...fields(request), ...actor(context) };
  const { job } = await context.database.call("cancel_video", args, z.object({ job: StoredJob }));
  if (job.status !== "cancelled") {
    context.waitUntil(() => work(context, videoTasks, job.job_id));
  }
  return {
    status: job.status === "cancelled" ? 200 : 202,
    body: shownJob(job, context.answerLanguage()),
  };
}
