/** The same bytes that were removed are refused again; nothing else is, and nothing else is hashed. */
import assert from "node:assert/strict";
import { createAdmin, createCustomer } from "../support/admins.ts";
import { claimTask, readJob, retryTask } from "../support/generation.ts";
import {
  appeal,
  decide,
  fingerprint,
  report,
  shown,
  startStoring,
  store,
  storedVideo,
} from "../support/safety.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const { sql } = sharedDatabase();
const bytesOf = (text: string) => text.repeat(64).slice(0, 64);
/** No two tests have files of the same size. */
let size = 1_000;

async function removed(sha256: string | null, bytes: number) {
  const userId = await createCustomer(sql, 100);
  return await remove(userId, await storedVideo(sql, userId, bytes), sha256);
}

async function remove(userId: string, jobId: string, sha256: string | null) {
  const adminId = await createAdmin(sql);
  await report(sql, userId, jobId);
  await decide(sql, adminId, jobId, "remove");
  await fingerprint(sql, jobId, sha256);
  return { adminId, userId, jobId };
}

Deno.test("a removed video is hashed before its files are deleted", async () => {
  const bytes = ++size;
  const [adminId, userId] = [await createAdmin(sql), await createCustomer(sql, 100)];
  const jobId = await storedVideo(sql, userId, bytes);
  assert.deepEqual((await readJob(sql, jobId)).tasks, [], "nothing is hashed that is not removed");
  await report(sql, userId, jobId);
  await decide(sql, adminId, jobId, "remove");
  assert.deepEqual((await readJob(sql, jobId)).tasks, ["fingerprint"]);
  // Its user does not get ahead of it.
  await sql`select api.delete_video_job(${userId}, ${jobId})`;
  assert.deepEqual((await readJob(sql, jobId)).tasks, ["fingerprint"]);
  await fingerprint(sql, jobId, bytesOf("a"));
  assert.deepEqual((await readJob(sql, jobId)).tasks, ["delete_files"]);
  const [file] = await sql`
    select sha256, bytes::int, duration_milliseconds, ground from safety.removed_files where job_id = ${jobId}`;
  assert.deepEqual({ ...file }, {
    sha256: bytesOf("a"),
    bytes,
    duration_milliseconds: 5000,
    ground: "real_person",
  });
  const { task_id, attempt } = await claimTask(sql, jobId, "delete_files");
  const [deleted] = await sql`
    select (api.record_files_deleted(${task_id}, ${attempt}, ${jobId}) #>> '{data,deleted}')::int as files`;
  assert.deepEqual({ ...deleted }, { files: 1 });
});

Deno.test("files of a removed job that its user keeps are deleted, and noted so", async () => {
  const { jobId } = await removed(bytesOf("9"), ++size);
  const { task_id, attempt } = await claimTask(sql, jobId, "delete_files");
  const [deleted] = await sql`
    select (api.record_files_deleted(${task_id}, ${attempt}, ${jobId}) #>> '{data,deleted}')::int as files`;
  assert.deepEqual({ ...deleted }, { files: 1 });
});

Deno.test("the same bytes end the next job without its video, and its credits come back; others of that size are stored", async () => {
  const bytes = ++size;
  await removed(bytesOf("b"), bytes);
  for (const isSame of [true, false]) {
    const userId = await createCustomer(sql, 10);
    const jobId = await startStoring(sql, userId);
    assert.equal(await store(sql, jobId, bytes), "processing");
    assert.deepEqual((await readJob(sql, jobId)).tasks, ["fingerprint"]);
    assert.equal((await shown(sql, userId, jobId)).video_url, null, "not shown before it is known");
    await fingerprint(sql, jobId, bytesOf(isSame ? "b" : "c"));
    const { status, balance, tasks } = await readJob(sql, jobId);
    const { error, video_url } = await shown(sql, userId, jobId);
    if (isSame) {
      assert.deepEqual([status, balance, tasks, video_url], ["failed", 10, ["delete_files"], null]);
      assert.deepEqual(error, { code: "ERR_4022", details: { reason: "real_person", appeal: "none" } });
    } else {
      assert.deepEqual([status, balance, tasks, error], ["completed", 6, [], null]);
      assert.equal(video_url, "https://storage.example/v.mp4");
    }
  }
});

Deno.test("bytes that were removed twice are known until neither removal stands", async () => {
  const bytes = ++size;
  const userId = await createCustomer(sql, 100);
  const [first, second] = [await storedVideo(sql, userId, bytes), await storedVideo(sql, userId, bytes)];
  for (const jobId of [first, second]) await remove(userId, jobId, bytesOf("e"));
  const endOfAnother = async () => {
    const jobId = await startStoring(sql, await createCustomer(sql, 10));
    if (await store(sql, jobId, bytes) === "completed") return "completed";
    await fingerprint(sql, jobId, bytesOf("e"));
    return (await readJob(sql, jobId)).status;
  };
  await sql`select safety.forget_file(${first})`;
  assert.equal(await endOfAnother(), "failed");
  await sql`select safety.forget_file(${second})`;
  assert.equal(await endOfAnother(), "completed");
});

Deno.test("what its user deletes while it is removed is deleted, also when the removal is taken back before it was hashed", async () => {
  const [adminId, userId] = [await createAdmin(sql), await createCustomer(sql, 100)];
  const jobId = await storedVideo(sql, userId, ++size);
  await report(sql, userId, jobId);
  await decide(sql, adminId, jobId, "remove");
  await appeal(sql, userId, jobId);
  await sql`select api.delete_video_job(${userId}, ${jobId})`;
  assert.deepEqual((await readJob(sql, jobId)).tasks, ["fingerprint"]);
  await decide(sql, adminId, jobId, "grant");
  assert.deepEqual((await readJob(sql, jobId)).tasks, ["delete_files"]);
});

Deno.test("a video of another size or length is completed at once, as if nothing had ever been removed", async () => {
  const bytes = ++size;
  await removed(bytesOf("d"), bytes);
  const jobId = await startStoring(sql, await createCustomer(sql, 10));
  assert.equal(await store(sql, jobId, bytes + 100_000), "completed");
  await sql`update safety.removed_files set duration_milliseconds = 6000 where bytes = ${bytes}`;
  const other = await startStoring(sql, await createCustomer(sql, 10));
  assert.equal(await store(sql, other, bytes), "completed");
});

Deno.test("a removal whose file is lost, or cannot be read, deletes what there is; nothing is completed unseen", async () => {
  const bytes = ++size;
  const { jobId } = await removed(null, bytes);
  assert.deepEqual((await readJob(sql, jobId)).tasks, ["delete_files"]);
  assert.deepEqual([...await sql`select from safety.removed_files where job_id = ${jobId}`], []);

  const die = async (jobId: string) => {
    const task = await claimTask(sql, jobId, "fingerprint");
    await sql`update queue.tasks set attempts = 8 where id = ${task.task_id}`;
    assert.equal(await retryTask(sql, { ...task, attempt: 8 }), "dead");
  };
  const [adminId, userId] = [await createAdmin(sql), await createCustomer(sql, 100)];
  const unread = await storedVideo(sql, userId, ++size);
  await report(sql, userId, unread);
  await decide(sql, adminId, unread, "remove");
  await die(unread);
  assert.deepEqual((await readJob(sql, unread)).tasks, ["delete_files"]);
  assert.equal(
    (await sql`select from ops.alerts where rule = 'fingerprint' and subject = ${unread}`).length,
    1,
  );

  const known = ++size;
  await removed(bytesOf("e"), known);
  const next = await startStoring(sql, await createCustomer(sql, 10));
  await store(sql, next, known);
  await die(next);
  const { status, error_code, balance } = await readJob(sql, next);
  assert.deepEqual([status, error_code, balance], ["failed", "ERR_6002", 10]);
});

Deno.test("a video that storage does not have is not completed, and its credits come back when it is not found again", async () => {
  const bytes = ++size;
  await removed(bytesOf("2"), bytes);
  const userId = await createCustomer(sql, 10);
  const jobId = await startStoring(sql, userId);
  await store(sql, jobId, bytes);
  assert.equal(await fingerprint(sql, jobId, null), "processing");
  assert.deepEqual((await readJob(sql, jobId)).tasks, ["fingerprint"], "it is asked again");
  await sql`update queue.tasks set attempts = 7, run_at = core.now() where subject = ${jobId} and kind = 'fingerprint'`;
  assert.equal(await fingerprint(sql, jobId, null), "failed");
  const { error_code, balance } = await readJob(sql, jobId);
  assert.deepEqual([error_code, balance], ["ERR_6002", 10]);
});

Deno.test("an attempt that lost its lease decides nothing, and a second word changes nothing", async () => {
  const bytes = ++size;
  await removed(bytesOf("f"), bytes);
  const jobId = await startStoring(sql, await createCustomer(sql, 10));
  await store(sql, jobId, bytes);
  const { task_id, attempt } = await claimTask(sql, jobId, "fingerprint");
  const record = (attempt: number, sha256: string) =>
    sql`select api.record_fingerprint(${task_id}, ${attempt}, ${jobId}, ${sha256})`;
  await record(attempt + 1, bytesOf("f"));
  assert.equal((await readJob(sql, jobId)).status, "processing");
  await record(attempt, bytesOf("0"));
  await record(attempt, bytesOf("f"));
  assert.equal((await readJob(sql, jobId)).status, "completed");
});

Deno.test("a job that ended while its bytes were asked leaves no files", async () => {
  const bytes = ++size;
  await removed(bytesOf("1"), bytes);
  const jobId = await startStoring(sql, await createCustomer(sql, 10));
  await store(sql, jobId, bytes);
  await claimTask(sql, jobId, "fingerprint");
  await sql`select videos.settle_video_job(${jobId}, 'cancelled')`;
  assert.deepEqual((await readJob(sql, jobId)).tasks, ["delete_files"]);
});
