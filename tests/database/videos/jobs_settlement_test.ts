import assert from "node:assert/strict";
import { manyConnections } from "../support/connections.ts";
import { running, storing } from "../support/endings.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import {
  failed,
  price,
  readJob,
  receiveEvent,
  recordCancel,
  recordPoll,
  recordStored,
  recordSubmission,
  startVideo,
  submit,
  succeeded,
} from "../support/generation.ts";
import { settle } from "../support/jobs.ts";
import { rolledBack, type Sql, violations } from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { runTask } from "../support/scheduled-tasks.ts";

const database = sharedDatabase(async () => {
  const database = await stillDatabase();
  // Each of these jobs may end by its bound, and is submitted all the same.
  await database.sql`update videos.providers set failures_to_open = 1000`;
  return database;
});
const { sql, advance } = database;

const minute = 60 * 1000;

Deno.test("a job ends once, whichever of two endings comes first", async () => {
  for (const [endings, isStoring] of [[running, false], [storing, true]] as const) {
    for (const [firstName, first] of Object.entries(endings)) {
      for (const [secondName, second] of Object.entries(endings)) {
        const jobId = await startVideo(sql);
        const submission = await submit(sql, jobId);
        if (isStoring) await receiveEvent(sql, submission, succeeded);
        await first.end(sql, jobId, submission);
        const ended = await readJob(sql, jobId);
        await second.end(sql, jobId, submission);

        const name = `${firstName}, then ${secondName}`;
        assert.deepEqual([ended.status, ended.error_code], [first.status, first.code], name);
        const cost = first.status === "completed" ? price : 0;
        assert.deepEqual([ended.credits_used, ended.balance], [cost, 10 - cost], name);
        // Whatever of its video is in storage has to go.
        const tasks = isStoring && first.status !== "completed" ? ["delete_files"] : [];
        assert.deepEqual([ended.tasks, ended.due_at], [tasks, null], name);
        assert.deepEqual(await readJob(sql, jobId), ended, name);
      }
    }
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("of all endings at once, one ends the job, and the money follows it", async () => {
  await using sql = manyConnections(database);
  for (const [endings, isStoring] of [[running, false], [storing, true]] as const) {
    for (let round = 0; round < 4; round++) {
      const jobId = await startVideo(sql);
      const submission = await submit(sql, jobId);
      if (isStoring) await receiveEvent(sql, submission, succeeded);
      await Promise.all(
        [...Object.values(endings), ...Object.values(endings)].map(({ end }) => end(sql, jobId, submission)),
      );
      const { status, balance, completed_at } = await readJob(sql, jobId);
      assert.ok(completed_at !== null);
      assert.equal(balance, status === "completed" ? 10 - price : 10);
    }
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("each allowed transition is possible, and no other", async () => {
  const allowed = [
    "pending → processing",
    "pending → failed",
    "pending → cancelled",
    "processing → pending",
    "processing → completed",
    "processing → failed",
    "processing → cancelled",
  ];
  const jobId = await startVideo(sql);
  const statuses = ["pending", "processing", "completed", "failed", "cancelled"];
  const possible: string[] = [];
  const put = (sql: Sql, status: string) => {
    const ended = !["pending", "processing"].includes(status);
    return sql`
      update videos.jobs
      set status = ${status}, error_code = ${status === "failed" ? "ERR_5002" : null},
        completed_at = case when ${ended} then core.now() end, due_at = case when not ${ended} then core.now() end
      where id = ${jobId}`;
  };
  for (const from of statuses) {
    for (const to of statuses.filter((status) => status !== from)) {
      await rolledBack(sql, async (sql) => {
        await sql`alter table videos.jobs disable trigger check_job_transition`;
        await put(sql, from);
        await sql`alter table videos.jobs enable trigger check_job_transition`;
        await sql.savepoint((sql) => put(sql, to)).then(
          () => possible.push(`${from} → ${to}`),
          (error) => assert.match(error.message, /^job .+ cannot go from \w+ to \w+$/),
        );
      });
    }
  }
  assert.deepEqual(possible.sort(), allowed.sort());
});

Deno.test("a success that comes after the end is recorded, once, and never charged", async () => {
  const jobId = await startVideo(sql);
  const submission = await submit(sql, jobId);
  await receiveEvent(sql, submission, failed);
  await receiveEvent(sql, submission, succeeded);
  const late = await readJob(sql, jobId);
  assert.equal(late.status, "failed");
  assert.ok(late.late_success_at !== null);
  assert.deepEqual([late.balance, late.tasks], [10, []]);
  await advance(minute);
  await recordPoll(sql, submission, succeeded);
  assert.deepEqual(await readJob(sql, jobId), late);
});

Deno.test("a success that comes again after completion is not late", async () => {
  const jobId = await startVideo(sql);
  const submission = await submit(sql, jobId);
  await receiveEvent(sql, submission, succeeded);
  await recordStored(sql, jobId);
  await recordPoll(sql, submission, succeeded);
  assert.equal((await readJob(sql, jobId)).late_success_at, null);
});

Deno.test("once the provider has succeeded, only storing decides", async () => {
  const jobId = await startVideo(sql);
  const submission = await submit(sql, jobId);
  await receiveEvent(sql, submission, succeeded);
  const stored = await readJob(sql, jobId);
  assert.deepEqual([stored.status, stored.due_at, stored.tasks], ["processing", null, ["store"]]);

  for (
    const state of [failed, { state: "cancelled" }, { state: "not_found" }, { state: "running" }] as const
  ) {
    await receiveEvent(sql, submission, state);
    await recordPoll(sql, submission, state);
  }
  await recordCancel(sql, jobId, "cancelled");
  await advance(24 * 60 * minute);
  await runTask(sql, "enforce_deadlines");
  assert.deepEqual(await readJob(sql, jobId), stored);
  assert.equal(await recordStored(sql, jobId), "completed");
});

Deno.test("what an ended job still hears about its submission changes no money", async () => {
  const jobId = await startVideo(sql);
  const { submissionId } = await submit(sql, jobId);
  await settle(sql, jobId, "cancelled");
  const ended = await readJob(sql, jobId);
  for (
    const outcome of [
      { outcome: "not_accepted", cause: "busy" },
      { outcome: "refused", failure: { code: "ERR_4003", cause: "policy" } },
      { outcome: "unknown", cause: "lost" },
    ] as const
  ) {
    assert.equal(await recordSubmission(sql, submissionId, outcome), "cancelled");
  }
  assert.deepEqual(await readJob(sql, jobId), ended);
  assert.equal(await recordStored(sql, jobId), "cancelled");
  assert.deepEqual(await readJob(sql, jobId), { ...ended, tasks: ["delete_files"] });
  assert.equal((await sql`select from videos.assets where job_id = ${jobId}`).length, 0);
});

Deno.test("a job that is not there cannot be settled", async () => {
  await assert.rejects(settle(database.sql, crypto.randomUUID(), "failed"), { code: "P0002" });
});
