/** `uncaptured_jobs`: 30 jobs in any 24 hours that a user has not paid for, whatever became of them. */
import assert from "node:assert/strict";
import { testDatabase } from "../harness.ts";
import { times } from "../support/connections.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { receiveEvent, recordStored, submit, succeeded } from "../support/generation.ts";
import { settle } from "../support/jobs.ts";
import { rolledBack, type Sql } from "../support/ledger.ts";
import { countHits } from "../support/rate-limits.ts";
import { type Answer, createPayer, generateVideo } from "../support/videos.ts";

const policy = "uncaptured_jobs";

/** Somebody whom no other limit stops. */
async function quickPayer(sql: Sql, credits = 1000): Promise<string> {
  await sql`update guard.policies set max_hits = 300 where name <> ${policy} and counts = 'hits'`;
  return await createPayer(sql, credits);
}

async function accept(sql: Sql, userId: string): Promise<string> {
  const { data, error } = await generateVideo(sql, userId);
  return data?.job_id ?? assert.fail(error);
}

const counted = async (sql: Sql, userId: string) => (await countHits(sql, [userId]))[policy] ?? 0;
const hitsOf = async (sql: Sql, userId: string) => {
  const rows = await sql<{ at: string }[]>`
    select h.at::text as at from guard.hits, unnest(hits) with ordinality as h (at, place)
    where policy = ${policy} and subject = ${userId} order by h.place`;
  return rows.map(({ at }) => at);
};
const acceptedAt = async (sql: Sql, jobId: string) => {
  const [job] = await sql<
    { at: string }[]
  >`select created_at::text as at from videos.jobs where id = ${jobId}`;
  return job?.at;
};

Deno.test("the 31st job that is not paid is refused for a day, whatever became of the others, and holds nothing", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const user = await quickPayer(sql);
  for (let turn = 0; turn < 30; turn++) {
    const jobId = await accept(sql, user);
    if (turn % 3 === 1) await sql`select api.cancel_video(${user}, ${jobId})`;
    if (turn % 3 === 2) await settle(sql, jobId, "failed");
    await database.advance(60_000);
  }
  const refused = async (): Promise<Answer> => {
    const answer = await generateVideo(sql, user, { key: "a-key" });
    assert.deepEqual([answer.error, answer.details?.["policy"]], ["ERR_4004", policy]);
    return answer;
  };
  const { details, limits } = await refused();
  assert.equal(details?.["retry_after"], 24 * 3600 - 30 * 60);
  assert.deepEqual([limits?.[0]?.policy, limits?.[0]?.allowed, limits?.[0]?.remaining], [policy, false, 0]);
  assert.equal((await sql`select from videos.jobs where user_id = ${user}`).length, 30);

  await database.advance((24 * 3600 - 30 * 60 - 1) * 1000);
  await refused();
  await database.advance(1000);
  assert.equal(
    (await generateVideo(sql, user, { key: "a-key" })).data?.status,
    "pending",
    "the same key, later",
  );
});

Deno.test("a capture gives back the hit of its own job, once, and nothing else does", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await quickPayer(sql);
  const jobs: string[] = [];
  for (let turn = 0; turn < 5; turn++) jobs.push(await accept(sql, user));
  const hits = await hitsOf(sql, user);
  assert.deepEqual(hits, await Promise.all(jobs.map((job) => acceptedAt(sql, job))));

  const [, cancelled = "", paid = "", unpaid = ""] = jobs;
  await settle(sql, cancelled, "cancelled");
  await settle(sql, unpaid, "failed");
  assert.deepEqual(await hitsOf(sql, user), hits);
  const submission = await submit(sql, paid);
  await receiveEvent(sql, submission, succeeded);
  for (let turn = 0; turn < 3; turn++) {
    assert.equal(await recordStored(sql, paid), "completed");
    await receiveEvent(sql, submission, succeeded);
    assert.deepEqual(await hitsOf(sql, user), hits.filter((hit) => hit !== hits[2]));
  }
  await sql`select credits.reconcile(true)`;
});

Deno.test("who pays for their videos is never stopped", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const user = await quickPayer(sql);
  // At one and the same time, so that all hits are alike.
  for (let turn = 0; turn < 70; turn++) {
    const jobId = await accept(sql, user);
    await receiveEvent(sql, await submit(sql, jobId), succeeded);
    await recordStored(sql, jobId);
    assert.equal(await counted(sql, user), 0);
  }
  assert.equal((await sql`select guard.sweep_hits(core.now() - interval '1 hour', 10)`).length, 1);
  assert.equal(
    (await sql`select from guard.hits where policy = ${policy}`).length,
    0,
    "an empty row is swept",
  );
});

Deno.test("a capture after its hit left the window takes no other", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const user = await quickPayer(sql);
  const old = await accept(sql, user);
  const submission = await submit(sql, old);
  await receiveEvent(sql, submission, succeeded);
  await database.advance(25 * 3600_000);
  await accept(sql, user);
  await recordStored(sql, old);
  assert.equal(await counted(sql, user), 1);
});

Deno.test("64 at once, with captures between them: never more than 30 are unpaid, and each capture makes one place", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await quickPayer(sql);
  const jobs = await Promise.all((await times(25, () => accept(sql, user))).map(async (job) => {
    await receiveEvent(sql, await submit(sql, job), succeeded);
    return job;
  }));
  const answers = await Promise.all([
    ...jobs.slice(0, 10).map(async (job) => void await recordStored(sql, job)),
    ...Array.from({ length: 64 }, () => generateVideo(sql, user)),
  ]);
  const accepted = answers.filter((answer) => answer?.data !== undefined).length;
  assert.equal(await counted(sql, user), 15 + accepted);
  assert(accepted >= 5 && 15 + accepted <= 30, `${accepted} more`);
  for (const answer of answers) {
    assert(answer === undefined || answer.data !== undefined || answer.details?.["policy"] === policy);
  }
  while ((await generateVideo(sql, user)).data !== undefined);
  assert.equal(await counted(sql, user), 30);
});

Deno.test("a replay costs nothing of it, and is answered when it is used up", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await quickPayer(sql);
  const { data } = await generateVideo(sql, user, { key: "a-key" });
  for (let turn = 1; turn < 30; turn++) await accept(sql, user);
  const again = await generateVideo(sql, user, { key: "a-key" });
  assert.deepEqual([again.replayed, again.data], [true, data]);
  assert.equal(await counted(sql, user), 30);
});

/** Ways to break what counts, each in the middle of a transaction. */
const accidents = {
  "the rows are gone": "drop table guard.hits_logged",
  "the policy is gone": "delete from guard.policies where name = 'uncaptured_jobs'",
  "the other policy of accepted work is gone": "delete from guard.policies where name = 'video_generation'",
  "the rows refuse every change":
    "alter table guard.hits_logged add constraint broken check (false) not valid",
};

for (const [accident, statement] of Object.entries(accidents)) {
  Deno.test(`where it cannot be counted, as ${accident}, nothing is accepted, and what is made is paid for`, async () => {
    await using database = await testDatabase();
    const { sql } = database;
    const user = await quickPayer(sql);
    const jobId = await accept(sql, user);
    await receiveEvent(sql, await submit(sql, jobId), succeeded);
    await rolledBack(sql, async (sql) => {
      await sql.unsafe(statement);
      const { error, details } = await generateVideo(sql, user);
      assert.deepEqual([error, details], ["ERR_6001", {}]);
      assert.equal(await recordStored(sql, jobId), "completed");
      assert.deepEqual([...await sql`select * from credits.reconcile(true)`], []);
    });
  });
}
