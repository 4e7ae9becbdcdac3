import assert from "node:assert/strict";
import { testDatabase } from "../harness.ts";
import { manyConnections, times } from "../support/connections.ts";
import { freezeClock } from "../support/frozen-clock.ts";
import { first } from "../support/ledger.ts";
import { countHits, type Limit, setPolicy, take, takeOne } from "../support/rate-limits.ts";
import { createPayer, generateVideo } from "../support/videos.ts";
import { sweepRule } from "../support/retention.ts";

const second = 1000;

Deno.test("a window admits its hits, says when the next one is admitted, and counts no refusal", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const clock = await freezeClock(database);
  await setPolicy(sql, "test", { maxHits: 2, windowSeconds: 60 });
  const caller = { userId: crypto.randomUUID() };
  const expected = { policy: "test", limit: 2, window: 60 };

  assert.deepEqual(await takeOne(sql, "test", caller), {
    ...expected,
    allowed: true,
    current: 1,
    remaining: 1,
    reset: 60,
  });
  await clock.advance(20 * second);
  assert.deepEqual(await takeOne(sql, "test", caller), {
    ...expected,
    allowed: true,
    current: 2,
    remaining: 0,
    reset: 40,
  });
  for (let repeat = 0; repeat < 3; repeat++) {
    await clock.advance(10 * second);
    const { limits, refusal } = await take(sql, ["test"], caller);
    const refused: Limit = { ...expected, allowed: false, current: 2, remaining: 0, reset: 30 - repeat * 10 };
    assert.deepEqual(limits, [refused]);
    assert.deepEqual(refusal, {
      error: "ERR_4004",
      details: { policy: "test", retry_after: refused.reset },
      limits: [refused],
    });
  }
  await clock.advance(10 * second);
  assert.equal((await takeOne(sql, "test", caller)).allowed, true);
  assert.equal((await takeOne(sql, "test", caller)).allowed, false);
  // Somebody else has a window of their own.
  assert.equal((await takeOne(sql, "test", { userId: crypto.randomUUID() })).allowed, true);
});

Deno.test("64 parallel callers at the edge admit exactly the rest", async () => {
  await using database = await testDatabase();
  await using sql = manyConnections(database);
  for (const isLogged of [true, false]) {
    await setPolicy(sql, "test", { maxHits: 10, isLogged });
    for (const before of [0, 3, 9, 10]) {
      const caller = { userId: crypto.randomUUID() };
      for (let hit = 0; hit < before; hit++) await takeOne(sql, "test", caller);
      const limits = await times(64, () => takeOne(sql, "test", caller));
      assert.equal(limits.filter(({ allowed }) => allowed).length, 10 - before);
    }
  }
});

Deno.test("64 parallel videos of one user at the edge: exactly the rest are accepted, held and counted", async () => {
  await using database = await testDatabase();
  await using sql = manyConnections(database);
  await sql`update guard.policies set max_hits = 300 where name like 'generation_attempts%'`;
  const user = await createPayer(sql, 1000);
  for (let accepted = 0; accepted < 7; accepted++) await generateVideo(sql, user);

  const answers = await times(64, () => generateVideo(sql, user));
  assert.equal(answers.filter(({ data }) => data !== undefined).length, 3);
  assert.equal(answers.filter(({ error }) => error === "ERR_4004").length, 61);
  const counts = await first(sql`
    select (select count(*)::integer from videos.jobs) as jobs,
      (select count(*)::integer from credits.transfers as t where t.kind = 'hold') as holds`);
  assert.deepEqual({ ...counts }, { jobs: 10, holds: 10 });
  assert.deepEqual(await countHits(sql), {
    video_generation: 10,
    uncaptured_jobs: 10,
    generation_attempts: 71,
    generation_attempts_network: 71,
  });
});

Deno.test("attempt policies are all or nothing among themselves, also where one of them is broken", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await setPolicy(sql, "a_window", { maxHits: 5 });
  await setPolicy(sql, "b_window", { maxHits: 5 });
  await setPolicy(sql, "c_refuses", { maxHits: 1 });
  await setPolicy(sql, "d_broken", { maxHits: 5, isLogged: true, onFailure: "closed" });
  const caller = { userId: crypto.randomUUID() };
  await takeOne(sql, "c_refuses", caller);
  const remaining = async (policy: string) => (await takeOne(sql, policy, caller)).remaining;

  const { refusal, limits } = await take(sql, ["a_window", "b_window", "c_refuses"], caller);
  assert.equal(refusal?.details.policy, "c_refuses");
  assert.deepEqual(limits.map(({ policy }) => policy), ["c_refuses"]);
  assert.deepEqual([await remaining("a_window"), await remaining("b_window")], [4, 4]);

  await sql`drop table guard.hits_logged`;
  assert.equal((await take(sql, ["a_window", "b_window", "d_broken"], caller)).refusal?.error, "ERR_6001");
  assert.deepEqual([await remaining("a_window"), await remaining("b_window")], [3, 3]);

  const admitted = await take(sql, ["a_window", "b_window"], caller);
  assert.equal(admitted.refusal, undefined);
  assert.deepEqual(admitted.limits.map(({ policy, remaining }) => [policy, remaining]), [
    ["a_window", 2],
    ["b_window", 2],
  ]);
});

Deno.test("accepted work is counted last: no refusal costs anything of it", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const poor = await createPayer(sql, 3);
  assert.equal((await generateVideo(sql, poor)).error, "ERR_4001");
  assert.equal((await generateVideo(sql, poor, { modelId: crypto.randomUUID() })).error, "ERR_4002");
  assert.deepEqual(await countHits(sql), { generation_attempts: 2, generation_attempts_network: 2 });
  // The network's attempts are used up by somebody else.
  await setPolicy(sql, "generation_attempts_network", { scope: "network", maxHits: 2 });
  const rich = await createPayer(sql);
  assert.equal((await generateVideo(sql, rich)).details?.["policy"], "generation_attempts_network");
  const { limits } = await generateVideo(sql, rich, { network: "198.51.100.7" });
  assert.deepEqual(limits?.slice(0, 2).map(({ policy }) => policy), ["uncaptured_jobs", "video_generation"]);
});

Deno.test("a refusal by accepted work holds nothing and counts the attempt", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sql`update guard.policies set max_hits = 1 where name = 'video_generation'`;
  const user = await createPayer(sql);
  await generateVideo(sql, user);
  const refused = await generateVideo(sql, user);
  assert.equal(refused.error, "ERR_4004");
  assert.equal(refused.details?.["policy"], "video_generation");
  assert.deepEqual(refused.limits?.map(({ policy, remaining }) => [policy, remaining]), [
    ["video_generation", 0],
    ["generation_attempts", 58],
    ["generation_attempts_network", 298],
  ]);
  assert.equal((await sql`select from videos.jobs`).length, 1);
});

Deno.test("a changed policy takes effect at once, whichever way it changes", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const clock = await freezeClock(database);
  const caller = { userId: crypto.randomUUID() };
  const take = () => takeOne(sql, "test", caller);
  await setPolicy(sql, "test", { maxHits: 3, windowSeconds: 60 });
  for (let hit = 0; hit < 3; hit++) {
    assert.equal((await take()).allowed, true);
    await clock.advance(second);
  }
  assert.equal((await take()).allowed, false);

  await setPolicy(sql, "test", { maxHits: 4, windowSeconds: 60 });
  assert.equal((await take()).allowed, true);
  await setPolicy(sql, "test", { maxHits: 2, windowSeconds: 60 });
  // Of four hits two must leave, and one more: the third is 58 s off.
  assert.deepEqual(await take(), {
    policy: "test",
    allowed: false,
    current: 4,
    limit: 2,
    window: 60,
    remaining: 0,
    reset: 59,
  });
  await setPolicy(sql, "test", { maxHits: 2, windowSeconds: 1 });
  assert.equal((await take()).allowed, true);

  await setPolicy(sql, "test", { maxHits: 300, windowSeconds: 60 });
  // What had left the short window does not come back into the long one.
  assert.equal((await take()).remaining, 297);
  await setPolicy(sql, "test", { maxHits: 3, windowSeconds: 60 });
  assert.equal((await take()).allowed, false);
});

Deno.test("an unknown network is one subject, shared by all who have none", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await setPolicy(sql, "test", { scope: "network", maxHits: 2 });
  const allowed = async (network: string | null) => (await takeOne(sql, "test", { network })).allowed;
  assert.deepEqual([await allowed(null), await allowed(null), await allowed(null)], [true, true, false]);
  assert.equal(await allowed("192.0.2.1"), true);
});

Deno.test("each scope counts what it names", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const me = { userId: crypto.randomUUID(), network: "192.0.2.1", endpoint: "models" };
  const somebody = { userId: crypto.randomUUID(), network: "192.0.2.2", endpoint: "health" };
  const scopes = {
    user: { ...somebody, userId: me.userId },
    network: { ...somebody, network: me.network },
    endpoint: { ...somebody, endpoint: me.endpoint },
    global: somebody,
  };
  for (const scope of ["user", "network", "endpoint", "global"] as const) {
    await setPolicy(sql, "test", { scope, maxHits: 2 });
    await takeOne(sql, "test", me);
    assert.equal((await takeOne(sql, "test", scopes[scope])).allowed, true, scope);
    assert.equal((await takeOne(sql, "test", scopes[scope])).allowed, false, scope);
    if (scope !== "global") assert.equal((await takeOne(sql, "test", somebody)).allowed, true, scope);
    await sql`delete from guard.hits`;
  }
});

Deno.test("a policy keeps 300 hits at most, and one that guards money survives a crash", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await setPolicy(sql, "test", { maxHits: 300 });
  await assert.rejects(setPolicy(sql, "test", { maxHits: 301 }), {
    code: "23514",
    constraint_name: "a_window_keeps_at_most_300_hits",
  });
  await assert.rejects(setPolicy(sql, "test", { maxHits: 3, onFailure: "closed" }), { code: "23514" });
});

Deno.test("windows that are over are swept, and those of policies that are gone", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const clock = await freezeClock(database);
  await setPolicy(sql, "short", { maxHits: 5, windowSeconds: 60 });
  await setPolicy(sql, "long", { maxHits: 5, windowSeconds: 600, isLogged: true });
  await setPolicy(sql, "gone", { maxHits: 5 });
  for (const policy of ["short", "long", "gone"]) await take(sql, [policy]);
  await sql`delete from guard.policies where name = 'gone'`;
  const sweep = async () => {
    const swept = await sweepRule(sql, "rate_limit_hits");
    const left = await sql<{ policy: string }[]>`select h.policy from guard.hits as h order by 1`;
    return [swept, ...left.map(({ policy }) => policy)];
  };
  assert.deepEqual(await sweep(), [1, "long", "short"]);
  await clock.advance(60 * second);
  assert.deepEqual(await sweep(), [1, "long"]);
  await clock.advance(540 * second);
  assert.deepEqual(await sweep(), [1]);
});
