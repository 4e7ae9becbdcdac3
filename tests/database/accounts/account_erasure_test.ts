/** What the worker erases of a closed account, when, and the proof of it. */
import assert from "node:assert/strict";
import {
  claimErasure,
  closeAccount,
  createGuest,
  eraseAccount,
  tablesWith,
  untilErasable,
} from "../support/accounts.ts";
import { claimAndGrant } from "../support/devices.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import {
  claimTask,
  readJob,
  receiveEvent,
  recordCancel,
  recordStored,
  retryTask,
  submit,
  succeeded,
} from "../support/generation.ts";
import { first, type Sql, violations } from "../support/ledger.ts";
import { generateVideo } from "../support/videos.ts";

const second = 1000;

async function start(sql: Sql, userId: string): Promise<string> {
  const { data } = await generateVideo(sql, userId);
  assert(data);
  return data.job_id;
}

/** A job whose video is in storage. */
async function completed(sql: Sql, userId: string): Promise<string> {
  const jobId = await start(sql, userId);
  await receiveEvent(sql, await submit(sql, jobId), succeeded);
  await recordStored(sql, jobId, await claimTask(sql, jobId, "store"));
  return jobId;
}

/** Puts files of a user into storage; only their names matter. */
async function storeFiles(sql: Sql, userId: string, count: number): Promise<void> {
  await sql`
    insert into storage.objects (bucket_id, name)
    select 'videos', u.reference || '/' || gen_random_uuid() || '/video.mp4'
    from accounts.users as u, generate_series(1, ${count})
    where u.id = ${userId}`;
}

async function removeFiles(sql: Sql, paths: string[]): Promise<void> {
  await sql`delete from storage.objects as o where o.bucket_id = 'videos' and o.name = any (${paths})`;
}

/** Leases the task, removes the files that it names, and erases. */
async function work(sql: Sql, userId: string): Promise<string> {
  const task = await claimErasure(sql, userId);
  if (task === null) return "not due";
  await removeFiles(sql, task.paths);
  return await eraseAccount(sql, task);
}

Deno.test("after the erasure nothing about the person is in any table, and a proof says what was erased", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const userId = await createGuest(database, 100);
  const other = await createGuest(database, 100);
  const canary = "canary 7f3a";
  const network = "203.0.113.77";
  const jobs = [await completed(sql, userId), await completed(sql, userId), await start(sql, userId)];
  const kept = await completed(sql, other);
  await sql`select api.delete_video_job(${userId}, ${jobs[0] ?? ""})`;
  await storeFiles(sql, userId, 2);
  await sql`update accounts.users set display_name = ${canary} where id = ${userId}`;
  await sql`
    update auth.users set email = ${canary + "@example.com"}, raw_user_meta_data = ${
    sql.json({ name: canary })
  }
    where id = ${userId}`;
  await sql`
    update videos.jobs set prompt = ${canary}, image_url = ${canary}, request_id = ${canary},
      settings = ${sql.json({ note: canary })}, video_url = ${canary}, thumbnail_url = ${canary}
    where user_id = ${userId}`;
  await sql`
    update videos.submissions set cause = ${canary}, provider_references = ${sql.json({ url: canary })}
    where job_id = any (${jobs})`;
  await sql`
    update videos.provider_events set state = state || ${sql.json({ url: canary })}
    where submission_id in (select id from videos.submissions where job_id = any (${jobs}))`;
  await sql`
    update guard.idempotency_keys set outcome = outcome || ${
    sql.json({ text: canary })
  } where caller = ${userId}`;
  await sql`select notify.deliver(d.id) from events.deliveries as d`;
  await sql`update events.log set data = data || ${sql.json({ text: canary })} where user_id = ${userId}`;
  await sql`update notify.notifications set data = data || ${
    sql.json({ text: canary })
  } where user_id = ${userId}`;
  const device = "ca".repeat(32);
  await sql`select notify.register_token(${userId}, ${device}, 'production')`;
  assert.deepEqual(await tablesWith(database, device), ["notify.push_tokens"]);
  assert(await claimAndGrant(sql, network, userId));
  assert.deepEqual(await tablesWith(database, canary), [
    "accounts.users",
    "auth.users",
    "events.log",
    "guard.idempotency_keys",
    "notify.notifications",
    "videos.jobs",
    "videos.provider_events",
    "videos.submissions",
  ]);

  await closeAccount(sql, userId);
  await advance(untilErasable);
  assert.equal(await work(sql, userId), "erased");
  for (const known of [canary, device]) assert.deepEqual(await tablesWith(database, known), []);
  // The network counts in the limits of grants for a day, without its user.
  assert.deepEqual(await tablesWith(database, network), ["devices.intents"]);
  const records = await sql`select a.job_id from videos.assets as a`;
  assert.deepEqual(records.map(({ job_id }) => job_id), [kept]);
  // What stays names nobody: the tombstone, the bare facts of the jobs, the ledger, and the proof.
  assert.deepEqual(await tablesWith(database, userId), [
    "accounts.erasures",
    "accounts.users",
    "credits.accounts",
    "credits.lots",
    "credits.postings",
    "credits.transfers",
    // That the account was closed, for whoever keeps something of theirs.
    "events.log",
    // What Realtime told, which the platform deletes after three days.
    "realtime.messages",
    "videos.jobs",
    "videos.provider_events",
    "videos.submissions",
  ]);
  const proof = await first(sql`
    select r.erased, r.closed_at = u.closed_at as same_time, r.erased_at > r.closed_at as is_later
    from accounts.erasures as r join accounts.users as u on u.id = r.user_id where r.user_id = ${userId}`);
  assert.deepEqual({ ...proof }, {
    erased: {
      "accounts.users": 1,
      "auth.users": 1,
      "devices.grants": 1,
      "devices.intents": 1,
      // Two videos were completed; what told of the one that was deleted went with it.
      "events.deliveries": 1,
      "events.log": proof["erased"]["events.log"],
      "guard.hits": proof["erased"]["guard.hits"],
      "guard.idempotency_keys": 3,
      "notify.notifications": 1,
      "notify.push_tokens": 1,
      "queue.tasks": proof["erased"]["queue.tasks"],
      "videos.assets": 2,
      "videos.jobs": 3,
      "videos.provider_events": 2,
      "videos.submissions": 2,
    },
    same_time: true,
    is_later: true,
  });
  const bare = await sql`
    select j.status, j.credits_used::int, j.deleted_at is not null as is_deleted
    from videos.jobs as j where j.user_id = ${userId} order by j.id`;
  assert.deepEqual(bare.map(({ status, credits_used, is_deleted }) => [status, credits_used, is_deleted]), [
    ["completed", 4, true],
    ["completed", 4, true],
    ["cancelled", 0, true],
  ]);
  assert.deepEqual(await violations(sql), []);

  // Nobody else lost anything.
  const [theirs] = await sql`
    select j.prompt, (select count(*)::int from videos.assets as a where a.job_id = j.id) as files,
      (select count(*)::int from guard.idempotency_keys as k where k.caller = j.user_id) as keys,
      (select count(*)::int from auth.sessions as s where s.user_id = j.user_id) as sessions
    from videos.jobs as j where j.id = ${kept}`;
  assert.deepEqual({ ...theirs }, { prompt: "a prompt", files: 1, keys: 1, sessions: 1 });
});

Deno.test("the erased user's id is never anybody's again", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const userId = await createGuest(database);
  await closeAccount(sql, userId);
  await advance(untilErasable);
  assert.equal(await work(sql, userId), "erased");
  const { answer } = await first(sql`select api.begin_device_check(${userId}, '192.0.2.1') as answer`);
  assert.equal(answer.error, "ERR_4005");
  const [user] =
    await sql`select u.closed_at is not null as closed from accounts.users as u where u.id = ${userId}`;
  assert.equal(user?.closed, true);
});

Deno.test("the erasure waits for the last job, and for whoever may still write, without losing a try", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const userId = await createGuest(database);
  const jobId = await start(sql, userId);
  await submit(sql, jobId);
  await closeAccount(sql, userId);
  assert.equal(await work(sql, userId), "not due");
  // More often than there are tries.
  for (let round = 0; round < 12; round++) {
    await advance(untilErasable);
    assert.equal(await work(sql, userId), "waiting");
    assert.equal(await work(sql, userId), "not due");
  }
  assert.equal((await readJob(sql, jobId)).status, "processing");
  await recordCancel(sql, jobId, "cancelled", await claimTask(sql, jobId, "cancel"));
  await advance(170 * second);
  assert.notEqual(await work(sql, userId), "erased");
  await advance(untilErasable);
  assert.equal(await work(sql, userId), "erased");
  assert.equal(await work(sql, userId), "not due");
});

Deno.test("files are removed in batches until none is left, also those that no job knows of", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const [userId, other] = [await createGuest(database), await createGuest(database)];
  await storeFiles(sql, userId, 1_150);
  await storeFiles(sql, other, 1);
  await closeAccount(sql, userId);
  await advance(untilErasable);
  const states = [];
  do states.push(await work(sql, userId)); while (states.at(-1) === "waiting" && states.length < 20);
  assert.deepEqual(states, [...Array(11).fill("waiting"), "erased"]);
  const left = await sql`
    select u.id from storage.objects as o join accounts.users as u on starts_with(o.name, u.reference || '/')`;
  assert.deepEqual(left.map(({ id }) => id), [other]);
});

Deno.test("where storage keeps the files, the task becomes a dead letter, and its replay erases", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const userId = await createGuest(database);
  await storeFiles(sql, userId, 1);
  await closeAccount(sql, userId);
  await advance(untilErasable);
  const states = [];
  do {
    const task = await claimErasure(sql, userId);
    // Storage says that it removed them.
    if (task !== null) states.push(await eraseAccount(sql, task));
    await advance(3_600 * second);
  } while (states.at(-1) !== "dead" && states.length < 20);
  // The first look is no failure.
  assert.deepEqual(states, [...Array(10).fill("waiting"), "dead"]);
  assert.equal((await sql`select from accounts.erasures`).length, 0);
  assert.equal(await work(sql, userId), "not due");

  await sql`
    update queue.tasks set failed_at = null, attempts = 0, run_at = core.now() where subject = ${userId}`;
  assert.equal(await work(sql, userId), "erased");
});

Deno.test("a worker that dies on either side of the erasure leaves it to the next, and it happens once", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const userId = await createGuest(database);
  await storeFiles(sql, userId, 1);
  await closeAccount(sql, userId);
  await advance(untilErasable);
  const before = await claimErasure(sql, userId);
  assert(before);
  // It removed the files and died.
  await removeFiles(sql, before.paths);
  await advance(61 * second);
  const after = await claimErasure(sql, userId);
  assert(after);
  assert.deepEqual(after.paths, []);
  assert.equal(await eraseAccount(sql, before), "lost");
  assert.equal(await eraseAccount(sql, after), "erased");
  // It erased, and its answer was lost.
  assert.equal(await eraseAccount(sql, after), "lost");
  assert.equal(await retryTask(sql, after), "lost");
  assert.equal((await sql`select from accounts.erasures`).length, 1);
});

Deno.test("an account that is open is not erased", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const userId = await createGuest(database);
  await sql`select queue.add('erase_account', ${userId}, null, core.now())`;
  const task = await claimErasure(sql, userId);
  assert(task);
  await assert.rejects(eraseAccount(sql, task), { code: "P0002" });
});
