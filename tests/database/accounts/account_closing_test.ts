/** Closing an account: what ends with it, at once and whatever comes later. */
import assert from "node:assert/strict";
import { runs } from "../../runs.ts";
import { closeAccount, createGuest, creditsOf } from "../support/accounts.ts";
import { times } from "../support/connections.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { readJob, startVideo, submit } from "../support/generation.ts";
import { add, first, violations } from "../support/ledger.ts";
import { type Answer, generateVideo } from "../support/videos.ts";
import { runTask } from "../support/scheduled-tasks.ts";

const second = 1000;
const minute = 60 * second;

Deno.test("a closed account is a tombstone: nothing about the person, no credits, no session", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const userId = await createGuest(database);
  await sql`
    update accounts.users set display_name = 'Ada', language = 'tr', theme_preference = 'dark', is_admin = true,
      shares_consumption = true, accepted_processors = '{fal}',
      notification_preferences = '{"video.failed": {"inbox": false}}'
    where id = ${userId}`;
  const before = await database.now();
  const { data } = await closeAccount(sql, userId);
  assert.equal(data?.user_id, userId);
  const [user] = await sql`select * from accounts.users where id = ${userId}`;
  assert.equal(user?.closed_at.toISOString(), data?.closed_at);
  assert(user?.closed_at >= before);
  assert.deepEqual({ ...user }, {
    id: userId,
    reference: user?.reference,
    display_name: null,
    language: null,
    theme_preference: "system",
    is_admin: false,
    is_banned: false,
    closed_at: user?.closed_at,
    created_at: user?.created_at,
    merged_into: null,
    app_account_token: user?.app_account_token,
    shares_consumption: false,
    accepted_processors: [],
    notification_preferences: {},
  });
  assert.deepEqual(await creditsOf(sql, userId), { available: 0, forfeited: 10 });
  assert.equal((await sql`select from auth.sessions where user_id = ${userId}`).length, 0);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("whoever closed their account is refused by everything that acts for a caller", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const userId = await createGuest(database);
  const jobId = await startVideo(sql, userId);
  await closeAccount(sql, userId);
  assert.equal((await closeAccount(sql, userId)).error, "ERR_4005");
  assert.equal((await generateVideo(sql, userId)).error, "ERR_4005");
  for (
    const query of [
      sql<{ answer: Answer }[]>`select api.video_status(${userId}, ${jobId}) as answer`,
      sql<{ answer: Answer }[]>`select api.cancel_video(${userId}, ${jobId}) as answer`,
      sql<{ answer: Answer }[]>`select api.delete_video_job(${userId}, ${jobId}) as answer`,
      sql<{ answer: Answer }[]>`select api.models(${userId}) as answer`,
      sql<{ answer: Answer }[]>`select api.begin_device_check(${userId}, '192.0.2.1') as answer`,
      sql<{ answer: Answer }[]>`select api.grant_device_credits(${userId}, '192.0.2.1', null) as answer`,
    ]
  ) {
    assert.equal((await first(query)).answer.error, "ERR_4005");
  }
});

Deno.test("a tombstone is never revived, by whatever hand", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const [closed, open] = [await createGuest(database), await createGuest(database)];
  await closeAccount(sql, closed);
  await assert.rejects(sql`update accounts.users set closed_at = null where id = ${closed}`, {
    code: "23001",
  });
  await assert.rejects(sql`delete from accounts.users where id = ${closed}`, { code: "23001" });
  await assert.rejects(sql`update accounts.users set display_name = 'Ada' where id = ${closed}`, {
    constraint_name: "users_tombstone",
  });
  await sql`update accounts.users set display_name = 'Ada' where id = ${open}`;
  await sql`delete from accounts.users where id = ${open}`;
});

Deno.test("without a worker the deadline ends the jobs of a closed account", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const userId = await createGuest(database);
  const jobId = await startVideo(sql, userId);
  await submit(sql, jobId);
  await closeAccount(sql, userId);
  await advance(21 * minute);
  await runTask(sql, "enforce_deadlines");
  const { status, error_code } = await readJob(sql, jobId);
  assert.deepEqual([status, error_code], ["cancelled", null]);
  assert.deepEqual(await creditsOf(sql, userId), { available: 0, forfeited: 10 });
});

Deno.test("credits that come to a closed account are forfeited", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const userId = await createGuest(database);
  await closeAccount(sql, userId);
  assert.equal((await add(sql, userId, 5, { kind: "purchase" })).credits_remaining, 0);
  assert.deepEqual(await creditsOf(sql, userId), { available: 0, forfeited: 15 });
  assert.deepEqual(await violations(sql), []);
});

Deno.test("of many closings at once one closes the account", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const userId = await createGuest(database);
  await startVideo(sql, userId);
  const asked = await sql.begin(async (holder) => {
    await holder`select credits.lock_account(${userId})`;
    const answers = times(5, () => closeAccount(sql, userId));
    let waiting = 0;
    while (waiting < 5) {
      ({ waiting } = await first(sql<{ waiting: number }[]>`
        select count(*)::int as waiting from pg_stat_activity as a
        where a.datname = current_database() and a.wait_event_type = 'Lock' and a.query like '%delete_user_profile%'`));
    }
    return { answers };
  });
  const answers = await asked.answers;
  assert.equal(answers.filter(({ data }) => data !== undefined).length, 1);
  assert.equal(answers.filter(({ error }) => error === "ERR_4005").length, 4);
  assert.deepEqual(await creditsOf(sql, userId), { available: 0, forfeited: 10 });
});

Deno.test("no job is accepted after its account was closed, and no credit is lost to those that were", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  await sql`update guard.policies set max_hits = 300 where scope = 'network'`;
  // Six videos a round, all from one network, which may try 300 in an hour.
  const rounds = runs(8, 50);
  let accepted = 0;
  for (let round = 0; round < rounds; round++) {
    const userId = await createGuest(database, 100);
    const videos = times(6, () => generateVideo(sql, userId));
    const closed = await closeAccount(sql, userId);
    const answers = await videos;
    assert(closed.data);
    for (const { error } of answers) assert(error === undefined || error === "ERR_4005", `${error}`);
    accepted += answers.filter(({ data }) => data !== undefined).length;
    const jobs = await sql<{ status: string; in_time: boolean }[]>`
      select j.status, j.created_at <= u.closed_at as in_time
      from videos.jobs as j join accounts.users as u on u.id = j.user_id where u.id = ${userId}`;
    assert.equal(jobs.length, answers.filter(({ data }) => data !== undefined).length);
    for (const { status, in_time } of jobs) assert.deepEqual([status, in_time], ["cancelled", true]);
    assert.deepEqual(await creditsOf(sql, userId), { available: 0, forfeited: 100 });
    const kept = await sql`
      select from guard.idempotency_keys as k where k.caller = ${userId} and k.outcome ? 'error'`;
    assert.equal(kept.length, 0);
  }
  assert(accepted > 0 && accepted < 6 * rounds, `${accepted} of ${6 * rounds} came before the closing`);
  assert.deepEqual(await violations(sql), []);
});
