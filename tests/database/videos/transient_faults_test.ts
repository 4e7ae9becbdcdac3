/** What passes by itself ends no job, and what only the operator can mend waits for them, who are told. */
import assert from "node:assert/strict";
import { stillDatabase } from "../support/frozen-clock.ts";
import {
  claimTask,
  failed,
  type ProviderState,
  readJob,
  receiveEvent,
  recordCancel,
  recordPoll,
  startVideo,
  type Submission,
  submit,
  succeeded,
  type Task,
} from "../support/generation.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { runTask } from "../support/scheduled-tasks.ts";

const database = sharedDatabase(stillDatabase);
const { sql, advance } = database;
const second = 1000;
const minute = 60 * second;
const day = 24 * 60 * minute;

const missing: ProviderState = { state: "not_found" };
const refused = { outcome: "unreachable", cause: "fal answered 401", needs_operator: true } as const;

async function alerts(subject: string) {
  const rows = await database.sql`
    select a.rule, a.details, a.count from ops.open_alerts as a where a.subject = ${subject}`;
  return rows.map((row) => ({ ...row }));
}

/** Polls with the task that is due after so long. */
async function poll(jobId: string, submission: Submission, state: ProviderState, after: number) {
  await database.advance(after);
  return await recordPoll(database.sql, submission, state, await claimTask(database.sql, jobId, "poll"));
}

async function retry({ task_id, attempt }: Task, alert: Record<string, unknown> | null): Promise<string> {
  const [row] = await sql`
    select api.retry_task(
      ${task_id}, ${attempt}, 'not here', p_code => 'ERR_6002', p_alert => ${
    alert && sql.json(alert as never)
  }
    ) #>> '{data,state}' as state`;
  return row?.state;
}

Deno.test("a provider that does not find a request at first is asked again, and the video is completed", async () => {
  for (const told of [[missing], [missing, missing], [missing, { state: "unreachable" } as const, missing]]) {
    const jobId = await startVideo(sql);
    const submission = await submit(sql, jobId);
    for (const state of told) assert.equal(await poll(jobId, submission, state, 30 * second), "processing");
    assert.equal(await poll(jobId, submission, succeeded, minute), "processing");
    assert.deepEqual((await readJob(sql, jobId)).tasks, ["store"], "a video that comes late is stored");
  }
});

Deno.test("only a provider that does not know a request for two minutes on end has lost it", async () => {
  const jobId = await startVideo(sql);
  const submission = await submit(sql, jobId);
  await poll(jobId, submission, missing, minute);
  await poll(jobId, submission, { state: "running" }, minute);
  assert.equal(await poll(jobId, submission, missing, 2 * minute), "processing", "it was found in between");
  assert.equal(await poll(jobId, submission, missing, 110 * second), "processing");
  assert.equal(await poll(jobId, submission, missing, minute), "failed");
  const { error_code, balance } = await readJob(sql, jobId);
  assert.deepEqual([error_code, balance], ["ERR_5002", 10]);
});

Deno.test("a webhook that says that a request is not found ends nothing, and its next word counts", async () => {
  const jobId = await startVideo(sql);
  const submission = await submit(sql, jobId);
  await receiveEvent(sql, submission, missing, "first");
  assert.equal((await readJob(sql, jobId)).status, "processing");
  await receiveEvent(sql, submission, failed, "second");
  assert.equal((await readJob(sql, jobId)).error_code, "ERR_5003");
});

Deno.test("a task that waits for the operator costs no try, alerts once, and goes on when it is mended", async () => {
  const jobId = await startVideo(sql);
  const submission = await submit(sql, jobId);
  await receiveEvent(sql, submission, succeeded);
  const alert = { rule: "result_host", subject: "fal cdn.example.com", details: { host: "cdn.example.com" } };
  // More often than the 8 tries that a store task has.
  for (let attempt = 1; attempt <= 30; attempt += 1) {
    await advance(61 * second);
    assert.equal(await retry(await claimTask(sql, jobId, "store"), alert), "waiting");
  }
  assert.deepEqual(await alerts(alert.subject), [{ rule: alert.rule, details: alert.details, count: 30 }]);
  const { status, tasks, balance } = await readJob(sql, jobId);
  assert.deepEqual([status, tasks, balance], ["processing", ["store"], 6]);

  // What is not about the operator counts as ever.
  for (let attempt = 1; attempt <= 8; attempt += 1) {
    await advance(3 * minute);
    const state = await retry(await claimTask(sql, jobId, "store"), null);
    assert.equal(state, attempt < 8 ? "waiting" : "dead");
  }
  assert.equal((await readJob(sql, jobId)).error_code, "ERR_6002");
});

Deno.test("nobody waits for the operator for longer than a day", async () => {
  const jobId = await startVideo(sql);
  await receiveEvent(sql, await submit(sql, jobId), succeeded);
  const alert = { rule: "result_host", subject: "fal late.example.com", details: {} };
  await retry(await claimTask(sql, jobId, "store"), alert);
  await advance(day);
  for (let attempt = 1; attempt <= 8; attempt += 1) {
    await retry(await claimTask(sql, jobId, "store"), alert);
    await advance(3 * minute);
  }
  const { status, error_code, balance } = await readJob(sql, jobId);
  assert.deepEqual([status, error_code, balance], ["failed", "ERR_6002", 10]);
});

Deno.test("an attempt that lost its task alerts nobody", async () => {
  const jobId = await startVideo(sql);
  await receiveEvent(sql, await submit(sql, jobId), succeeded);
  const task = await claimTask(sql, jobId, "store");
  const lost = { ...task, attempt: task.attempt + 1 };
  assert.equal(await retry(lost, { rule: "result_host", subject: "nobody", details: {} }), "lost");
  assert.deepEqual(await alerts("nobody"), []);
});

Deno.test("a job whose provider does not take our key outlives its bound, and is completed once that is mended", async () => {
  const jobId = await startVideo(sql);
  const submission = await submit(sql, jobId);
  await recordPoll(sql, submission, { state: "running" });
  for (let turn = 0; turn < 5; turn += 1) {
    // The bound of a job that runs is 15 minutes; each time it gets 10 more.
    await advance((turn === 0 ? 16 : 11) * minute);
    await runTask(sql, "enforce_deadlines");
    const task = await claimTask(sql, jobId, "cancel");
    assert.equal(await recordCancel(sql, jobId, refused, task), "processing");
  }
  const [alert] = await alerts("fal");
  assert.equal(alert?.rule, "provider_refuses");
  await recordPoll(sql, submission, succeeded);
  assert.deepEqual((await readJob(sql, jobId)).tasks, ["store"]);

  const forgotten = await startVideo(sql);
  await submit(sql, forgotten);
  await advance(day + minute);
  await runTask(sql, "enforce_deadlines");
  assert.equal(await recordCancel(sql, forgotten, refused), "failed", "not for longer than a day");
  assert.equal((await readJob(sql, forgotten)).balance, 10);
});

Deno.test("an alert is one for an hour after it was met last, whoever meets it, and then a new one", async () => {
  const raise = (details: Record<string, boolean>) =>
    sql`select ops.raise_alert('a_rule', 'a subject', ${sql.json(details)})`;
  await raise({ first: true });
  await advance(59 * minute);
  await raise({ second: true });
  await advance(59 * minute);
  await raise({ third: true });
  assert.deepEqual(await alerts("a subject"), [{ rule: "a_rule", details: { third: true }, count: 3 }]);
  await advance(61 * minute);
  await raise({ fourth: true });
  const counts =
    await sql`select a.count from ops.alerts as a where a.subject = 'a subject' order by a.raised_at`;
  assert.deepEqual(counts.map(({ count }) => count), [3, 1]);
});
