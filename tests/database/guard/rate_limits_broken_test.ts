import assert from "node:assert/strict";
import { testDatabase } from "../harness.ts";
import { rolledBack } from "../support/ledger.ts";
import { setPolicy, take } from "../support/rate-limits.ts";
import { createPayer, generateVideo } from "../support/videos.ts";

/** What api.md promises about each policy when its limiter is broken. */
const onFailure: Record<string, "open" | "closed"> = {
  video_generation: "closed",
  uncaptured_jobs: "closed",
  generation_attempts: "open",
  generation_attempts_network: "open",
  device_check: "open",
  device_check_network: "open",
  device_grants: "closed",
  device_grants_global: "closed",
  signed_urls: "open",
  reads: "open",
  writes: "open",
  replays: "open",
  admin: "open",
  admin_credits: "closed",
  purchases: "open",
  exports: "open",
  takedown_notices: "open",
  takedown_notices_network: "open",
  sandbox_credits: "closed",
  sandbox_credits_global: "closed",
};

/** Ways to break the table of hits, each in the middle of a transaction. */
const accidents = {
  "its partitions are gone": "drop table guard.hits_logged, guard.hits_unlogged",
  "its partitions are renamed and detached": `
    alter table guard.hits detach partition guard.hits_logged;
    alter table guard.hits detach partition guard.hits_unlogged;
    alter table guard.hits_logged rename to elsewhere;
    alter table guard.hits_unlogged rename to elsewhere_unlogged`,
  "a column is gone": "alter table guard.hits drop column hits",
  "the table refuses every row": "alter table guard.hits add constraint broken check (false) not valid",
};

Deno.test("each policy fails open or closed, as it is promised to, however the limiter breaks", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const policies = await sql<{ name: string }[]>`select p.name from guard.policies as p`;
  assert.deepEqual(policies.map(({ name }) => name).sort(), Object.keys(onFailure).sort());

  for (const [accident, statements] of Object.entries(accidents)) {
    await rolledBack(sql, async (sql) => {
      await sql.unsafe(statements);
      for (const [policy, mode] of Object.entries(onFailure)) {
        const { refusal, limits } = await take(sql, [policy]);
        assert.deepEqual(limits, [], `${policy}: ${accident}`);
        assert.equal(refusal?.error, mode === "open" ? undefined : "ERR_6001", `${policy}: ${accident}`);
      }
    });
  }
});

Deno.test("a policy whose row is missing is broken: it fails open or closed as it is promised to, and alone", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  for (const [policy, mode] of Object.entries(onFailure)) {
    await rolledBack(sql, async (sql) => {
      await sql`delete from guard.policies as p where p.name = ${policy}`;
      const { refusal, limits } = await take(sql, [policy]);
      assert.deepEqual([refusal?.error, limits], [mode === "open" ? undefined : "ERR_6001", []], policy);
      // Beside another one, which is there.
      const other = policy === "reads" ? "writes" : "reads";
      const both = await take(sql, [policy, other]);
      assert.equal(both.refusal?.error, mode === "open" ? undefined : "ERR_6001", policy);
      if (mode === "open") assert.deepEqual(both.limits.map(({ policy }) => policy), [other]);
    });
  }
});

Deno.test("no video is accepted while a policy that guards money has no row", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await createPayer(sql);
  for (const policy of ["video_generation", "uncaptured_jobs"]) {
    await rolledBack(sql, async (sql) => {
      await sql`delete from guard.policies as p where p.name = ${policy}`;
      assert.equal((await generateVideo(sql, user)).error, "ERR_6001", policy);
      assert.equal((await sql`select from videos.jobs`).length, 0);
    });
  }
});

Deno.test("a video is accepted without its attempt limits, and not without those that guard money", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await createPayer(sql);
  await rolledBack(sql, async (sql) => {
    await sql`drop table guard.hits_unlogged`;
    const { data, limits } = await generateVideo(sql, user);
    assert.equal(data?.status, "pending");
    assert.deepEqual(limits?.map(({ policy }) => policy), ["uncaptured_jobs", "video_generation"]);
  });
  await sql`drop table guard.hits_logged`;
  assert.equal((await generateVideo(sql, user, { key: "a-key" })).error, "ERR_6001");
  assert.equal((await sql`select from videos.jobs`).length, 0);
  assert.equal((await sql`select from credits.transfers where kind = 'hold'`).length, 0);
  // It says something about the moment, so it is not kept for the key.
  assert.equal((await sql`select from guard.idempotency_keys`).length, 0);
});

Deno.test("of several policies in one call, a broken one takes none of the others along", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await setPolicy(sql, "writes", { maxHits: 1, isLogged: true });
  await sql`drop table guard.hits_unlogged`;
  const caller = { userId: crypto.randomUUID() };
  const first = await take(sql, ["generation_attempts", "reads", "writes"], caller);
  assert.deepEqual(first.limits.map(({ policy }) => policy), ["writes"]);
  assert.equal(first.refusal, undefined);
  const second = await take(sql, ["generation_attempts", "reads", "writes"], caller);
  assert.equal(second.refusal?.details.policy, "writes");
});

Deno.test("of several policies in one call, a broken one that fails closed decides", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sql`drop table guard.hits_logged`;
  assert.equal((await take(sql, ["reads", "video_generation"])).refusal?.error, "ERR_6001");
});

Deno.test("a deadlock is no fault of the limiter: it reaches the caller, who tries again", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  for (const code of ["40P01", "40001"]) {
    await rolledBack(sql, async (sql) => {
      await sql.unsafe(`
        create function guard.lose() returns trigger language plpgsql as $$ begin
          raise exception 'lost' using errcode = '${code}';
        end $$;
        create trigger lose before insert on guard.hits_unlogged for each row execute function guard.lose()`);
      await assert.rejects(take(sql, ["reads"]), { code });
    });
  }
});

Deno.test("hits of policies that guard money are in a logged table, and of the others in an unlogged one", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  for (const [policy, mode] of Object.entries(onFailure)) {
    await take(sql, [policy]);
    const [table] = await sql`
      select c.relpersistence from guard.hits as h join pg_class as c on c.oid = h.tableoid where h.policy = ${policy}`;
    assert.equal(table?.["relpersistence"], mode === "closed" ? "p" : "u", policy);
  }
});
