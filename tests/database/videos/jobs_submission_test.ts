import assert from "node:assert/strict";
import { manyConnections, times } from "../support/connections.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import {
  claimSubmission,
  claimTask,
  failed,
  readJob,
  receiveEvent,
  recordPoll,
  recordSubmission,
  startVideo,
  submit,
  succeeded,
} from "../support/generation.ts";
import { cheapModel } from "../support/jobs.ts";
import { first, type Sql, violations } from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const database = sharedDatabase(stillDatabase);
const { sql, advance, now } = database;

const second = 1000;
const minute = 60 * second;

async function stateOf(
  sql: Sql,
  submissionId: string,
): Promise<{ state: string; request_id: string | null }> {
  const row = await first(sql<{ state: string; request_id: string | null }[]>`
    select s.state, s.request_id from videos.submissions as s where s.id = ${submissionId}`);
  return { ...row };
}

/** Claims a submission that there must be. */
async function claim(sql: Sql, jobId: string, providers?: string[]): Promise<string> {
  return await claimSubmission(sql, jobId, providers) ?? assert.fail("there was nothing to claim");
}

Deno.test("claim_submission by many workers at once claims once", async () => {
  await using sql = manyConnections(database);
  const jobId = await startVideo(sql);
  const claims = await times(32, () => claimSubmission(sql, jobId));
  assert.equal(claims.filter((submission) => submission !== null).length, 1);
  assert.equal((await sql`select from videos.submissions where job_id = ${jobId}`).length, 1);
  assert.equal((await readJob(sql, jobId)).status, "processing");
});

Deno.test("a job that was not accepted is pending again, and goes to the provider that turned it away least", async () => {
  await sql`
    insert into videos.model_providers (model_id, preference, provider, provider_model, cost_cents)
    values (${cheapModel}, 2, 'runway', 'a-model', 10)`;
  const jobId = await startVideo(sql);
  const asked: string[] = [];
  for (let attempt = 0; attempt < 4; attempt++) {
    const submissionId = await claim(sql, jobId, ["fal", "runway"]);
    const { provider } = await first(sql<{ provider: string }[]>`
      select s.provider from videos.submissions as s where s.id = ${submissionId}`);
    asked.push(provider);
    assert.equal(
      await recordSubmission(sql, submissionId, { outcome: "not_accepted", cause: "away" }),
      "pending",
    );
    await advance(minute);
  }
  assert.deepEqual(asked, ["fal", "runway", "fal", "runway"]);
  assert.deepEqual((await readJob(sql, jobId)).tasks, ["submit"]);
});

Deno.test("a provider that names a time is not asked again before it", async () => {
  const jobId = await startVideo(sql);
  await recordSubmission(sql, await claim(sql, jobId), {
    outcome: "not_accepted",
    cause: "busy",
    retry_after_seconds: 120,
  });
  await advance(119 * second);
  await assert.rejects(claimTask(sql, jobId, "submit"));
  await advance(2 * second);
  await claimTask(sql, jobId, "submit");
});

Deno.test("a dead worker's claim becomes unknown, and nobody sends the job again", async () => {
  const jobId = await startVideo(sql);
  await advance(2 * second);
  await claimTask(sql, jobId, "submit");
  const submissionId = await claim(sql, jobId);
  await advance(59 * second);
  assert.equal(await claimSubmission(sql, jobId), null);
  assert.equal((await stateOf(sql, submissionId)).state, "sending");

  await advance(2 * second);
  // The lease is over: the next worker finds out.
  await claimTask(sql, jobId, "submit");
  assert.equal(await claimSubmission(sql, jobId), null);
  assert.equal((await stateOf(sql, submissionId)).state, "unknown");
  const { status, tasks } = await readJob(sql, jobId);
  assert.deepEqual([status, tasks], ["processing", []]);
  assert.equal(await claimSubmission(sql, jobId), null);
});

Deno.test("an unknown submission is found by its event, once the provider confirms it to us", async () => {
  const jobId = await startVideo(sql);
  const submissionId = await claim(sql, jobId);
  await recordSubmission(sql, submissionId, { outcome: "unknown", cause: "the answer was lost" });
  const submission = { submissionId, requestId: "the-request" };

  // An event alone proves nothing: anybody at the provider could name our submission.
  assert.equal(await receiveEvent(sql, submission, succeeded), "asked");
  assert.deepEqual(await stateOf(sql, submissionId), { state: "unknown", request_id: null });
  const task = await claimTask(sql, jobId, "poll");
  assert.deepEqual(task.payload, { request_id: "the-request" });
  await recordPoll(sql, submission, succeeded, task);
  assert.deepEqual(await stateOf(sql, submissionId), { state: "ended", request_id: "the-request" });
  assert.deepEqual((await readJob(sql, jobId)).tasks, ["store"]);
});

Deno.test("an id that the provider does not know yet stays a claim, and is asked for again", async () => {
  const jobId = await startVideo(sql);
  const submissionId = await claim(sql, jobId);
  const forged = { submissionId, requestId: "not-ours" };
  assert.equal(await receiveEvent(sql, forged, succeeded), "asked");
  const task = await claimTask(sql, jobId, "poll");
  await recordPoll(sql, forged, { state: "not_found" }, task);
  assert.deepEqual(await stateOf(sql, submissionId), { state: "sending", request_id: null });
  const { status, tasks } = await readJob(sql, jobId);
  assert.deepEqual([status, tasks], ["processing", ["poll", "submit"]]);
  await advance(minute);
  await recordPoll(sql, forged, { state: "running" }, await claimTask(sql, jobId, "poll"));
  assert.deepEqual(await stateOf(sql, submissionId), { state: "accepted", request_id: "not-ours" });
});

Deno.test("an event about another request is stored and changes nothing", async () => {
  const jobId = await startVideo(sql);
  const { submissionId } = await submit(sql, jobId);
  const before = await readJob(sql, jobId);
  assert.equal(await receiveEvent(sql, { submissionId, requestId: "another" }, failed), "ignored");
  assert.deepEqual(await readJob(sql, jobId), before);
  const events = await sql`select effect from videos.provider_events where submission_id = ${submissionId}`;
  assert.deepEqual(events.map(({ effect }) => effect), ["ignored"]);
});

Deno.test("a webhook is taken once, and one that names no submission of ours not at all", async () => {
  const jobId = await startVideo(sql);
  const submission = await submit(sql, jobId);
  assert.equal(await receiveEvent(sql, submission, { state: "running", percent: 10 }, "event"), "applied");
  const before = await readJob(sql, jobId);
  assert.equal(await receiveEvent(sql, submission, failed, "event"), "replayed");
  assert.deepEqual(await readJob(sql, jobId), before);
  const unknown = { submissionId: crypto.randomUUID(), requestId: "a" };
  assert.equal(await receiveEvent(sql, unknown, failed), "ERR_4005");
  // The reference of somebody else.
  assert.equal(
    await receiveEvent(sql, submission, failed, "of another", "fal", crypto.randomUUID()),
    "ERR_4005",
  );
  assert.deepEqual(await readJob(sql, jobId), before);
});

Deno.test("of two webhooks at once each counts once", async () => {
  await using sql = manyConnections(database);
  const jobId = await startVideo(sql);
  const submission = await submit(sql, jobId);
  const effects = await times(32, (index) => receiveEvent(sql, submission, succeeded, `event-${index % 2}`));
  assert.equal(effects.filter((effect) => effect === "applied").length, 2);
  assert.equal(effects.filter((effect) => effect === "replayed").length, 30);
  assert.deepEqual((await readJob(sql, jobId)).tasks, ["store"]);
});

Deno.test("proof that comes late that the provider does not have a job sends it again", async () => {
  const jobId = await startVideo(sql);
  const submissionId = await claim(sql, jobId);
  await recordSubmission(sql, submissionId, { outcome: "unknown", cause: "the answer was lost" });
  assert.deepEqual((await readJob(sql, jobId)).tasks, []);
  assert.equal(
    await recordSubmission(sql, submissionId, { outcome: "not_accepted", cause: "busy" }),
    "pending",
  );
  await advance(minute);
  await claimTask(sql, jobId, "submit");
  assert.notEqual(await claimSubmission(sql, jobId), null);
});

Deno.test("an answer is recorded once: what comes after it changes nothing", async () => {
  const jobId = await startVideo(sql);
  const { submissionId, requestId } = await submit(sql, jobId);
  const before = await readJob(sql, jobId);
  for (
    const outcome of [
      { outcome: "accepted", request_id: "another" },
      { outcome: "not_accepted", cause: "busy" },
      { outcome: "refused", failure: { code: "ERR_4003", cause: "policy" } },
      { outcome: "unknown", cause: "lost" },
    ] as const
  ) {
    assert.equal(await recordSubmission(sql, submissionId, outcome), "processing");
  }
  assert.deepEqual(await stateOf(sql, submissionId), { state: "accepted", request_id: requestId });
  assert.deepEqual(await readJob(sql, jobId), before);
});

Deno.test("a refused job fails with the provider's reason and gets its credits back", async () => {
  const jobId = await startVideo(sql);
  const refused = { outcome: "refused", failure: { code: "ERR_4003", cause: "policy" } } as const;
  assert.equal(await recordSubmission(sql, await claim(sql, jobId), refused), "failed");
  const { error_code, balance, tasks } = await readJob(sql, jobId);
  assert.deepEqual([error_code, balance, tasks], ["ERR_4003", 10, []]);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("a job that was to be cancelled is cancelled by the proof that nobody took it", async () => {
  const jobId = await startVideo(sql);
  const submissionId = await claim(sql, jobId);
  await sql`update videos.jobs set cancel_requested_at = core.now() where id = ${jobId}`;
  assert.equal(
    await recordSubmission(sql, submissionId, { outcome: "not_accepted", cause: "busy" }),
    "cancelled",
  );
  assert.equal((await readJob(sql, jobId)).balance, 10);
});

Deno.test("a start that the provider reports begins the second bound; else the submission does", async () => {
  await sql`update videos.models set start_within = '10 minutes', finish_within = '30 minutes'`;
  const minutesLeft = async (jobId: string) => {
    const { due_at } = await readJob(sql, jobId);
    return Math.round(((due_at?.getTime() ?? 0) - (await now()).getTime()) / minute);
  };
  const [told, untold] = [await startVideo(sql), await startVideo(sql)];
  await advance(2 * minute);
  const submission = await submit(sql, told, { reportsStart: true });
  await submit(sql, untold, { reportsStart: false });
  assert.equal(await minutesLeft(told), 8);
  assert.equal(await minutesLeft(untold), 30);

  await advance(minute);
  await receiveEvent(sql, submission, { state: "queued" });
  assert.equal(await minutesLeft(told), 7);
  await receiveEvent(sql, submission, { state: "running", percent: 5 });
  assert.equal(await minutesLeft(told), 30);
  await advance(minute);
  await receiveEvent(sql, submission, { state: "running", percent: 50 });
  assert.equal(await minutesLeft(told), 29);
});

Deno.test("an overdue job is not sent", async () => {
  const jobId = await startVideo(sql);
  await advance(16 * minute);
  assert.equal(await claimSubmission(sql, jobId), null);
});

Deno.test("a job without a provider that we have keys for waits in the queue", async () => {
  const jobId = await startVideo(sql);
  assert.equal(await claimSubmission(sql, jobId, []), null);
  assert.equal(await claimSubmission(sql, jobId, ["replicate"]), null);
  const { status, tasks } = await readJob(sql, jobId);
  assert.deepEqual([status, tasks], ["pending", ["submit"]]);
  await advance(minute);
  assert.notEqual(await claimSubmission(sql, jobId), null);
});
