/** What becomes of the jobs of an account that is closed. */
import assert from "node:assert/strict";
import { closeAccount, createGuest, creditsOf } from "../support/accounts.ts";
import { times } from "../support/connections.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import {
  claimSubmission,
  claimTask,
  claimTasks,
  failed,
  loadTask,
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
import { violations } from "../support/ledger.ts";

Deno.test("pending jobs end at once, and their credits are forfeited with the rest", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const userId = await createGuest(database);
  const jobs = [await startVideo(sql, userId), await startVideo(sql, userId)];
  await closeAccount(sql, userId);
  for (const jobId of jobs) {
    const { status, credits_used, tasks } = await readJob(sql, jobId);
    assert.deepEqual([status, credits_used, tasks], ["cancelled", 0, []]);
  }
  assert.deepEqual(await creditsOf(sql, userId), { available: 0, forfeited: 10 });
  assert.deepEqual(await violations(sql), []);
});

Deno.test("a job that a provider has ends as cancelled, whatever the provider answers to that", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  for (const answer of ["cancelled", "requested", "too_late", "not_found", "no_request_id"] as const) {
    const userId = await createGuest(database);
    const jobId = await startVideo(sql, userId);
    await submit(sql, jobId);
    await closeAccount(sql, userId);
    assert.equal((await readJob(sql, jobId)).status, "processing");
    assert.equal(await recordCancel(sql, jobId, answer, await claimTask(sql, jobId, "cancel")), "cancelled");
    const { error_code, tasks } = await readJob(sql, jobId);
    assert.deepEqual([error_code, tasks], [null, []]);
    assert.deepEqual(await creditsOf(sql, userId), { available: 0, forfeited: 10 });
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("a job whose request is on its way is cancelled as soon as it has an id", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const userId = await createGuest(database);
  const jobId = await startVideo(sql, userId);
  const submissionId = await claimSubmission(sql, jobId) ?? "";
  // A wish from before, which finds nobody to ask.
  await sql`select api.cancel_video(${userId}, ${jobId})`;
  await closeAccount(sql, userId);
  const early = await claimTask(sql, jobId, "cancel");
  assert.equal(await recordCancel(sql, jobId, "no_request_id", early), "processing");

  await recordSubmission(sql, submissionId, { outcome: "accepted", request_id: "r", reports_start: true });
  await advance(1_000);
  const task = await claimTask(sql, jobId, "cancel");
  assert.equal((await loadTask(sql, task)).submission?.request_id, "r");
  assert.equal(await recordCancel(sql, jobId, "requested", task), "cancelled");
});

Deno.test("a job whose request comes to nothing ends with that, or when nobody waits for it any more", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const userId = await createGuest(database, 20);
  const jobs = await times(4, () => startVideo(sql, userId));
  const submissions = await Promise.all(jobs.map((jobId) => claimSubmission(sql, jobId)));
  const [refused = "", notAccepted = "", unknown = "", lost = ""] = jobs;
  await closeAccount(sql, userId);
  const failure = { code: "ERR_5003", cause: "no" };
  await recordSubmission(sql, submissions[0] ?? "", { outcome: "refused", failure });
  await recordSubmission(sql, submissions[1] ?? "", { outcome: "not_accepted", cause: "busy" });
  await recordSubmission(sql, submissions[2] ?? "", { outcome: "unknown", cause: "lost" });
  for (const jobId of [refused, notAccepted]) assert.equal((await readJob(sql, jobId)).status, "cancelled");

  // The others have nobody to ask; the lease of a submission is a minute.
  for (const jobId of [unknown, lost]) assert.deepEqual(await claimTasks(sql, 10, jobId), []);
  await advance(61_000);
  for (const jobId of [unknown, lost]) {
    const task = await claimTask(sql, jobId, "cancel");
    assert.equal(await recordCancel(sql, jobId, "no_request_id", task), "cancelled");
  }
  assert.deepEqual(await creditsOf(sql, userId), { available: 0, forfeited: 20 });
  assert.deepEqual(await violations(sql), []);
});

Deno.test("a job that is being stored ends at once, and what its worker brings is not kept", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const userId = await createGuest(database);
  const jobId = await startVideo(sql, userId);
  await receiveEvent(sql, await submit(sql, jobId), succeeded);
  const task = await claimTask(sql, jobId, "store");
  await closeAccount(sql, userId);
  assert.equal((await readJob(sql, jobId)).status, "cancelled");
  assert.equal(await recordStored(sql, jobId, task), "cancelled");
  assert.equal((await sql`select from videos.assets`).length, 0);
  assert.deepEqual(await creditsOf(sql, userId), { available: 0, forfeited: 10 });
  assert.deepEqual(await violations(sql), []);
});

Deno.test("whatever a provider says of a job whose account was closed ends it as cancelled, and nothing is stored", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  for (const word of [succeeded, failed, { state: "cancelled" }, { state: "not_found" }] as const) {
    for (const by of ["webhook", "poll"]) {
      const userId = await createGuest(database);
      const jobId = await startVideo(sql, userId);
      const submission = await submit(sql, jobId);
      await receiveEvent(sql, submission, { state: "running" });
      await closeAccount(sql, userId);
      await (by === "poll" ? recordPoll(sql, submission, word) : receiveEvent(sql, submission, word));
      const job = await readJob(sql, jobId);
      assert.deepEqual([job.status, job.error_code, job.storing_at, job.tasks], [
        "cancelled",
        null,
        null,
        [],
      ]);
      assert.equal(job.late_success_at !== null, word.state === "succeeded");
      assert.deepEqual(await creditsOf(sql, userId), { available: 0, forfeited: 10 });
    }
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("of what a provider reports after the closing, no more than the state's name is stored", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const userId = await createGuest(database);
  const jobId = await startVideo(sql, userId);
  const submission = await submit(sql, jobId);
  await closeAccount(sql, userId);
  assert.equal(await receiveEvent(sql, submission, failed, "first"), "applied");
  assert.equal(await receiveEvent(sql, submission, succeeded, "second"), "applied");
  assert.equal(await receiveEvent(sql, submission, succeeded, "second"), "replayed");
  const events = await sql`select e.state from videos.provider_events as e order by e.event_id`;
  assert.deepEqual(events.map(({ state }) => state), [{ state: "failed" }, { state: "succeeded" }]);
  const [stored] = await sql`select s.cause from videos.submissions as s`;
  assert.equal(stored?.cause, null);
  const { status, late_success_at } = await readJob(sql, jobId);
  assert.equal(status, "cancelled");
  assert.notEqual(late_success_at, null);
});
