import assert from "node:assert/strict";
import { errorCodes } from "../../../supabase/functions/_shared/errors/error-codes.ts";
import { manyConnections, times } from "../support/connections.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { first, rolledBack, type Sql } from "../support/ledger.ts";
import { countHits } from "../support/rate-limits.ts";
import { createPayer, generateVideo } from "../support/videos.ts";
import { sweepRule } from "../support/retention.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const database = sharedDatabase(stillDatabase);
const { sql, advance } = database;

const hour = 60 * 60 * 1000;
const one = "1".repeat(64);
const other = "2".repeat(64);

type Answer = Record<string, unknown> | null;

interface Claim {
  caller: string;
  endpoint: string;
  key: string;
}

/** A key that nobody has used. */
function newClaim(): Claim {
  return { caller: crypto.randomUUID(), endpoint: "an-endpoint", key: "a-key" };
}

async function claim(sql: Sql, { caller, endpoint, key }: Claim, fingerprint: string): Promise<Answer> {
  return (await first(sql<{ answer: Answer }[]>`
    select guard.claim(${caller}, ${endpoint}, ${key}, ${fingerprint}) as answer`)).answer;
}

async function finish(
  sql: Sql,
  { caller, endpoint, key }: Claim,
  fingerprint: string,
  outcome: string,
): Promise<Answer> {
  return (await first(sql<{ answer: Answer }[]>`
    select guard.finish(${caller}, ${endpoint}, ${key}, ${fingerprint}, ${outcome}::text::jsonb) as answer`))
    .answer;
}

Deno.test("a finished request is replayed, without the limits of its moment", async () => {
  const mine = newClaim();
  assert.equal(await claim(sql, mine, one), null);
  const outcome = { data: { job_id: "a" }, limits: [{ policy: "writes" }] };
  assert.deepEqual(await finish(sql, mine, one, JSON.stringify(outcome)), outcome);
  assert.deepEqual(await claim(sql, mine, one), { data: { job_id: "a" }, replayed: true });
});

Deno.test("another request under the same key is ERR_4011, and leaves the first as it is", async () => {
  const mine = newClaim();
  await finish(sql, mine, one, '{"data": 1}');
  assert.deepEqual(await claim(sql, mine, other), { error: "ERR_4011", details: {} });
  assert.deepEqual(await claim(sql, mine, one), { data: 1, replayed: true });
});

Deno.test("a key belongs to its caller and endpoint", async () => {
  const mine = newClaim();
  await finish(sql, mine, one, '{"data": 1}');
  assert.equal(await claim(sql, { ...mine, caller: crypto.randomUUID() }, other), null);
  assert.equal(await claim(sql, { ...mine, endpoint: "another-endpoint" }, other), null);
  assert.equal(await claim(sql, { ...mine, key: "another-key" }, other), null);
});

Deno.test("while the first request runs, the second is ERR_4012 at once, and a replay when it has ended", async () => {
  const mine = newClaim();
  await sql.begin(async (first) => {
    assert.equal(await claim(first, mine, one), null);
    // Another fingerprint too: what the first will be is not known yet.
    for (const fingerprint of [one, other]) {
      assert.deepEqual(await claim(sql, mine, fingerprint), {
        error: "ERR_4012",
        details: { retry_after: 1 },
      });
    }
    assert.equal(await claim(sql, { ...mine, key: "another-key" }, one), null);
    await finish(first, mine, one, '{"data": 1}');
    assert.deepEqual(await claim(sql, mine, one), { error: "ERR_4012", details: { retry_after: 1 } });
  });
  assert.deepEqual(await claim(sql, mine, one), { data: 1, replayed: true });
});

Deno.test("a request that died leaves its key free", async () => {
  const mine = newClaim();
  await rolledBack(sql, async (sql) => {
    assert.equal(await claim(sql, mine, one), null);
    await finish(sql, mine, one, '{"data": 1}');
  });
  assert.equal(await claim(sql, mine, other), null);
});

Deno.test("an outcome is kept for 24 hours, whether or not the sweep comes by", async () => {
  const mine = newClaim();
  await finish(sql, mine, one, '{"data": 1}');
  await advance(23.9 * hour);
  assert.deepEqual(await claim(sql, mine, one), { data: 1, replayed: true });
  await advance(0.2 * hour);
  assert.equal(await claim(sql, mine, other), null);
  await finish(sql, mine, other, '{"data": 2}');
  assert.deepEqual(await claim(sql, mine, other), { data: 2, replayed: true });
});

Deno.test("what the registry does not replay is not stored, and the rest is", async () => {
  const mine = newClaim();
  for (const [code, { replayed }] of Object.entries(errorCodes)) {
    await rolledBack(sql, async (sql) => {
      const outcome = { error: code, details: { a: 1 } };
      assert.deepEqual(await finish(sql, mine, one, JSON.stringify(outcome)), outcome);
      assert.deepEqual(await claim(sql, mine, one), replayed ? { ...outcome, replayed: true } : null, code);
    });
  }
});

Deno.test("expired keys are swept in batches, past those that somebody holds", async () => {
  const mine = newClaim();
  const sweep = () => sweepRule(sql, "idempotency_keys");
  // What the other tests left.
  await advance(25 * hour);
  await sweep();
  await sql`
    insert into guard.idempotency_keys (caller, endpoint, key, fingerprint, outcome, expires_at)
    select ${mine.caller}, 'an-endpoint', n::text, ${one}, '{}', core.now() + interval '1 hour'
    from generate_series(1, 10002) as n`;
  await advance(2 * hour);
  await finish(sql, mine, one, '{"data": 1}');

  assert.equal(await sweep(), 10_000);
  await sql.begin(async (holder) => {
    await holder`select from guard.idempotency_keys where expires_at <= core.now() limit 1 for update`;
    assert.equal(await sweep(), 1);
  });
  assert.equal(await sweep(), 1);
  assert.equal(await sweep(), 0);
  assert.deepEqual(await claim(sql, mine, one), { data: 1, replayed: true });
});

Deno.test("64 identical parallel calls of generate_video make one job, one hold, and take one hit of the limits", async () => {
  await using sql = manyConnections(database);
  const user = await createPayer(sql);
  const network = "198.51.100.64";
  const answers = await times(64, () => generateVideo(sql, user, { key: "a-key", network }));

  const busy = answers.filter(({ error }) => error === "ERR_4012");
  const made = answers.filter(({ data }) => data !== undefined);
  assert.equal(busy.length + made.length, 64);
  assert.equal(made.filter(({ replayed }) => replayed === undefined).length, 1);
  for (const { data } of made) assert.deepEqual(data, made[0]?.data);
  const { replays = 0, ...hits } = await countHits(sql, [user, network]);
  assert.deepEqual(hits, {
    video_generation: 1,
    uncaptured_jobs: 1,
    generation_attempts: 1,
    generation_attempts_network: 1,
  });
  assert.equal(replays, made.length - 1, "those that came after it");
  const counts = await first(sql`
    with jobs as (select j.id from videos.jobs as j where j.user_id = ${user})
    select count(*)::integer as jobs,
      (select count(*)::integer from credits.transfers as t join jobs on t.job_id = jobs.id) as holds,
      (select count(*)::integer from queue.tasks as t join jobs on t.subject = jobs.id) as tasks
    from jobs`);
  assert.deepEqual({ ...counts }, { jobs: 1, holds: 1, tasks: 1 });
  assert.deepEqual(await generateVideo(sql, user, { key: "a-key" }), { data: made[0]?.data, replayed: true });
});

Deno.test("a refusal of the business is replayed even when it would be no more; one of the moment is not", async () => {
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

  await sql`update ops.feature_flags set is_enabled = false where key = 'generation'`;
  assert.equal((await generateVideo(sql, user, { key: "off" })).error, "ERR_6004");
  await sql`update ops.feature_flags set is_enabled = true where key = 'generation'`;
  assert.equal((await generateVideo(sql, user, { key: "off" })).data?.credits_used, 4);
});

Deno.test("whether the caller is active is asked before the key, and a replay has the user's language", async () => {
  const user = await createPayer(sql);
  await generateVideo(sql, user, { key: "a-key" });
  await sql`update accounts.users set language = 'tr' where id = ${user}`;
  assert.equal((await generateVideo(sql, user, { key: "a-key" })).language, "tr");
  await sql`update accounts.users set is_banned = true where id = ${user}`;
  assert.equal((await generateVideo(sql, user, { key: "a-key" })).error, "ERR_4017");
  await sql`update accounts.users set closed_at = now(), language = null where id = ${user}`;
  assert.equal((await generateVideo(sql, user, { key: "a-key" })).error, "ERR_4005");
});

Deno.test("nobody chooses a lock by a key: it is hashed with the database's secret, in a key space of its own", async () => {
  const { sql } = database;
  const locks = () =>
    sql<{ key: string; numbers: number }[]>`
      select (l.classid::bigint << 32 | l.objid::bigint)::text as key, l.objsubid::int as numbers
      from pg_locks as l
      where l.locktype = 'advisory' and l.database = (select d.oid from pg_database as d where d.datname = current_database())`;
  const mine = newClaim();
  const text = `${mine.caller} ${mine.endpoint} ${mine.key}`;
  await sql.begin(async (holder) => {
    assert.equal(await claim(holder, mine, one), null);
    const [held, ...others] = await locks();
    assert.deepEqual(others, []);
    assert.equal(held?.numbers, 1);
    // What whoever knows caller, endpoint and key can compute.
    const [guess] = await sql`
      select hashtextextended(${text}, 0)::text as extended,
        ('x' || encode(substring(sha256(convert_to(${text}, 'UTF8')) from 1 for 8), 'hex'))::bit(64)::bigint::text as hashed`;
    assert.ok(![guess?.["extended"], guess?.["hashed"]].includes(held?.key));
  });

  // Whatever locks of one number somebody holds, they are no lock of the tick's or of an admin's limit.
  const { key } = await first(
    sql<
      { key: string }[]
    >`select guard.lock_key(s.secret, ${mine.caller}, 'an-endpoint', 'a-key')::text as key from guard.secrets as s`,
  );
  await rolledBack(sql, async (sql) => {
    await sql`update guard.secrets set secret = sha256('another')`;
    const other = await first(
      sql`select guard.lock_key(s.secret, ${mine.caller}, 'an-endpoint', 'a-key')::text as key from guard.secrets as s`,
    );
    assert.notEqual(other["key"], key, "another database has other locks");
  });
});

Deno.test("the sources take no advisory lock of one number but those of idempotency keys", async () => {
  const { sql } = database;
  const rows = await sql<{ name: string; call: string }[]>`
    select p.proname as name, m.m[1] as call
    from pg_proc as p, regexp_matches(p.prosrc, 'pg_(?:try_)?advisory[a-z_]*[(]([^;]*)', 'g') as m (m)
    where p.pronamespace::regnamespace::text not in ('pg_catalog', 'information_schema')`;
  assert.deepEqual(rows.map(({ name }) => name).sort(), [
    "claim",
    "claim_task",
    "lock_target",
    "pass_keys",
    "raise_alert",
    "settle",
    "take_credits",
  ]);
  for (const { name, call } of rows) {
    assert.match(
      call,
      ["claim", "pass_keys"].includes(name) ? /^guard\.lock_key\(/ : /^\d+, (hashtext\(|0\))/,
    );
  }
});

Deno.test("answers from a known key are limited, replays and ERR_4011 alike, and no other request is by that", async () => {
  const { sql, advance } = database;
  const mine = newClaim();
  await finish(sql, mine, one, '{"data": 1}');
  for (let count = 0; count < 120; count++) {
    const answer = await claim(sql, mine, count % 2 === 0 ? one : other);
    assert.equal(answer?.["error"] ?? answer?.["data"], count % 2 === 0 ? 1 : "ERR_4011");
  }
  for (const fingerprint of [one, other]) {
    const refused = await claim(sql, mine, fingerprint);
    assert.equal(refused?.["error"], "ERR_4004");
    const { policy } = refused?.["details"] as { policy: string };
    assert.equal(policy, "replays");
  }
  assert.equal(await claim(sql, { ...mine, key: "a new one" }, one), null);
  const others = newClaim();
  await finish(sql, others, one, '{"data": 2}');
  assert.deepEqual(await claim(sql, others, one), { data: 2, replayed: true });
  await advance(61_000);
  assert.deepEqual(await claim(sql, mine, one), { data: 1, replayed: true });
});
