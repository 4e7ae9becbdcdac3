/** Works off the tasks that the database hands out, until none is due or the time is up. */
import type { Config } from "../config.ts";
import type { CancelTask, GenerationDatabase, PollTask, Task } from "../database/generation.ts";
import type { Logger } from "../logger.ts";
import type { Provider } from "../providers/provider.ts";
import type { Providers } from "../providers/registry.ts";
import type { Storage } from "../storage.ts";
import { storeVideo } from "./store.ts";
import { submitVideo } from "./submit.ts";

export interface WorkerContext {
  readonly generation: GenerationDatabase;
  readonly providers: Providers;
  readonly storage: Storage;
  readonly config: Config;
  readonly log: Logger;
  readonly fetch: typeof fetch;
  now(): number;
}

export interface WorkOptions {
  /** Work for this job alone. */
  readonly jobId?: string;
  /** Milliseconds after which no more is claimed; what is claimed is finished. */
  readonly budget: number;
}

/** As many as one isolate does at once without running short of memory: each holds a stream at most. */
const batchSize = 10;

/** Claims and does tasks, several at once, and returns how many. An attempt that fails goes back with its reason. */
export async function work(context: WorkerContext, { jobId, budget }: WorkOptions): Promise<number> {
  const end = context.now() + budget;
  let done = 0;
  while (context.now() < end) {
    const tasks = await context.generation.claimTasks(batchSize, jobId);
    if (tasks.length === 0) break;
    await Promise.all(tasks.map((task) => attempt(task, context)));
    done += tasks.length;
  }
  return done;
}

async function attempt(task: Task, context: WorkerContext): Promise<void> {
  const { generation, log } = context;
  try {
    await perform(task, context);
  } catch (error) {
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    log.warn("task_failed", { kind: task.kind, subject: task.subject, attempt: task.attempt, error });
    // Should this fail too, the lease runs out and the task comes back by itself.
    await generation.retryTask(task, reason);
  }
}

async function perform(task: Task, context: WorkerContext): Promise<void> {
  switch (task.kind) {
    case "submit":
      return await submitVideo(task.subject, context);
    case "poll":
      return await poll(task, context);
    case "cancel":
      return await cancel(task, context);
    case "store":
      return await storeVideo(task, providerOf(task, context), context);
  }
}

function providerOf({ submission, kind }: Task, { providers }: WorkerContext): Provider {
  const provider = submission === null ? null : providers.get(submission.provider);
  if (provider === null) {
    throw new Error(`No provider to ${kind} with: ${submission?.provider ?? "no submission"}`);
  }
  return provider;
}

async function poll(task: PollTask, context: WorkerContext): Promise<void> {
  const provider = providerOf(task, context);
  const { submission } = task;
  const requestId = submission?.request_id ?? task.payload.request_id;
  if (submission === null || requestId === undefined) throw new Error("There is no request to ask for");
  const state = await provider.poll(requestId, submission.references ?? {}, submission.provider_model);
  await context.generation.recordPoll(task, {
    submissionId: submission.submission_id,
    requestId,
    state,
    intervalSeconds: provider.capabilities.pollIntervalSeconds,
  });
}

async function cancel(task: CancelTask, context: WorkerContext): Promise<void> {
  const { submission } = task;
  const provider = submission === null ? null : context.providers.get(submission.provider);
  const outcome = submission === null || submission.request_id === null || provider === null
    ? { outcome: "no_request_id" } as const
    : await provider.cancel(submission.request_id, submission.references ?? {}, submission.provider_model);
  await context.generation.recordCancel(task, outcome);
}
