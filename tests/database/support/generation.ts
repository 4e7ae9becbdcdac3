/** The procedures that carry a job to its end, called as worker and webhook call them. */
import { first, type Sql } from "./ledger.ts";
import { createPayer, generateVideo } from "./videos.ts";

export interface Task {
  task_id: number;
  kind: string;
  subject: string;
  attempt: number;
  owner_id: string | null;
  payload: Record<string, unknown>;
  /** What its kind says of its subject. */
  facts: Facts | null;
}

/** What the handlers of a job's tasks need. */
export interface Facts {
  folder: string;
  paths: string[];
  /** The newest that a provider has, or may have had. */
  submission: { submission_id: string; request_id: string | null } | null;
}

export interface Submission {
  submissionId: string;
  requestId: string;
}

/** A provider's word about a request. */
export type ProviderState =
  | { state: "queued" | "not_found" | "unreachable" }
  | { state: "cancelled"; is_unbilled?: true }
  | { state: "running"; percent?: number }
  | { state: "succeeded"; video_url: string; thumbnail_url: null }
  | { state: "failed"; failure: { code: string; cause: string }; is_unbilled?: true };

export const succeeded: ProviderState = {
  state: "succeeded",
  video_url: "https://provider.example/video.mp4",
  thumbnail_url: null,
};
/** No provider says that it bills what it cancelled before it began. */
export const cancelled: ProviderState = { state: "cancelled", is_unbilled: true };
export const failed: ProviderState = { state: "failed", failure: { code: "ERR_5003", cause: "said so" } };

export interface Job {
  status: string;
  error_code: string | null;
  credits_used: number;
  started_at: Date | null;
  storing_at: Date | null;
  completed_at: Date | null;
  due_at: Date | null;
  late_success_at: Date | null;
  /** What its user has, of the 10 credits that they began with. */
  balance: number;
  /** Open tasks by kind, in alphabetical order. */
  tasks: string[];
}

/** The price of the video that startVideo asks for. */
export const price = 4;

/** Somebody with 10 credits, where nobody is named, asks for a video; it is pending. */
export async function startVideo(sql: Sql, userId?: string): Promise<string> {
  const { data } = await generateVideo(sql, userId ?? await createPayer(sql, 10));
  if (data === undefined) throw new Error("The video was not accepted");
  return data.job_id;
}

export async function readJob(sql: Sql, jobId: string): Promise<Job> {
  const job = await first(sql<Job[]>`
    select j.status, j.error_code, j.credits_used::integer, j.started_at, j.storing_at, j.completed_at, j.due_at,
      j.late_success_at,
      (
        select a.balance::integer from credits.accounts as a where a.owner_id = j.user_id and a.kind = 'available'
      ) as balance,
      (
        select coalesce(array_agg(t.kind order by t.kind), '{}') from queue.tasks as t
        where t.subject = j.id and t.failed_at is null
      ) as tasks
    from videos.jobs as j
    where j.id = ${jobId}`);
  return { ...job };
}

/** The submission that was claimed; null where there was nothing to claim. */
export async function claimSubmission(sql: Sql, jobId: string, providers = ["fal"]): Promise<string | null> {
  const { data } = await first(sql<{ data: { claimed: boolean; submission_id?: string } }[]>`
    select api.claim_submission(${jobId}, ${providers}) -> 'data' as data`);
  return data.submission_id ?? null;
}

export type SubmissionOutcome =
  | { outcome: "accepted"; request_id: string; reports_start?: boolean }
  | { outcome: "refused"; failure: { code: string; cause: string } }
  | { outcome: "not_accepted"; cause: string; retry_after_seconds?: number; is_busy?: boolean }
  | { outcome: "unknown"; cause: string };

/** The status that the job has after it. */
export async function recordSubmission(
  sql: Sql,
  submissionId: string,
  outcome: SubmissionOutcome,
  providers = ["fal"],
): Promise<string> {
  const { status } = await first(sql<{ status: string }[]>`
    select api.record_submission(${submissionId}, ${
    sql.json(outcome)
  }, 5, ${providers}) -> 'data' ->> 'status'
      as status`);
  return status;
}

/** Claims the job, and the provider takes it. */
export async function submit(sql: Sql, jobId: string, { reportsStart = true } = {}): Promise<Submission> {
  const submissionId = await claimSubmission(sql, jobId);
  if (submissionId === null) throw new Error("There was nothing to claim");
  const requestId = `request-${crypto.randomUUID()}`;
  await recordSubmission(sql, submissionId, {
    outcome: "accepted",
    request_id: requestId,
    reports_start: reportsStart,
  });
  return { submissionId, requestId };
}

/** A webhook's effect, or the code of its refusal. `owner` is named by whose reference its URL has, where not the job's. */
export async function receiveEvent(
  sql: Sql,
  { submissionId, requestId }: Submission,
  state: ProviderState,
  eventId: string = crypto.randomUUID(),
  provider = "fal",
  owner: string | null = null,
): Promise<string> {
  const { answer } = await first(sql<{ answer: { data?: { effect: string }; error?: string } }[]>`
    select api.provider_webhook(coalesce(${owner}, (
        select u.reference from videos.submissions as s join accounts.users as u on u.id = s.owner_id
        where s.id = ${submissionId}
      )), ${provider}, ${submissionId}, ${eventId}, ${requestId}, ${sql.json(state)})
      as answer`);
  return answer.data?.effect ?? answer.error ?? "";
}

export async function claimTasks(sql: Sql, limit = 10, subject: string | null = null): Promise<Task[]> {
  const { tasks } = await first(sql<{ tasks: Task[] }[]>`
    select api.claim_tasks(${limit}, ${subject}) -> 'data' as tasks`);
  return tasks;
}

export async function loadTask(sql: Sql, { subject }: Pick<Task, "subject">): Promise<Facts> {
  const { facts } = await first(sql<{ facts: Facts }[]>`
    select videos.task_facts(${subject}) as facts`);
  return facts;
}

/** Leases the one due task of that kind that the job has. */
export async function claimTask(sql: Sql, jobId: string, kind: string): Promise<Task> {
  const task = (await claimTasks(sql, 10, jobId)).find((task) => task.kind === kind);
  if (task === undefined) throw new Error(`The job has no ${kind} task that is due`);
  return task;
}

/** No task: what a worker says that lost its lease. */
const noTask: Pick<Task, "task_id" | "attempt"> = { task_id: 0, attempt: 0 };

export async function recordPoll(
  sql: Sql,
  { submissionId, requestId }: Submission,
  state: ProviderState,
  task = noTask,
): Promise<string> {
  const { status } = await first(sql<{ status: string }[]>`
    select api.record_poll(${task.task_id}, ${task.attempt}, ${submissionId}, ${requestId}, ${
    sql.json(state)
  }, 5)
      -> 'data' ->> 'status' as status`);
  return status;
}

export type CancelOutcome =
  | { outcome: "cancelled" | "requested" | "too_late" | "not_found" | "no_request_id" }
  | { outcome: "unreachable"; cause: string; needs_operator?: boolean };

export async function recordCancel(
  sql: Sql,
  jobId: string,
  outcome: CancelOutcome | CancelOutcome["outcome"],
  task = noTask,
  bill: { is_unbilled?: true } = outcome === "cancelled" ? { is_unbilled: true } : {},
): Promise<string> {
  const { status } = await first(sql<{ status: string }[]>`
    select api.record_cancel(${task.task_id}, ${task.attempt}, ${jobId}, ${
    sql.json({ ...(typeof outcome === "string" ? { outcome } : outcome), ...bill })
  })
      -> 'data' ->> 'status' as status`);
  return status;
}

/** `made` is what the video is, where not what the cheapest model makes. */
export async function recordStored(
  sql: Sql,
  jobId: string,
  task = noTask,
  made: Record<string, string | number> = {},
): Promise<string> {
  const assets = [{
    kind: "video",
    path: `${jobId}/video.mp4`,
    bytes: 1000,
    content_type: "video/mp4",
    duration_milliseconds: 5000,
    width: 1920,
    height: 1080,
    codec: "avc1",
    frames: 120,
    ...made,
  }];
  const urls = {
    video_url: "https://storage.example/video.mp4",
    video_url_expires_at: "2099-01-01T00:00:00Z",
  };
  const { status } = await first(sql<{ status: string }[]>`
    select api.record_stored(${task.task_id}, ${task.attempt}, ${jobId}, ${sql.json(assets)}, ${
    sql.json(urls)
  })
      -> 'data' ->> 'status' as status`);
  return status;
}

export async function recordUnusableResult(sql: Sql, jobId: string, task: Task): Promise<string> {
  const { status } = await first(sql<{ status: string }[]>`
    select api.record_unusable_result(${task.task_id}, ${task.attempt}, ${jobId}, 'no video')
      -> 'data' ->> 'status' as status`);
  return status;
}

/** What became of the attempt: "waiting", "dead" or "lost". */
export async function retryTask(sql: Sql, task: Task, afterSeconds: number | null = null): Promise<string> {
  const { state } = await first(sql<{ state: string }[]>`
    select api.retry_task(${task.task_id}, ${task.attempt}, 'failed', ${afterSeconds}) -> 'data' ->> 'state' as state`);
  return state;
}
