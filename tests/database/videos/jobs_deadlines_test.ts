import assert from "node:assert/strict";
import { stillDatabase } from "../support/frozen-clock.ts";
import {
  claimSubmission,
  claimTask,
  claimTasks,
  readJob,
  receiveEvent,
  recordCancel,
  recordSubmission,
  retryTask,
  startVideo,
  submit,
  succeeded,
} from "../support/generation.ts";
import { acceptJob } from "../support/jobs.ts";
import { runTask } from "../support/scheduled-tasks.ts";
import { add, openAccount, type Sql, violations } from "../support/ledger.ts";

const second = 1000;
const minute = 60 * second;

/** How many jobs the tick looked at. */
function enforceDeadlines(sql: Sql): Promise<number> {
  return runTask(sql, "enforce_deadlines");
}

Deno.test("a job that no provider took ends with ERR_5002, whatever its cancel task finds", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const jobId = await startVideo(sql);
  await advance(14 * minute);
  assert.equal(await enforceDeadlines(sql), 0);
  await advance(2 * minute);
  assert.equal(await enforceDeadlines(sql), 1);
  assert.deepEqual((await readJob(sql, jobId)).tasks, ["cancel", "submit"]);

  const task = await claimTask(sql, jobId, "cancel");
  assert.equal(await recordCancel(sql, jobId, "no_request_id", task), "failed");
  const { error_code, balance, tasks } = await readJob(sql, jobId);
  assert.deepEqual([error_code, balance, tasks], ["ERR_5002", 10, []]);
});

Deno.test("a job that a provider has, or may have, ends with ERR_5001", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const [taken, unknown, sending] = [await startVideo(sql), await startVideo(sql), await startVideo(sql)];
  await submit(sql, taken, { reportsStart: false });
  const claimed = await claimSubmission(sql, unknown);
  await recordSubmission(sql, claimed ?? "", { outcome: "unknown", cause: "lost" });
  await claimSubmission(sql, sending);
  await advance(16 * minute);
  assert.equal(await enforceDeadlines(sql), 3);
  for (
    const [jobId, answer] of [
      [taken, "too_late"],
      [unknown, "no_request_id"],
      [sending, "requested"],
    ] as const
  ) {
    assert.equal(await recordCancel(sql, jobId, answer, await claimTask(sql, jobId, "cancel")), "failed");
    assert.equal((await readJob(sql, jobId)).error_code, "ERR_5001");
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("a running job is due by its start, and a storing one never", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const [running, storing] = [await startVideo(sql), await startVideo(sql)];
  const started = await submit(sql, running);
  const stored = await submit(sql, storing);
  await advance(14 * minute);
  await receiveEvent(sql, started, { state: "running" });
  await receiveEvent(sql, stored, succeeded);
  await advance(14 * minute);
  assert.equal(await enforceDeadlines(sql), 0);
  await advance(2 * minute);
  assert.equal(await enforceDeadlines(sql), 1);
  assert.deepEqual((await readJob(sql, running)).tasks, ["cancel", "poll"]);
  assert.deepEqual((await readJob(sql, storing)).tasks, ["store"]);
});

Deno.test("a video that comes while its cancel task waits is stored, and paid", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const jobId = await startVideo(sql);
  const submission = await submit(sql, jobId, { reportsStart: false });
  await advance(16 * minute);
  await enforceDeadlines(sql);
  await receiveEvent(sql, submission, succeeded);
  assert.deepEqual((await readJob(sql, jobId)).tasks, ["store"]);
});

Deno.test("the tick settles a job whose cancel task died, and one that no worker came for in 5 minutes", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const [died, forgotten] = [await startVideo(sql), await startVideo(sql)];
  await advance(16 * minute);
  await enforceDeadlines(sql);
  await sql`update queue.tasks set attempts = 4 where subject = ${died} and kind = 'cancel'`;
  assert.equal(await retryTask(sql, await claimTask(sql, died, "cancel")), "dead");
  assert.equal((await readJob(sql, died)).status, "pending");
  assert.equal(await enforceDeadlines(sql), 1);
  assert.equal((await readJob(sql, died)).error_code, "ERR_5002");

  await advance(3 * minute);
  assert.equal(await enforceDeadlines(sql), 0);
  await advance(2 * minute);
  assert.equal(await enforceDeadlines(sql), 1);
  assert.equal((await readJob(sql, forgotten)).error_code, "ERR_5002");
  const tasks = await sql`select from queue.tasks as t where t.subject = any (${[died, forgotten]}::uuid[])`;
  assert.equal(tasks.length, 0);
});

Deno.test("a cancel task that failed for another reason before the bound does not end the job at it", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const jobId = await startVideo(sql);
  await sql`select queue.add('cancel', ${jobId}, null, core.now())`;
  await sql`update queue.tasks set attempts = 4 where kind = 'cancel'`;
  assert.equal(await retryTask(sql, await claimTask(sql, jobId, "cancel")), "dead");
  await advance(16 * minute);
  await enforceDeadlines(sql);
  const { status, tasks } = await readJob(sql, jobId);
  assert.deepEqual([status, tasks], ["pending", ["cancel", "submit"]]);
});

Deno.test("the tick does not cut the backoff of a cancel task short", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const jobId = await startVideo(sql);
  await advance(16 * minute);
  await enforceDeadlines(sql);
  assert.equal(await retryTask(sql, await claimTask(sql, jobId, "cancel"), 30), "waiting");
  await advance(5 * second);
  await enforceDeadlines(sql);
  assert.deepEqual(await claimTasks(sql, 10, jobId), []);
  await advance(26 * second);
  await claimTask(sql, jobId, "cancel");
});

Deno.test("jobs that wait for their cancel task do not keep the tick from those behind them", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const user = await openAccount(sql);
  await add(sql, user, 1000);
  for (let index = 0; index < 101; index++) await acceptJob(sql, user, { dueInMinutes: 1 });
  await advance(2 * minute);
  assert.equal(await enforceDeadlines(sql), 101);
  for (let index = 0; index < 9; index++) await acceptJob(sql, user, { dueInMinutes: 0 });
  assert.equal(await enforceDeadlines(sql), 9);
  assert.equal(await enforceDeadlines(sql), 0);
  assert.equal((await sql`select from queue.tasks where kind = 'cancel'`).length, 110);
});

Deno.test("before its bound only the provider's word cancels a job", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const jobId = await startVideo(sql);
  const submission = await submit(sql, jobId);
  await sql`update videos.jobs set cancel_requested_at = core.now() where id = ${jobId}`;
  await sql`select queue.add('cancel', ${jobId}, null, core.now())`;
  assert.equal(
    await recordCancel(sql, jobId, "requested", await claimTask(sql, jobId, "cancel")),
    "processing",
  );
  // The next poll is due at once: it brings the word.
  assert.deepEqual((await claimTasks(sql, 10, jobId)).map(({ kind }) => kind), ["poll"]);
  await receiveEvent(sql, submission, { state: "cancelled" });
  const { status, balance, tasks } = await readJob(sql, jobId);
  assert.deepEqual([status, balance, tasks], ["cancelled", 10, []]);
});

Deno.test("a cancellation that found no request to cancel is tried again", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const jobId = await startVideo(sql);
  await claimSubmission(sql, jobId);
  await sql`select queue.add('cancel', ${jobId}, null, core.now())`;
  const task = await claimTask(sql, jobId, "cancel");
  assert.equal(await recordCancel(sql, jobId, "no_request_id", task), "processing");
  assert.deepEqual((await readJob(sql, jobId)).tasks, ["cancel", "submit"]);
});
