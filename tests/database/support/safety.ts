/** What users, strangers and the operator say about a video, as the endpoints call it. */
import type { SafetyCase } from "../../../supabase/functions/_shared/safety/contract.ts";
import type { AdminAnswer } from "./admins.ts";
import { claimTask, receiveEvent, startVideo, submit, succeeded } from "./generation.ts";
import { first, type Sql } from "./ledger.ts";

/** A video of a file of that size, which is there. */
export async function storedVideo(sql: Sql, userId: string, bytes = 1000): Promise<string> {
  const jobId = await startStoring(sql, userId);
  await store(sql, jobId, bytes);
  return jobId;
}

/** A job whose provider has succeeded. */
export async function startStoring(sql: Sql, userId: string): Promise<string> {
  const jobId = await startVideo(sql, userId);
  await receiveEvent(sql, await submit(sql, jobId), succeeded);
  return jobId;
}

/** Its file is in storage: the status that it has then. */
export async function store(sql: Sql, jobId: string, bytes: number): Promise<string> {
  const { task_id, attempt } = await claimTask(sql, jobId, "store");
  const assets = [{
    kind: "video",
    path: `${jobId}/video.mp4`,
    bytes,
    content_type: "video/mp4",
    duration_milliseconds: 5000,
    width: 1920,
    height: 1080,
  }];
  const urls = { video_url: "https://storage.example/v.mp4", video_url_expires_at: "2099-01-01T00:00:00Z" };
  const { status } = await first(sql<{ status: string }[]>`
    select api.record_stored(${task_id}, ${attempt}, ${jobId}, ${sql.json(assets)}, ${sql.json(urls)})
      #>> '{data,status}' as status`);
  return status;
}

/** A worker has read the file: the status that the job has then. */
export async function fingerprint(sql: Sql, jobId: string, sha256: string | null): Promise<string> {
  const { task_id, attempt } = await claimTask(sql, jobId, "fingerprint");
  const { status } = await first(sql<{ status: string }[]>`
    select api.record_fingerprint(${task_id}, ${attempt}, ${jobId}, ${sha256}) #>> '{data,status}' as status`);
  return status;
}

export async function report(
  sql: Sql,
  userId: string,
  jobId: string,
  reason = "hate",
  details: string | null = null,
): Promise<AdminAnswer<{ report_id: string; reason: string }>> {
  const { answer } = await first(sql<{ answer: AdminAnswer<{ report_id: string; reason: string }> }[]>`
    select api.reports(${userId}, ${jobId}, ${reason}, ${details}) as answer`);
  return answer;
}

export interface Notice {
  notice_id: string;
  due_at: string | null;
}

export async function notice(
  sql: Sql,
  jobId: string,
  statement = "It is my face",
  network = "192.0.2.1",
): Promise<AdminAnswer<Notice>> {
  const { answer } = await first(sql<{ answer: AdminAnswer<Notice> }[]>`
    select api.takedown_notices(${network}, ${jobId}, 'ada@example.com', ${statement}) as answer`);
  return answer;
}

export async function appeal(
  sql: Sql,
  userId: string,
  jobId: string,
  statement = "It is me",
): Promise<AdminAnswer<{ status: string }>> {
  const { answer } = await first(sql<{ answer: AdminAnswer<{ status: string }> }[]>`
    select api.appeals(${userId}, ${jobId}, ${statement}) as answer`);
  return answer;
}

export type Decision = "keep" | "remove" | "suspend" | "grant" | "reject";

export async function decide(
  sql: Sql,
  adminId: string,
  jobId: string,
  decision: Decision,
  ground = "real_person",
): Promise<AdminAnswer<SafetyCase>> {
  const removes = decision === "remove" || decision === "suspend";
  const { answer } = await first(sql<{ answer: AdminAnswer<SafetyCase> }[]>`
    select api.patch_admin_reports(${adminId}, 'request', (
      select c.id from safety.cases as c where c.job_id = ${jobId}
    ), ${decision}, 'for a reason', ${removes ? ground : null}) as answer`);
  return answer;
}

export interface ShownJob {
  status: string;
  video_url: string | null;
  error: { code: string; details: Record<string, string> } | null;
}

/** The job as its user sees it, and the files that would be signed. */
export async function shown(sql: Sql, userId: string, jobId: string): Promise<ShownJob & { paths: object }> {
  const { data } = await first(sql<{ data: { job: ShownJob; paths: object } }[]>`
    select api.video_status(${userId}, ${jobId}) -> 'data' as data`);
  const { status, video_url, error } = data.job;
  return { status, video_url, error, paths: data.paths };
}

export async function casesOf(
  sql: Sql,
  adminId: string,
  status: string | null = null,
): Promise<SafetyCase[]> {
  const { cases } = await first(sql<{ cases: SafetyCase[] }[]>`
    select api.get_admin_reports(${adminId}, 100, ${status}) #> '{data,cases}' as cases`);
  return cases;
}
