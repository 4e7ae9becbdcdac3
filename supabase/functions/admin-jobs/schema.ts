import * as z from "zod/mini";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";
import { AdminAction, Reason, UserId } from "../_shared/ops/contract.ts";
import { pageQuery } from "../_shared/request/cursor.ts";
import { Job, JobStage, JobStatus } from "../_shared/videos/contract.ts";

const timestamp = z.iso.datetime({ precision: 3 });
const id = z.guid().check(z.toLowerCase());
const count = z.int().check(z.nonnegative());

export const GetAdminJobsQuery = z.strictObject({
  ...pageQuery,
  status: z.optional(JobStatus),
  user_id: z.optional(UserId),
  model_id: z.optional(id),
  /** Where the job is, or was last. */
  provider: z.optional(z.string().check(z.regex(/^[a-z0-9_-]{1,50}$/))),
  error_code: z.optional(z.string().check(z.regex(/^ERR_\d{4}$/))),
  /** Alone: the story of this one. */
  job_id: z.optional(id),
}).check(
  z.refine(
    ({ job_id, status, user_id, model_id, provider, error_code, cursor }) =>
      job_id === undefined ||
      [status, user_id, model_id, provider, error_code, cursor].every((filter) => filter === undefined),
    { path: ["job_id"], error: "Must stand without a filter and without a cursor" },
  ),
);
export type GetAdminJobsQuery = z.infer<typeof GetAdminJobsQuery>;

/** What a cursor holds: the last job that was looked at. Ids begin with the time. */
export const JobsPosition = z.strictObject({ id: z.guid() });

/** A job as the operator sees it. */
export const AdministeredJob = z.object({
  job_id: z.uuid(),
  user_id: z.guid(),
  status: JobStatus,
  stage: JobStage,
  model_id: z.uuid(),
  model_name: z.string(),
  /** Where it is, or was last; null before its first submission. */
  provider: z.nullable(z.string()),
  error_code: z.nullable(z.string()),
  credits_used: count,
  created_at: timestamp,
  started_at: z.nullable(timestamp),
  completed_at: z.nullable(timestamp),
  /** Its user has deleted it. */
  is_deleted: z.boolean(),
});
export type AdministeredJob = z.infer<typeof AdministeredJob>;

/** One whose video is ready. */
export function exampleAdministeredJob(): AdministeredJob {
  return {
    job_id: exampleIds.job,
    user_id: exampleIds.user,
    status: "completed",
    stage: "done",
    model_id: exampleIds.model,
    model_name: "Kling 2.5 Turbo Pro",
    provider: "fal",
    error_code: null,
    credits_used: 4,
    created_at: "2026-11-21T11:58:30.000Z",
    started_at: "2026-11-21T11:58:40.000Z",
    completed_at: "2026-11-21T12:00:00.000Z",
    is_deleted: false,
  };
}

const File = z.object({
  kind: z.enum(["video", "thumbnail"]),
  bytes: z.int().check(z.positive()),
  content_type: z.string(),
  width: z.nullable(z.int()),
  height: z.nullable(z.int()),
  duration_milliseconds: z.nullable(z.int()),
  /** How near a video comes to what was ordered, from 0 to 100. */
  quality: z.nullable(z.int()),
  created_at: timestamp,
  /** Good for 10 minutes. Null of what was deleted or removed, and while storage does not answer. */
  url: z.nullable(z.url()),
});

/** All that there is of a job, each list by its time; of each the newest 100. */
export const JobStory = z.object({
  job: z.extend(AdministeredJob, {
    /** Of the request that made it; null once it is erased. */
    request_id: z.nullable(z.string()),
    client_reference: Job.shape.client_reference,
    project_id: Job.shape.project_id,
    /** The size alone, since a model's own inputs may be texts. */
    settings: z.object({
      duration_seconds: z.optional(z.int()),
      resolution: z.optional(z.string()),
      aspect_ratio: z.optional(z.string()),
    }),
    error_details: z.nullable(z.looseObject({})),
    /** Why it may be worth a look: what a term or the moderation service said of the prompt. */
    flag: z.nullable(z.string()),
    percent: z.nullable(z.int()),
    /** When the bound that is running now is over. */
    due_at: z.nullable(timestamp),
    storing_at: z.nullable(timestamp),
    cancel_requested_at: z.nullable(timestamp),
    /** When a success came after the end. */
    late_success_at: z.nullable(timestamp),
    /** The job whose video it is made from. */
    source_job_id: z.nullable(z.uuid()),
    deleted_at: z.nullable(timestamp),
    /** When the operator removed the video. */
    removed_at: z.nullable(timestamp),
  }),
  postings: z.array(z.object({
    id: z.uuid(),
    kind: z.enum(["hold", "capture", "release", "refund"]),
    /** Signed, as it moved the user's credits. A capture moves none of them: it is what the hold took. */
    amount: z.int(),
    balance_after: z.nullable(count),
    created_at: timestamp,
  })),
  submissions: z.array(z.object({
    submission_id: z.uuid(),
    provider: z.string(),
    provider_model: z.string(),
    state: z.enum(["sending", "accepted", "not_accepted", "unknown", "refused", "ended"]),
    /** The provider's. */
    request_id: z.nullable(z.string()),
    cost_cents: z.number(),
    cause: z.nullable(z.string()),
    claimed_at: timestamp,
    accepted_at: z.nullable(timestamp),
    ended_at: z.nullable(timestamp),
  })),
  provider_events: z.array(z.object({
    provider: z.string(),
    event_id: z.string(),
    submission_id: z.uuid(),
    /** What it reported; null once it is erased. */
    state: z.nullable(z.string()),
    effect: z.enum(["applied", "asked", "ignored"]),
    received_at: timestamp,
  })),
  tasks: z.array(z.object({
    task_id: z.int(),
    kind: z.string(),
    attempts: count,
    run_at: timestamp,
    leased_until: z.nullable(timestamp),
    last_error: z.nullable(z.string()),
    /** Of a dead letter. */
    failed_at: z.nullable(timestamp),
    created_at: timestamp,
  })),
  files: z.array(File),
  /** What went wrong in the request that made it. */
  errors: z.array(z.object({
    code: z.string(),
    severity: z.string(),
    endpoint: z.string(),
    count: z.int().check(z.positive()),
    context: z.looseObject({}),
    occurred_at: timestamp,
  })),
  admin_actions: z.array(AdminAction),
});
export type JobStory = z.infer<typeof JobStory>;

/** As the database tells it: with where the files are, to sign their URLs. */
export const StoredStory = z.extend(JobStory, {
  files: z.array(z.extend(z.omit(File, { url: true }), { path: z.nullable(z.string()) })),
});
export type StoredStory = z.infer<typeof StoredStory>;

/** A page as the database tells it, with where the next one begins; null at the end. */
export const JobsPage = z.object({
  jobs: z.array(AdministeredJob),
  story: z.nullable(StoredStory),
  next: z.nullable(JobsPosition),
});
export type JobsPage = z.infer<typeof JobsPage>;

export const GetAdminJobsResponse = z.object({
  jobs: z.array(AdministeredJob),
  /** Of the job that was asked for; null of a list. */
  story: z.nullable(JobStory),
  next_cursor: z.nullable(z.string()),
});
export type GetAdminJobsResponse = z.infer<typeof GetAdminJobsResponse>;

export const PostAdminJobsRequest = z.strictObject({ job_id: id, reason: Reason });
export type PostAdminJobsRequest = z.infer<typeof PostAdminJobsRequest>;

export const PostAdminJobsResponse = z.object({
  job_id: z.guid(),
  /** Null once it is erased. */
  prompt: z.nullable(z.string()),
});
export type PostAdminJobsResponse = z.infer<typeof PostAdminJobsResponse>;
