/** What an attempt to store a video may have left in storage is removed, when nobody can add to it any more. */
import assert from "node:assert/strict";
import { stillDatabase } from "../support/frozen-clock.ts";
import {
  claimTask,
  readJob,
  receiveEvent,
  recordStored,
  recordUnusableResult,
  retryTask,
  startVideo,
  submit,
  succeeded,
} from "../support/generation.ts";
import { first, type Sql } from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const { sql } = sharedDatabase(stillDatabase);

/** A job whose provider has succeeded, and the attempt to store its video. */
async function startStoring(sql: Sql) {
  const jobId = await startVideo(sql);
  await receiveEvent(sql, await submit(sql, jobId), succeeded);
  return { jobId, task: await claimTask(sql, jobId, "store") };
}

/** Seconds until the files are removed. */
async function removedIn(sql: Sql, jobId: string): Promise<number> {
  const { seconds } = await first(sql<{ seconds: number }[]>`
    select round(extract(epoch from t.run_at - core.now()))::int as seconds
    from queue.tasks as t where t.subject = ${jobId} and t.kind = 'delete_files'`);
  return seconds;
}

Deno.test("a result that is no video leaves no files, and they are removed at once", async () => {
  const { jobId, task } = await startStoring(sql);
  await recordUnusableResult(sql, jobId, task);
  assert.deepEqual((await readJob(sql, jobId)).tasks, ["delete_files"]);
  assert.equal(await removedIn(sql, jobId), 0);
  await claimTask(sql, jobId, "delete_files");
});

Deno.test("a storage that stays away leaves no files when it is back", async () => {
  const { jobId, task } = await startStoring(sql);
  await sql`update queue.tasks set attempts = 8 where id = ${task.task_id}`;
  assert.equal(await retryTask(sql, { ...task, attempt: 8 }), "dead");
  assert.deepEqual((await readJob(sql, jobId)).tasks, ["delete_files"]);
  assert.equal(await removedIn(sql, jobId), 0);
});

Deno.test("files are removed after whoever still stores them has lost the lease, or at once when it says that it is done", async () => {
  const { jobId, task } = await startStoring(sql);
  await sql`select videos.settle_video_job(${jobId}, 'cancelled')`;
  assert.equal(await removedIn(sql, jobId), 180);
  assert.equal(await recordStored(sql, jobId, task), "cancelled");
  assert.equal(await removedIn(sql, jobId), 0);
  const late = await startStoring(sql);
  await sql`select videos.settle_video_job(${late.jobId}, 'cancelled')`;
  await recordUnusableResult(sql, late.jobId, late.task);
  assert.equal(await removedIn(sql, late.jobId), 0);
});

Deno.test("what is stored, or was never begun to be, is left alone", async () => {
  const { jobId, task } = await startStoring(sql);
  await recordStored(sql, jobId, task);
  await recordStored(sql, jobId, task);
  await recordUnusableResult(sql, jobId, task);
  assert.deepEqual((await readJob(sql, jobId)).tasks, []);
  const unstored = await startVideo(sql);
  await sql`select videos.settle_video_job(${unstored}, 'cancelled')`;
  assert.deepEqual((await readJob(sql, unstored)).tasks, []);
});
