/** What the outside moderation says about a job, and what it means for the claim, the task and the money. */
import assert from "node:assert/strict";
import { stillDatabase } from "../support/frozen-clock.ts";
import { claimTask, readJob, startVideo, submit } from "../support/generation.ts";
import { first, type Sql, violations } from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { runTask } from "../support/scheduled-tasks.ts";

const database = sharedDatabase(stillDatabase);
const { sql } = database;

type Verdict =
  | { verdict: "passed" }
  | { verdict: "refused"; categories: string[] }
  | { verdict: "unavailable"; cause: string; retry_after_seconds: number | null };

const refused: Verdict = { verdict: "refused", categories: ["sexual", "violence/graphic"] };
const unavailable: Verdict = { verdict: "unavailable", cause: "no connection", retry_after_seconds: null };

/** What claim_submission says where there is a service to ask, to whoever comes with its verdict or without. */
async function claim(
  sql: Sql,
  jobId: string,
  verdict: Verdict | null = null,
): Promise<"claimed" | "nothing" | { prompt: string }> {
  const { data } = await first(sql<{ data: { claimed: boolean; prompt: string } }[]>`
    select api.claim_submission(${jobId}, '{fal}', true, ${
    verdict === null ? null : sql.json(verdict)
  }) -> 'data' as data`);
  return data.claimed ? "claimed" : data.prompt === undefined ? "nothing" : { prompt: data.prompt };
}

/** The status that a job has after a verdict with which nothing can be claimed. */
async function moderate(sql: Sql, jobId: string, verdict: Verdict): Promise<string> {
  assert.equal(await claim(sql, jobId, verdict), "nothing");
  return (await readJob(sql, jobId)).status;
}

/** Seconds until the submit task may run, and until its lease ends; null where it has none. */
async function taskOf(sql: Sql, jobId: string) {
  return await first(sql<{ runs_in: number; leased_for: number | null; last_error: string | null }[]>`
    select extract(epoch from t.run_at - core.now())::float as runs_in,
      extract(epoch from t.leased_until - core.now())::float as leased_for, t.last_error
    from queue.tasks as t where t.kind = 'submit' and t.subject = ${jobId}`);
}

Deno.test("nothing is claimed before the prompt was let pass, and then it is not asked for again", async () => {
  const jobId = await startVideo(sql);
  assert.deepEqual(await claim(sql, jobId), { prompt: "a prompt" });
  assert.deepEqual(
    await claim(sql, jobId),
    { prompt: "a prompt" },
    "a question whose answer was lost is asked again",
  );
  assert.equal((await readJob(sql, jobId)).status, "pending");
  assert.equal(await claim(sql, jobId, { verdict: "passed" }), "claimed");

  await sql`select api.record_submission(s.id, '{"outcome": "not_accepted", "cause": "429"}', 5)
    from videos.submissions as s where s.job_id = ${jobId}`;
  await database.advance(61_000);
  assert.equal(await claim(sql, jobId), "claimed", "the verdict is remembered");
});

Deno.test("whoever has the prompt is left alone with it until the lease runs out", async () => {
  const jobId = await startVideo(sql);
  await claim(sql, jobId);
  const { leased_for } = await taskOf(sql, jobId);
  assert(leased_for !== null && leased_for > 59, `${leased_for}`);
  await database.advance(10_000);
  await assert.rejects(claimTask(sql, jobId, "submit"));
  await database.advance(51_000);
  await claimTask(sql, jobId, "submit");
});

Deno.test("a refused prompt ends its job with ERR_4003, gives the credits back and is never claimed", async () => {
  const jobId = await startVideo(sql);
  await claim(sql, jobId);
  assert.equal(await moderate(sql, jobId, refused), "failed");
  assert.partialDeepStrictEqual(await readJob(sql, jobId), {
    status: "failed",
    error_code: "ERR_4003",
    balance: 10,
    tasks: [],
  });
  const job = await first(sql`select error_details, flag from videos.jobs where id = ${jobId}`);
  assert.deepEqual({ ...job }, { error_details: { reason: "policy" }, flag: "sexual, violence/graphic" });
  assert.equal(await claim(sql, jobId), "nothing");
  assert.equal(await moderate(sql, jobId, { verdict: "passed" }), "failed", "the first verdict counts");
  assert.deepEqual(await violations(sql), []);
});

Deno.test("without a verdict the task waits, no shorter than the service asks, and the bound ends the job", async () => {
  const jobId = await startVideo(sql);
  await claim(sql, jobId);
  await moderate(sql, jobId, unavailable);
  const waiting = await taskOf(sql, jobId);
  assert.deepEqual([waiting.leased_for, waiting.last_error], [null, "no connection"]);
  assert(waiting.runs_in > 0 && waiting.runs_in <= 2, `${waiting.runs_in}`);
  await moderate(sql, jobId, { ...unavailable, retry_after_seconds: 90 });
  assert((await taskOf(sql, jobId)).runs_in > 89);

  await database.advance(15 * 60_000);
  assert.equal(await claim(sql, jobId), "nothing", "nobody is asked about a job that is overdue");
  await runTask(sql, "enforce_deadlines");
  const task = await claimTask(sql, jobId, "cancel");
  await sql`select api.record_cancel(${task.task_id}, ${task.attempt}, ${jobId}, '{"outcome": "no_request_id"}')`;
  assert.partialDeepStrictEqual(await readJob(sql, jobId), { error_code: "ERR_5002", balance: 10 });
});

Deno.test("a verdict that comes when the job has gone on changes nothing", async () => {
  const sent = await startVideo(sql);
  await submit(sql, sent);
  assert.equal(await moderate(sql, sent, refused), "processing");
  assert.equal(await moderate(sql, sent, { verdict: "passed" }), "processing");
  // Let pass, but no provider was to be had.
  const passed = await startVideo(sql);
  await sql`update videos.providers set is_enabled = false where name = 'fal'`;
  assert.equal(await moderate(sql, passed, { verdict: "passed" }), "pending");
  await sql`update videos.providers set is_enabled = true where name = 'fal'`;
  assert.equal(await moderate(sql, passed, refused), "pending");
  assert.equal(await moderate(sql, passed, unavailable), "pending");
  assert.equal((await taskOf(sql, passed)).last_error, "no provider is to be had now");
  assert.equal(await claim(sql, passed), "claimed", "it is remembered that it was let pass");
  const ended = await startVideo(sql);
  await sql`select videos.settle_video_job(${ended}, 'cancelled')`;
  assert.equal(await moderate(sql, ended, refused), "cancelled");
  const { flags } = await first(sql`
    select count(flag)::int as flags from videos.jobs where id in ${sql([sent, passed, ended])}`);
  assert.equal(flags, 0);
  assert.deepEqual(await violations(sql), []);
});
