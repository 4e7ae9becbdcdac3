/** The procedures that carry a job from acceptance to its end. */
import type { Port } from "../endpoint/context.ts";
import type {
  CancelOutcome,
  Generation,
  ProviderReferences,
  ProviderState,
  SubmitOutcome,
} from "../videos/providers/provider.ts";
import type { JsonValue } from "../platform/json.ts";
import type { JobStatus } from "./job-status.ts";
import type { Verdict } from "../videos/moderation/moderation.ts";
import type { Task } from "../queue/task.ts";
import { procedures } from "./procedures.ts";
import type { SignedUrls } from "./videos.ts";

export interface ClaimedSubmission {
  submissionId: string;
  /** Names the job's owner to others. */
  ownerReference: string;
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

/** What the handlers of a job's tasks need to know of it. */
export interface VideoTaskFacts {
  /** Where the job's files are in storage. */
  folder: string;
  /** The files that are there. */
  paths: string[];
  submission: Submission | null;
}

export interface ProviderReport {
  ownerReference: string;
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
  /** `providers`: all that are configured; `has_others`: another one of them may be claimed at once. */
  recordSubmission(
    submissionId: string,
    outcome: SubmitOutcome,
    provider: { reportsStart: boolean; pollSeconds: number; providers: readonly string[] },
  ): Promise<{ status: JobStatus; has_others: boolean }>;
  recordProviderEvent(
    report: ProviderReport,
  ): Promise<{ job_id: string; effect: "applied" | "asked" | "ignored" | "replayed" }>;
  loadTask(task: Task): Promise<VideoTaskFacts>;
  recordPoll(
    task: Task,
    poll: { submissionId: string; requestId: string; state: ProviderState; intervalSeconds: number },
  ): Promise<{ status: JobStatus }>;
  /** `no_request_id`: no provider could be asked. */
  recordCancel(
    task: Task,
    outcome: CancelOutcome | { outcome: "no_request_id" },
  ): Promise<{ status: JobStatus }>;
  recordStored(task: Task, assets: StoredAsset[], urls: SignedUrls): Promise<{ status: JobStatus }>;
  recordUnusableResult(task: Task, cause: string): Promise<{ status: JobStatus }>;
  recordFilesDeleted(task: Task): Promise<{ deleted: number }>;
  /** Files of the user that storage has; there may be more. */
  loadErasure(task: Task): Promise<{ paths: string[] }>;
  /** `waiting`: a job of the account runs, or more of its files are there. */
  eraseAccount(task: Task): Promise<{ state: "erased" | "waiting" | "dead" | "lost" }>;
}

/** What `claim_submission` answers. */
type Claim =
  | { claimed: false; prompt?: string }
  | {
    claimed: true;
    submission_id: string;
    owner_reference: string;
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
        ownerReference: claim.owner_reference,
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
    recordSubmission: (submissionId, outcome, { reportsStart, pollSeconds, providers }) =>
      call("record_submission", {
        p_submission_id: submissionId,
        p_outcome: toJson({ ...outcome, reportsStart }),
        p_poll_seconds: pollSeconds,
        p_providers: [...providers],
      }),
    recordProviderEvent: ({ ownerReference, provider, submissionId, eventId, requestId, state }) =>
      call("provider_webhook", {
        p_owner_reference: ownerReference,
        p_provider: provider,
        p_submission_id: submissionId,
        p_event_id: eventId,
        p_request_id: requestId,
        p_state: toJson(state),
      }),
    loadTask: (task) => call("load_video_task", { p_job_id: task.subject }),
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
    loadErasure: (task) => call("load_erasure", { p_user_id: task.subject }),
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
