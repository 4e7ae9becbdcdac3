import type { Answer, Context } from "../_shared/context.ts";
import { work, type WorkerContext } from "../_shared/generation/worker.ts";
import type { ProcessJobsResponse } from "./schema.ts";

/** Answers at once and works in the background. Several workers at once never do a task twice. */
export function processJobs(
  _input: unknown,
  context: Context<"service"> & WorkerContext,
): Promise<Answer<ProcessJobsResponse>> {
  context.waitUntil(() => work(context));
  return Promise.resolve({ status: 202, body: { accepted: true } });
}
