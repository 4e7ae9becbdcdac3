/** Making videos in tests, and finding out what became of them. */
import assert from "node:assert/strict";
import type * as z from "zod";
import { AcceptedVideo } from "../../../supabase/functions/_shared/videos/contract.ts";
import { VideoStatusResponse } from "../../../supabase/functions/video-status/schema.ts";
import type { FalReport } from "../../../local/simulators/fal/fal.ts";
import { bodyOf } from "./answer.ts";
import type { Backend, Guest } from "./backend.ts";
import { eventually } from "../eventually.ts";

/** Of the seed: 4 credits a video. */
export const kling = "0190a000-0000-7000-8000-000000000001";
export const priceOfKling = 4;

/** The bounds of the models in the seed, and a second. */
export const beyondDeadline = 15 * 60_000 + 1_000;

export type Accepted = z.output<typeof AcceptedVideo>;
export type VideoStatus = z.output<typeof VideoStatusResponse>;

/** Has a video accepted. */
export async function generate(guest: Guest, prompt = "A fox in the snow"): Promise<Accepted> {
  const answer = await guest.call("generate-video", {
    body: { model_id: kling, prompt },
    key: crypto.randomUUID(),
  });
  return bodyOf(answer, 202, AcceptedVideo);
}

/** The job as its user sees it. */
export async function videoStatus(guest: Guest, jobId: string): Promise<VideoStatus> {
  return bodyOf(await guest.call(`video-status?job_id=${jobId}`), 200, VideoStatusResponse);
}

/**
 * Waits for what a worker brings about. Most comes without it, but now and then the scheduler comes by, as on the
 * platform: whoever would do a task at once passes it over while another transaction holds its row.
 */
export async function eventuallyDone<T>(
  { stack }: Backend,
  what: string,
  attempt: () => Promise<T | undefined>,
  tickMilliseconds = 5_000,
): Promise<T> {
  let nextTick = Date.now() + tickMilliseconds;
  return await eventually(what, async () => {
    const value = await attempt();
    if (value === undefined && Date.now() > nextTick) {
      await stack.tick();
      nextTick = Date.now() + tickMilliseconds;
    }
    return value;
  });
}

/** Waits for the job's end without counting against its user's limits, then reads it as its user does. */
export async function ended(backend: Backend, guest: Guest, jobId: string): Promise<VideoStatus> {
  const { database } = backend;
  await eventuallyDone(backend, `job ${jobId} ends`, async () => {
    const [job] = await database.sql<{ ended: boolean }[]>`
      select completed_at is not null as ended from videos.jobs where id = ${jobId}`;
    return job?.ended || undefined;
  }, 1_000);
  return await videoStatus(guest, jobId);
}

export type SubmissionState = "sending" | "accepted" | "not_accepted" | "unknown" | "refused" | "ended";

/** Waits until the job's newest submission is in this state. */
export async function submissionIs(
  backend: Backend,
  jobId: string,
  state: SubmissionState,
): Promise<void> {
  const { database } = backend;
  let last = "not made";
  await eventuallyDone(backend, `the submission of ${jobId} is ${state}`, async () => {
    const [submission] = await database.sql<{ state: SubmissionState }[]>`
      select state from videos.submissions where job_id = ${jobId} order by claimed_at desc, id desc limit 1`;
    last = submission?.state ?? last;
    return last === state || undefined;
  }).catch((cause) => {
    throw new Error(`The submission is ${last}`, { cause });
  });
}

/** The requests for the queue by which the provider was asked to make videos of this prompt. */
export function submissionsOf(report: FalReport, prompt: string): FalReport["requests"] {
  return report.requests.filter(({ host, method, body }) =>
    host === "queue" && method === "POST" && promptOf(body) === prompt
  );
}

/** The requests for this prompt that the provider accepted, by its ids. */
export function acceptedOf({ jobs }: FalReport, prompt: string): string[] {
  return jobs.filter(({ input }) => promptOf(input) === prompt).map(({ requestId }) => requestId);
}

/** The provider's id of the one request for this prompt that it accepted. */
export function requestOf(report: FalReport, prompt: string): string {
  const [requestId, ...others] = acceptedOf(report, prompt);
  assert(requestId !== undefined && others.length === 0, `The provider has ${others.length} more requests`);
  return requestId;
}

export function promptOf(input: unknown): unknown {
  return typeof input === "object" && input !== null && "prompt" in input ? input.prompt : undefined;
}

/** What others see instead of a guest's id. */
export async function referenceOf({ database }: Backend, { id }: Guest): Promise<string> {
  const [user] = await database.sql<{ reference: string }[]>`
    select u.reference from accounts.users as u where u.id = ${id}`;
  if (user === undefined) throw new Error("The guest has called nothing yet");
  return user.reference;
}

/** The paths of what storage has of a guest. */
export async function filesOf(backend: Backend, guest: Guest): Promise<string[]> {
  const folder = `${await referenceOf(backend, guest)}/`;
  const files = await backend.database.sql<{ name: string }[]>`
    select o.name from storage.objects as o where starts_with(o.name, ${folder}) order by o.name`;
  return files.map(({ name }) => name);
}
