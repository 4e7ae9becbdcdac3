/** Submissions whose answer is late or lost: what else is heard about them counts, and nothing else does. */
import assert from "node:assert/strict";
import { stillDatabase } from "../support/frozen-clock.ts";
import {
  claimSubmission,
  claimTask,
  claimTasks,
  readJob,
  receiveEvent,
  recordCancel,
  recordPoll,
  recordSubmission,
  startVideo,
  submit,
  succeeded,
} from "../support/generation.ts";
import { settle } from "../support/jobs.ts";
import { first, type Sql, violations } from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const { sql, advance } = sharedDatabase(stillDatabase);

/** Claims a submission that there must be; its answer is not heard. */
async function send(sql: Sql, jobId: string): Promise<string> {
  return await claimSubmission(sql, jobId) ?? assert.fail("there was nothing to claim");
}

Deno.test("a success that comes after the end of a job is recorded also where the answer to its submission was lost", async () => {
  const jobId = await startVideo(sql);
  const submissionId = await send(sql, jobId);
  await recordSubmission(sql, submissionId, { outcome: "unknown", cause: "lost" });
  await settle(sql, jobId, "failed");

  await receiveEvent(sql, { submissionId, requestId: crypto.randomUUID() }, succeeded);
  const job = await readJob(sql, jobId);
  assert.ok(job.late_success_at);
  assert.deepEqual([job.status, job.balance, job.tasks], ["failed", 10, []]);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("a webhook that names another submission's request changes nothing", async () => {
  const { requestId } = await submit(sql, await startVideo(sql));
  const jobId = await startVideo(sql);
  const submissionId = await send(sql, jobId);
  assert.equal(await receiveEvent(sql, { submissionId, requestId }, succeeded), "ignored");
  assert.deepEqual((await readJob(sql, jobId)).tasks, ["submit"]);
});

Deno.test("an id that turns out to be another submission's is not adopted, and not asked for again", async () => {
  const other = await startVideo(sql);
  const jobId = await startVideo(sql);
  const [submissionId, requestId] = [await send(sql, jobId), crypto.randomUUID()];
  assert.equal(await receiveEvent(sql, { submissionId, requestId }, succeeded), "asked");
  const task = await claimTask(sql, jobId, "poll");
  await recordSubmission(sql, await send(sql, other), { outcome: "accepted", request_id: requestId });

  assert.equal(await recordPoll(sql, { submissionId, requestId }, succeeded, task), "processing");
  const job = await readJob(sql, jobId);
  assert.deepEqual([job.storing_at, job.tasks], [null, ["submit"]]);
});

for (const how of ["the answer to its submission", "a webhook"] as const) {
  Deno.test(`a wish to cancel that came too early for the provider reaches it once ${how} tells the request`, async () => {
    const jobId = await startVideo(sql);
    const submissionId = await send(sql, jobId);
    const { userId } = await first(sql<{ userId: string }[]>`
      select j.user_id as "userId" from videos.jobs as j where j.id = ${jobId}`);
    await sql`select api.cancel_video(${userId}, ${jobId})`;
    // The last of five tries; then nobody would ask again before the job's bound.
    for (let attempt = 0; attempt < 5; attempt++) {
      await advance(60_000);
      for (const task of await claimTasks(sql, 10, jobId)) {
        if (task.kind === "cancel") await recordCancel(sql, jobId, "no_request_id", task);
      }
    }
    assert.ok(!(await readJob(sql, jobId)).tasks.includes("cancel"));

    const requestId = crypto.randomUUID();
    if (how === "a webhook") {
      await receiveEvent(sql, { submissionId, requestId }, { state: "queued" });
      const poll = await claimTask(sql, jobId, "poll");
      await recordPoll(sql, { submissionId, requestId }, { state: "queued" }, poll);
    } else await recordSubmission(sql, submissionId, { outcome: "accepted", request_id: requestId });
    const cancel = await claimTask(sql, jobId, "cancel");
    assert.equal(await recordCancel(sql, jobId, "cancelled", cancel), "cancelled");
    assert.equal((await readJob(sql, jobId)).balance, 10);
  });
}
