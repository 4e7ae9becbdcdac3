/** Closing an account: what ends with it, at once and whatever comes later. */
import assert from "node:assert/strict";
import { runs } from "../../runs.ts";
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
  submit,
  succeeded,
} from "../support/generation.ts";
import { add, first, type Sql, violations } from "../support/ledger.ts";
import { type Answer, generateVideo } from "../support/videos.ts";
import { runTask } from "../support/scheduled-tasks.ts";

const second = 1000;
const minute = 60 * second;

async function start(sql: Sql, userId: string): Promise<string> {
  const { data } = await generateVideo(sql, userId);
  assert(data);
  return data.job_id;
}

Deno.test("a closed account is a tombstone: nothing about the person, no credits, no session", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const userId = await createGuest(database);
  await sql`
    update accounts.users set display_name = 'Ada', language = 'tr', theme_preference = 'dark', is_admin = true
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
  });
  assert.deepEqual(await creditsOf(sql, userId), { available: 0, forfeited: 10 });
  assert.equal((await sql`select from auth.sessions where user_id = ${userId}`).length, 0);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("whoever closed their account is refused by everything that acts for a caller", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const userId = await createGuest(database);
  const jobId = await start(sql, userId);
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

Deno.test("pending jobs end at once, and their credits are forfeited with the rest", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const userId = await createGuest(database);
  const jobs = [await start(sql, userId), await start(sql, userId)];
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
    const jobId = await start(sql, userId);
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
  const jobId = await start(sql, userId);
  const submissionId = await claimSubmission(sql, jobId) ?? "";
  // A wish from before, which finds nobody to ask.
  await sql`select api.cancel_video(${userId}, ${jobId})`;
  await closeAccount(sql, userId);
  const early = await claimTask(sql, jobId, "cancel");
  assert.equal(await recordCancel(sql, jobId, "no_request_id", early), "processing");

  await recordSubmission(sql, submissionId, { outcome: "accepted", request_id: "r", reports_start: true });
  await advance(second);
  const task = await claimTask(sql, jobId, "cancel");
  assert.equal((await loadTask(sql, task)).submission?.request_id, "r");
  assert.equal(await recordCancel(sql, jobId, "requested", task), "cancelled");
});

Deno.test("a job whose request comes to nothing ends with that, or when nobody waits for it any more", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const userId = await createGuest(database, 20);
  const jobs = await times(4, () => start(sql, userId));
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
  await advance(61 * second);
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
  const jobId = await start(sql, userId);
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
      const jobId = await start(sql, userId);
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
  const jobId = await start(sql, userId);
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

Deno.test("without a worker the deadline ends the jobs of a closed account", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const userId = await createGuest(database);
  const jobId = await start(sql, userId);
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
  await start(sql, userId);
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
