/** The seeds' order of steps for one generated video, each awaited before the next. */
import type postgres from "postgres";

export async function charge(sql: postgres.Sql, userId: string, modelId: string, key: string): Promise<void> {
  const known = await sql`select response from baseline.idempotency_log where idempotency_key = ${key}`;
  if (known.length > 0) return;
  const [hits] = await sql`
    select count(*)::int as count from baseline.rate_limit_log
    where user_id = ${userId} and action = 'video_generation' and created_at >= now() - interval '1 hour'`;
  if (hits === undefined) throw new Error("No count");
  await sql`insert into baseline.rate_limit_log (user_id, action) values (${userId}, 'video_generation')`;
  const [model] = await sql`select cost_per_generation from baseline.models where id = ${modelId}`;
  const [user] = await sql`select credits_remaining from baseline.users where id = ${userId}`;
  const cost: number = model?.cost_per_generation;
  if (user?.credits_remaining < cost) throw new Error("Insufficient credits");
  await sql`select baseline.deduct_credits(${userId}, ${cost}, 'video_generation')`;
  const [job] = await sql`
    insert into baseline.video_jobs (user_id, model_id, prompt, credits_used)
    values (${userId}, ${modelId}, 'A cat walks through the city at night', ${cost}) returning id`;
  await sql`
    insert into baseline.idempotency_log (idempotency_key, user_id, response)
    values (${key}, ${userId}, ${sql.json({ job_id: job?.id })})`;
}
