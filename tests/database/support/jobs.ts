/** Jobs in any state, made without the endpoints. */
import type { EndedJobStatus } from "../../../supabase/functions/_shared/videos/job-status.ts";
import { first, type Sql } from "./ledger.ts";

/** `supabase/seed.sql` makes it: 4 credits a video. */
export const cheapModel = "0190a000-0000-7000-8000-000000000001";

export interface JobOptions {
  price?: number;
  /** Until it must have started. */
  dueInMinutes?: number;
}

/** Makes a pending job and holds its price, as accepting one does. The user must have the credits. */
export async function acceptJob(
  sql: Sql,
  userId: string,
  { price = 4, dueInMinutes = 15 }: JobOptions = {},
): Promise<string> {
  const jobId = crypto.randomUUID();
  const { held } = await first(sql<{ held: boolean }[]>`
    with job as (
      insert into videos.jobs (
        id, user_id, model_id, model_name, prompt, settings, credits_used, request_id, created_at, due_at
      )
      values (
        ${jobId}, ${userId}, ${cheapModel}, 'A model', 'a prompt', '{}', ${price}, 'test', core.now(),
        core.now() + ${dueInMinutes}::integer * interval '1 minute'
      )
      returning id
    )
    select not credits.hold(credits.lock_account(${userId}), ${price}, job.id) ? 'error' as held from job`);
  if (!held) throw new Error(`User ${userId} does not have ${price} credits`);
  return jobId;
}

/** Ends a job as `settle_video_job` does; gives whether this call ended it. */
export async function settle(
  sql: Sql,
  jobId: string,
  status: EndedJobStatus,
): Promise<boolean> {
  const code = status === "failed" ? "ERR_5002" : null;
  const { ended } = await first(sql<{ ended: boolean }[]>`
    select videos.settle_video_job(${jobId}, ${status}, ${code}) as ended`);
  return ended;
}
