import assert from "node:assert/strict";
import { errorCodes } from "../../supabase/functions/_shared/error-codes.ts";
import { testDatabase } from "./harness.ts";
import { manyConnections, times } from "./support/connections.ts";
import { first, rolledBack, type Sql } from "./support/ledger.ts";
import { countHits } from "./support/rate-limits.ts";
import { createPayer, generateVideo } from "./support/videos.ts";

const hour = 60 * 60 * 1000;
const caller = crypto.randomUUID();
const one = "1".repeat(64);
const other = "2".repeat(64);

type Answer = Record<string, unknown> | null;

interface Claim {
  caller?: string;
  endpoint?: string;
  key?: string;
}

const theKey = { caller, endpoint: "an-endpoint", key: "a-key" };

async function claim(sql: Sql, fingerprint: string, claim: Claim = {}): Promise<Answer> {
  const { caller, endpoint, key } = { ...theKey, ...claim };
  return (await first(sql<{ answer: Answer }[]>`
    select guard.claim(${caller}, ${endpoint}, ${key}, ${fingerprint}) as answer`)).answer;
}

async function finish(sql: Sql, fingerprint: string, outcome: string): Promise<Answer> {
  const { caller, endpoint, key } = theKey;
  return (await first(sql<{ answer: Answer }[]>`
    select guard.finish(${caller}, ${endpoint}, ${key}, ${fingerprint}, ${outcome}::text::jsonb) as answer`))
    .answer;
}

Deno.test("a finished request is replayed, without the limits of its moment", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  assert.equal(await claim(sql, one), null);
  const outcome = { data: { job_id: "a" }, limits: [{ policy: "writes" }] };
  assert.deepEqual(await finish(sql, one, JSON.stringify(outcome)), outcome);
  assert.deepEqual(await claim(sql, one), { data: { job_id: "a" }, replayed: true });
});

Deno.test("another request under the same key is ERR_4011, and leaves the first as it is", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await finish(sql, one, '{"data": 1}');
  assert.deepEqual(await claim(sql, other), { error: "ERR_4011", details: {} });
  assert.deepEqual(await claim(sql, one), { data: 1, replayed: true });
});

Deno.test("a key belongs to its caller and endpoint", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await finish(sql, one, '{"data": 1}');
  assert.equal(await claim(sql, other, { caller: crypto.randomUUID() }), null);
  assert.equal(await claim(sql, other, { endpoint: "another-endpoint" }), null);
  assert.equal(await claim(sql, other, { key: "another-key" }), null);
});

Deno.test("while the first request runs, the second is ERR_4012 at once, and a replay when it has ended", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sql.begin(async (first) => {
    assert.equal(await claim(first, one), null);
    // Another fingerprint too: what the first will be is not known yet.
    for (const fingerprint of [one, other]) {
      assert.deepEqual(await claim(sql, fingerprint), { error: "ERR_4012", details: { retry_after: 1 } });
    }
    assert.equal(await claim(sql, one, { key: "another-key" }), null);
    await finish(first, one, '{"data": 1}');
    assert.deepEqual(await claim(sql, one), { error: "ERR_4012", details: { retry_after: 1 } });
  });
  assert.deepEqual(await claim(sql, one), { data: 1, replayed: true });
});

Deno.test("a request that died leaves its key free", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await rolledBack(sql, async (sql) => {
    assert.equal(await claim(sql, one), null);
    await finish(sql, one, '{"data": 1}');
  });
  assert.equal(await claim(sql, other), null);
});

Deno.test("an outcome is kept for 24 hours, whether or not the sweep comes by", async () => {
  await using database = await testDatabase();
  const { sql, advance } = database;
  await finish(sql, one, '{"data": 1}');
  await advance(23.9 * hour);
  assert.deepEqual(await claim(sql, one), { data: 1, replayed: true });
  await advance(0.2 * hour);
  assert.equal(await claim(sql, other), null);
  await finish(sql, other, '{"data": 2}');
  assert.deepEqual(await claim(sql, other), { data: 2, replayed: true });
});

Deno.test("what the registry does not replay is not stored, and the rest is", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  for (const [code, { replayed }] of Object.entries(errorCodes)) {
    await rolledBack(sql, async (sql) => {
      const outcome = { error: code, details: { a: 1 } };
      assert.deepEqual(await finish(sql, one, JSON.stringify(outcome)), outcome);
      assert.deepEqual(await claim(sql, one), replayed ? { ...outcome, replayed: true } : null, code);
    });
  }
});

Deno.test("expired keys are swept in batches, past those that somebody holds", async () => {
  await using database = await testDatabase();
  const { sql, advance } = database;
  await sql`
    insert into guard.idempotency_keys (caller, endpoint, key, fingerprint, outcome, expires_at)
    select ${caller}, 'an-endpoint', n::text, ${one}, '{}', ops.now() + interval '1 hour'
    from generate_series(1, 10002) as n`;
  await advance(2 * hour);
  await finish(sql, one, '{"data": 1}');
  const sweep = async () => (await first(sql`select guard.sweep_idempotency_keys() as deleted`))["deleted"];

  assert.equal(await sweep(), 10_000);
  await sql.begin(async (holder) => {
    await holder`select from guard.idempotency_keys where expires_at <= ops.now() limit 1 for update`;
    assert.equal(await sweep(), 1);
  });
  assert.equal(await sweep(), 1);
  assert.equal(await sweep(), 0);
  assert.deepEqual(await claim(sql, one), { data: 1, replayed: true });
});

Deno.test("64 identical parallel calls of generate_video make one job, one hold, and take one hit of the limits", async () => {
  await using database = await testDatabase();
  await using sql = manyConnections(database);
  const user = await createPayer(sql);
  const answers = await times(64, () => generateVideo(sql, user, { key: "a-key" }));

  const busy = answers.filter(({ error }) => error === "ERR_4012");
  const made = answers.filter(({ data }) => data !== undefined);
  assert.equal(busy.length + made.length, 64);
  assert.equal(made.filter(({ replayed }) => replayed === undefined).length, 1);
  for (const { data } of made) assert.deepEqual(data, made[0]?.data);
  assert.deepEqual(await countHits(sql), {
    video_generation: 1,
    generation_attempts: 1,
    generation_attempts_network: 1,
  });
  const counts = await first(sql`
    select (select count(*)::integer from public.video_jobs) as jobs,
      (select count(*)::integer from credits.transfers as t where t.kind = 'hold') as holds,
      (select count(*)::integer from generation.tasks) as tasks`);
  assert.deepEqual({ ...counts }, { jobs: 1, holds: 1, tasks: 1 });
  assert.deepEqual(await generateVideo(sql, user, { key: "a-key" }), { data: made[0]?.data, replayed: true });
});

Deno.test("a refusal of the business is replayed even when it would be no more; one of the moment is not", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await createPayer(sql, 0);
  const poor = await generateVideo(sql, user, { key: "poor" });
  assert.equal(poor.error, "ERR_4001");
  assert.deepEqual(poor.details, { required: 4, available: 0 });
  await sql`select credits.add(${user}, 100, 'grant', 'later')`;
  assert.deepEqual(await generateVideo(sql, user, { key: "poor" }), {
    error: "ERR_4001",
    details: poor.details,
    replayed: true,
  });

  await sql`update ops.feature_flags set is_enabled = false where name = 'generation'`;
  assert.equal((await generateVideo(sql, user, { key: "off" })).error, "ERR_6004");
  await sql`update ops.feature_flags set is_enabled = true where name = 'generation'`;
  assert.equal((await generateVideo(sql, user, { key: "off" })).data?.credits_used, 4);
});

Deno.test("whether the caller is active is asked before the key, and a replay has the user's language", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await createPayer(sql);
  await generateVideo(sql, user, { key: "a-key" });
  await sql`update public.users set language = 'tr' where id = ${user}`;
  assert.equal((await generateVideo(sql, user, { key: "a-key" })).language, "tr");
  await sql`update public.users set is_banned = true where id = ${user}`;
  assert.equal((await generateVideo(sql, user, { key: "a-key" })).error, "ERR_4017");
  await sql`update public.users set closed_at = now() where id = ${user}`;
  assert.equal((await generateVideo(sql, user, { key: "a-key" })).error, "ERR_4005");
});
