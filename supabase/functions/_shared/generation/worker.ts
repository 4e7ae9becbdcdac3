/** Works off the tasks that the database hands out, until none is due or the time is up. */
import { AppError } from "../app-error.ts";
import type { Config } from "../config.ts";
import type {
  CancelTask,
  DeleteFilesTask,
  EraseAccountTask,
  GenerationDatabase,
  PollTask,
  Task,
} from "../database/generation.ts";
import { type ErrorCode, isServerFault } from "../error-codes.ts";
import type { Logger } from "../logger.ts";
import type { Moderation } from "../moderation/moderation.ts";
import type { Provider } from "../providers/provider.ts";
import type { Providers } from "../providers/registry.ts";
import { redactText } from "../redaction.ts";
import type { Storage } from "../storage.ts";
import { filesOf, storeVideo } from "./store.ts";
import { submitVideo } from "./submit.ts";

export interface WorkerContext {
  readonly generation: GenerationDatabase;
  readonly moderation: Moderation | null;
  readonly providers: Providers;
  readonly storage: Storage;
  readonly config: Config;
  readonly log: Logger;
  readonly fetch: typeof fetch;
  now(): number;
}

/** Tasks are claimed for so long: the platform ends an isolate after 150 s, and storing may take 120 of them. */
const budgetMilliseconds = 25_000;

/** As many as one isolate does at once without running short of memory: each holds a stream at most. */
const batchSize = 10;

/** What the operator reads of an error and its causes; more tells nothing more. */
const longestReason = 500;

/**
 * Claims and does tasks, of one job if it is named, several at once, until none is due or 25 s are over; what is
 * claimed is finished. An attempt that fails goes back with its reason.
 */
export async function work(context: WorkerContext, jobId?: string): Promise<void> {
  const end = context.now() + budgetMilliseconds;
  while (context.now() < end) {
    const tasks = await context.generation.claimTasks(batchSize, jobId);
    if (tasks.length === 0) return;
    await Promise.all(tasks.map((task) => attempt(task, context)));
  }
}

async function attempt(task: Task, context: WorkerContext): Promise<void> {
  const { generation, log } = context;
  try {
    await perform(task, context);
  } catch (error) {
    const { kind, subject, attempt } = task;
    log.warn("task_failed", { kind, subject, attempt, error });
    try {
      await generation.retryTask(task, { code: codeOf(error, kind), reason: reasonOf(error) });
    } catch (error) {
      // The lease runs out and the task comes back by itself; the others of the batch go on.
      log.warn("task_not_returned", { kind, subject, attempt, error });
    }
  }
}

/** The host of a result may be away as our own storage may, and both end the job alike; the rest is a bug. */
function codeOf(error: unknown, kind: Task["kind"]): ErrorCode {
  if (error instanceof AppError && isServerFault(error.code)) return error.code;
  return kind === "store" ? "ERR_6002" : "ERR_6003";
}

/** An AppError's message is its code, and tells nothing without its cause. */
function reasonOf(error: unknown): string {
  const reasons: string[] = [];
  for (let current = error; current instanceof Error; current = current.cause) {
    reasons.push(`${current.name}: ${current.message}`);
  }
  return redactText(reasons.join(" < ") || String(error)).slice(0, longestReason);
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
    case "delete_files":
      return await deleteFiles(task, context);
    case "erase_account":
      return await eraseAccount(task, context);
    default:
      // The database is newer than this deployment: whoever is as new does it later.
      throw new Error(`Unknown kind of task: ${JSON.stringify(task satisfies never)}`);
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

async function deleteFiles(task: DeleteFilesTask, { generation, storage }: WorkerContext): Promise<void> {
  // Of a job that ended without assets, an attempt to store it may have left any file.
  await storage.remove(task.paths.length > 0 ? task.paths : Object.values(filesOf(task)));
  await generation.recordFilesDeleted(task);
}

async function eraseAccount(task: EraseAccountTask, context: WorkerContext): Promise<void> {
  const { generation, storage, log } = context;
  if (task.paths.length > 0) await storage.remove(task.paths);
  const { state } = await generation.eraseAccount(task);
  log.info("account_erasure", { user_id: task.subject, state, files: task.paths.length });
}
