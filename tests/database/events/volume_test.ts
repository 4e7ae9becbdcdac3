/** What publishing costs does not grow with the log, nor what a claim costs with what waits. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { testDatabase } from "../harness.ts";
import { runs } from "../../runs.ts";
import { readAsAWhole } from "../support/scans.ts";
import { sweepRule } from "../support/retention.ts";

const tables = ["events.log", "events.deliveries", "queue.tasks", "notify.notifications"];

/** A million takes more than a minute; of a tenth an index is as deep. */
const events = runs(100_000, 1_000_000);

/** So many events of 10,000 users, of which a fifth were delivered. */
async function fill(sql: postgres.Sql): Promise<void> {
  await sql.begin(async (sql) => {
    await sql`set local session_replication_role = replica`;
    await sql`
      insert into events.log (id, type, user_id, data, metadata, created_at, expires_at)
      select gen_random_uuid(), 'video.completed', md5((n % 10000)::text)::uuid, '{}', '{}', at, at + interval '30 days'
      from generate_series(1, ${events}::integer) as n, lateral (values (now() - n * interval '2.5 seconds')) as g (at)`;
    await sql`
      insert into events.deliveries (id, event_id, channel, created_at, outcome, ended_at)
      select gen_random_uuid(), l.id, 'inbox', l.created_at, 'delivered', l.created_at
      from events.log as l limit ${events / 5}`;
  });
  await sql`vacuum analyze events.log, events.deliveries`;
}

async function subscribe(sql: postgres.Sql): Promise<void> {
  await sql`
    insert into queue.kinds
      (kind, concurrency, lane_concurrency, backoff, base_seconds, max_seconds, lease_seconds, timeout_seconds, priority)
    values ('deliver_servers', 1000, 100, 'fixed', 1, 1, 60, 60, 7)`;
  await sql`insert into events.channels (channel, kind) values ('servers', 'deliver_servers')`;
  // One of them fits what is published here.
  await sql`
    insert into events.subscriptions (pattern, channel, target, priority)
    select case n when 1 then 'video.started' else 'account.closed' end, 'servers', gen_random_uuid(), 5
    from generate_series(1, 50) as n`;
}

/** How many rows of all that events touch this transaction has read and written. */
async function rowsTouched(sql: postgres.TransactionSql): Promise<number> {
  const [row] = await sql<{ rows: number }[]>`
    select sum(seq_tup_read + idx_tup_fetch + n_tup_ins + n_tup_upd)::int as rows from pg_stat_xact_user_tables
    where schemaname in ('events', 'queue', 'notify')`;
  return row?.rows ?? 0;
}

async function costOf(sql: postgres.Sql, statement: string): Promise<number> {
  return await sql.begin(async (sql) => {
    const before = await rowsTouched(sql);
    await sql.unsafe(statement);
    return await rowsTouched(sql) - before;
  });
}

Deno.test("with a long log and 50 subscriptions publishing touches as many rows as with none, and a claim what it takes", async (test) => {
  await using database = await testDatabase();
  const { sql } = database;
  await subscribe(sql);
  const publish = "select events.publish('video.started', gen_random_uuid(), '{}')";
  const none = await costOf(sql, publish);
  await fill(sql);
  await test.step("publishing", async () => {
    const full = await costOf(sql, publish);
    console.log(`publishing touches ${none} rows in an empty log, ${full} in one of ${events} events`);
    assert(full <= none, `${full} rows, and ${none} of an empty log`);
    assert.deepEqual(await readAsAWhole(sql, tables, [publish]), []);
  });
  await test.step("a merge and an export read the events of one user", async () => {
    assert.deepEqual(
      await readAsAWhole(sql, tables, [
        "update events.log as t set user_id = t.user_id where t.user_id = any (array[md5('7')::uuid])",
        "delete from events.deliveries as t where t.event_id in (select l.id from events.log as l where l.user_id = md5('7')::uuid)",
        "select accounts.export_page(md5('7')::uuid, 'events.log', null, 500)",
        "select accounts.export_page(md5('7')::uuid, 'events.deliveries', null, 500)",
        "select events.deliver_again(d.id) from events.deliveries as d where d.outcome = 'dead' and d.channel = 'servers'",
      ]),
      [],
    );
  });
  await test.step("10,000 due deliveries are claimed, each claim at the cost of what it takes", async () => {
    await sql`
      select events.publish('video.started', md5((n % 100)::text)::uuid, '{}') from generate_series(1, 10000) as n`;
    await sql`vacuum analyze queue.tasks`;
    const costs: number[] = [];
    let taken = 0;
    for (let claim = 0; claim < 100; claim++) {
      costs.push(await costOf(sql, "create temporary table taken as select * from queue.claim(100)"));
      const [row] = await sql<{ count: number }[]>`select count(*)::int as count from taken`;
      taken += row?.count ?? 0;
      await sql`delete from queue.tasks as t where t.id in (select id from taken)`;
      await sql`drop table taken`;
    }
    console.log(`a claim of 100 touches ${costs[0]} rows at first, ${costs.at(-2)} at last`);
    assert(taken >= 10_000, `${taken} were taken`);
    // What is taken is read, locked and written; the rest is the kinds.
    for (const cost of costs) assert(cost <= 10 * 100, `${cost} rows for a claim of 100`);
  });
  await test.step("the webhooks that are silent, and what waits for them, are found by an index", async () => {
    assert.deepEqual(
      await readAsAWhole(sql, ["events.log", "events.deliveries"], [
        "select webhooks.silent_backlogs(500)",
        "select webhooks.drop_waiting(gen_random_uuid())",
        "select events.drop_open('servers', s.target, 'a test', 10) from events.subscriptions as s where s.channel = 'servers'",
      ]),
      [],
    );
  });
  await test.step("what is over is found and deleted without reading what stays", async () => {
    await sql`update events.log set expires_at = now() where id in (
      select l.id from events.log as l where not events.is_open(l.id) limit 100
    )`;
    assert.deepEqual(
      await readAsAWhole(sql, ["events.log", "events.deliveries"], [
        "select ops.sweep_rule(r) from ops.retention_rules as r where r.name = 'events'",
      ]),
      [],
    );
    assert(await sweepRule(sql, "events") >= 100);
  });
});
