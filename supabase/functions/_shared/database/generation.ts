/** The procedures that carry a job from acceptance to its end. */
import type { Port } from "../context.ts";
import type { ErrorCode } from "../error-codes.ts";
import type {
  CancelOutcome,
  Generation,
  ProviderReferences,
  ProviderState,
  SubmitOutcome,
} from "../providers/provider.ts";
import type { JsonValue } from "../json.ts";
import type { JobStatus } from "./job-status.ts";
import type { Verdict } from "../moderation/moderation.ts";
import { procedures } from "./procedures.ts";
import type { SignedUrls } from "./videos.ts";

export interface ClaimedSubmission {
  submissionId: string;
  provider: string;
  generation: Omit<Generation, "webhookUrl">;
}

/** A prompt that the moderation service has to see before its job may be claimed. */
export interface Unmoderated {
  prompt: string;
}

/** A submission that a provider has, or may have. */
export interface Submission {
  submission_id: string;
  provider: string;
  provider_model: string;
  /** Null while the provider's answer is not known. */
  request_id: string | null;
  references: ProviderReferences | null;
}

interface TaskOf<Kind extends string, Payload> {
  task_id: number;
  kind: Kind;
  /** The job; of `erase_account`, the user. */
  subject: string;
  /** Fences off whoever comes back after the lease. */
  attempt: number;
  payload: Payload;
  user_id: string;
  submission: Submission | null;
}

export type SubmitTask = TaskOf<"submit", unknown>;
/** `request_id`: the id that an event named, where we never learned one. */
export type PollTask = TaskOf<"poll", { request_id?: string }>;
export type CancelTask = TaskOf<"cancel", unknown>;
export type StoreTask = TaskOf<"store", { video_url: string; thumbnail_url: string | null }>;
/** `paths`: the files to remove that are known. */
export type DeleteFilesTask = TaskOf<"delete_files", unknown> & { paths: string[] };
/** `paths`: files of the user that storage has; there may be more. */
export type EraseAccountTask = TaskOf<"erase_account", unknown> & { paths: string[] };
export type Task = SubmitTask | PollTask | CancelTask | StoreTask | DeleteFilesTask | EraseAccountTask;

export interface ProviderReport {
  provider: string;
  submissionId: string;
  eventId: string;
  requestId: string;
  state: ProviderState;
}

export interface StoredAsset {
  kind: "video" | "thumbnail";
  /** In the bucket `videos`. */
  path: string;
  bytes: number;
  content_type: string;
  /** Hex. */
  sha256: string;
  duration_milliseconds: number | null;
  width: number | null;
  height: number | null;
}

export interface GenerationDatabase {
  /** Null where there is nothing to send. `moderates`: whether there is a moderation service to ask before. */
  claimSubmission(
    jobId: string,
    offer: { providers: readonly string[]; moderates: boolean },
  ): Promise<ClaimedSubmission | Unmoderated | null>;
  recordModeration(jobId: string, verdict: Verdict): Promise<{ status: JobStatus }>;
  recordSubmission(
    submissionId: string,
    outcome: SubmitOutcome,
    provider: { reportsStart: boolean; pollSeconds: number },
  ): Promise<{ status: JobStatus }>;
  recordProviderEvent(
    report: ProviderReport,
  ): Promise<{ job_id: string; effect: "applied" | "asked" | "ignored" | "replayed" }>;
  /** Of one job, if it is named. */
  claimTasks(limit: number, jobId?: string): Promise<Task[]>;
  /** `code` and `reason` go to the error log. */
  retryTask(
    task: Task,
    error: { code: ErrorCode; reason: string },
  ): Promise<{ state: "waiting" | "dead" | "lost" }>;
  recordPoll(
    task: PollTask,
    poll: { submissionId: string; requestId: string; state: ProviderState; intervalSeconds: number },
  ): Promise<{ status: JobStatus }>;
  /** `no_request_id`: no provider could be asked. */
  recordCancel(
    task: CancelTask,
    outcome: CancelOutcome | { outcome: "no_request_id" },
  ): Promise<{ status: JobStatus }>;
  recordStored(task: StoreTask, assets: StoredAsset[], urls: SignedUrls): Promise<{ status: JobStatus }>;
  recordUnusableResult(task: StoreTask, cause: string): Promise<{ status: JobStatus }>;
  recordFilesDeleted(task: DeleteFilesTask): Promise<{ deleted: number }>;
  /** `waiting`: a job of the account runs, or more of its files are there. */
  eraseAccount(task: EraseAccountTask): Promise<{ state: "erased" | "waiting" | "dead" | "lost" }>;
}

/** What `claim_submission` answers. */
type Claim =
  | { claimed: false; prompt?: string }
  | {
    claimed: true;
    submission_id: string;
    provider: string;
    provider_model: string;
    prompt: string;
    settings: { duration_seconds: number; resolution: string; aspect_ratio: string };
    image_url: string | null;
  };

export const generation: Port<GenerationDatabase> = (runtime) => {
  const call = procedures(runtime);
  return {
    claimSubmission: async (jobId, { providers, moderates }) => {
      const claim = await call<Claim, "claim_submission">("claim_submission", {
        p_job_id: jobId,
        p_providers: [...providers],
        p_moderates: moderates,
      });
      if (!claim.claimed) return claim.prompt === undefined ? null : { prompt: claim.prompt };
      return {
        submissionId: claim.submission_id,
        provider: claim.provider,
        generation: {
          providerModel: claim.provider_model,
          prompt: claim.prompt,
          durationSeconds: claim.settings.duration_seconds,
          resolution: claim.settings.resolution,
          aspectRatio: claim.settings.aspect_ratio,
          imageUrl: claim.image_url,
        },
      };
    },
    recordModeration: (jobId, verdict) =>
      call("record_moderation", { p_job_id: jobId, p_verdict: toJson(verdict) }),
    recordSubmission: (submissionId, outcome, { reportsStart, pollSeconds }) =>
      call("record_submission", {
        p_submission_id: submissionId,
        p_outcome: toJson({ ...outcome, reportsStart }),
        p_poll_seconds: pollSeconds,
      }),
    recordProviderEvent: ({ provider, submissionId, eventId, requestId, state }) =>
      call("provider_webhook", {
        p_provider: provider,
        p_submission_id: submissionId,
        p_event_id: eventId,
        p_request_id: requestId,
        p_state: toJson(state),
      }),
    claimTasks: (limit, jobId) => call("claim_tasks", { p_limit: limit, p_job_id: jobId ?? null }),
    retryTask: (task, { code, reason }) =>
      call("retry_task", {
        p_task_id: task.task_id,
        p_attempt: task.attempt,
        p_error: reason,
        p_code: code,
      }),
    recordPoll: (task, { submissionId, requestId, state, intervalSeconds }) =>
      call("record_poll", {
        p_task_id: task.task_id,
        p_attempt: task.attempt,
        p_submission_id: submissionId,
        p_request_id: requestId,
        p_state: toJson(state),
        p_interval_seconds: intervalSeconds,
      }),
    recordCancel: (task, outcome) =>
      call("record_cancel", {
        p_task_id: task.task_id,
        p_attempt: task.attempt,
        p_job_id: task.subject,
        p_outcome: toJson(outcome),
      }),
    recordStored: (task, assets, urls) =>
      call("record_stored", {
        p_task_id: task.task_id,
        p_attempt: task.attempt,
        p_job_id: task.subject,
        p_assets: assets.map((asset) => ({ ...asset })),
        p_urls: { ...urls },
      }),
    recordUnusableResult: (task, cause) =>
      call("record_unusable_result", {
        p_task_id: task.task_id,
        p_attempt: task.attempt,
        p_job_id: task.subject,
        p_cause: cause,
      }),
    recordFilesDeleted: (task) =>
      call("record_files_deleted", {
        p_task_id: task.task_id,
        p_attempt: task.attempt,
        p_job_id: task.subject,
      }),
    eraseAccount: (task) =>
      call("erase_account", {
        p_task_id: task.task_id,
        p_attempt: task.attempt,
        p_user_id: task.subject,
      }),
  };
};

/** A port's value with its keys as SQL and JSON write them: `requestId` becomes `request_id`. */
function toJson(value: object): Record<string, JsonValue> {
  const entries = Object.entries(value).map(([key, member]) => [
    key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    member,
  ]);
  return Object.fromEntries(entries);
}
