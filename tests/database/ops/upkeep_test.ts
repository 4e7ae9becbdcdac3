/** What the monthly report says of the database, and that no cleanup gives up unheard. */
import assert from "node:assert/strict";
import { createDatabase, withConnection } from "../../../local/postgres/database.ts";
import { migrate } from "../../../local/postgres/migrations.ts";
import { startPostgres } from "../../../local/postgres/postgres.ts";
import { preparePlatform } from "../../../local/platform/platform.ts";
import { testDatabase } from "../harness.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { claimOne, setKind } from "../support/tasks.ts";
import { retryTask } from "../support/generation.ts";
import { first, type Sql } from "../support/ledger.ts";

interface Said {
  bytes: number;
  tables: { table: string; bytes: number; rows: number; dead_rows: number; grown_bytes: number | null }[];
  unused_indexes: { index: string; table: string; bytes: number }[];
  slow_statements: { id: string; calls: number; total_ms: number; statement: string }[] | null;
  retention: { rule: string; overdue?: number; error?: string }[];
}

async function databaseNow(sql: Sql): Promise<Said> {
  const { said } = await first(sql<{ said: Said }[]>`select ops.database_now() as said`);
  return said;
}

Deno.test("retention is proved by what each rule would still find had it run a day ago, and nothing is taken away", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const proof = async () => new Map((await databaseNow(sql)).retention.map((entry) => [entry.rule, entry]));
  const rules = await sql<{ name: string }[]>`select r.name from ops.retention_rules as r order by r.name`;
  const clean = await proof();
  assert.deepEqual([...clean.keys()], rules.map(({ name }) => name));
  for (const { rule, overdue, error } of clean.values()) {
    assert.deepEqual([overdue, error], [0, undefined], rule);
  }

  // A rule by its table, one by its procedure; what is due and not yet a day late proves nothing.
  const late = async (seconds: number) => {
    await sql`
      insert into guard.idempotency_keys (caller, endpoint, key, fingerprint, outcome, expires_at)
      values (gen_random_uuid(), 'models', 'k', 'f', '{}', core.now() - make_interval(secs => ${seconds}))`;
    await sql`
      insert into events.log (type, data, metadata, created_at, expires_at)
      values ('video.failed', '{}', '{}', core.now(), core.now() - make_interval(secs => ${seconds}))`;
  };
  await late(60);
  await late(2 * 86_400);
  for (const asked of [1, 2]) {
    const found = await proof();
    assert.deepEqual(
      [found.get("idempotency_keys")?.overdue, found.get("events")?.overdue],
      [1, 1],
      `asked ${asked} times`,
    );
  }
  await advance(2 * 86_400_000);
  assert.equal((await proof()).get("events")?.overdue, 2);
  await sql`alter function guard.sweep_hits(timestamptz, integer) rename to elsewhere`;
  assert.match((await proof()).get("rate_limit_hits")?.error ?? "", /does not exist/);
});

Deno.test("tables are told with how much they grew since the report before, and indexes that nobody uses by name", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sql`create index nobody_asks on ops.reports (made_at)`;
  const fill = async (from: number, to: number) =>
    await sql`
      insert into ops.error_log (minute, code, endpoint, place, occurred_at, context, count)
      select core.now() - make_interval(mins => n), 'ERR_6003', 'models', 1, core.now(), '{}', 1
      from generate_series(${from}::int, ${to}::int) as n`;
  const bytes = async () =>
    (await first(sql<{ bytes: number }[]>`
    select pg_total_relation_size('ops.error_log')::int as bytes`)).bytes;
  await fill(1, 10_000);
  const before = await bytes();
  await sql`select ops.make_report('monthly 2026-09-01')`;
  await fill(10_001, 30_000);
  const after = await bytes();
  const said = await databaseNow(sql);
  const table = said.tables.find(({ table }) => table === "ops.error_log");
  assert.equal(table?.bytes, after);
  assert.equal(table.grown_bytes, after - before);
  assert(said.bytes > after);
  assert.equal(said.tables.length, 20);
  assert(
    said.unused_indexes.some(({ index, table }) => index === "ops.nobody_asks" && table === "ops.reports"),
  );
  assert.equal(
    said.unused_indexes.some(({ index }) => /_pkey$/.test(index)),
    false,
    "those hold a constraint",
  );
  assert.equal(said.slow_statements, null, "nobody counts them here");
});

Deno.test("slow statements are named where pg_stat_statements is, without what anybody wrote", async () => {
  if ((Deno.env.get("DATABASE_URL") ?? "") !== "") {
    console.log("not tried: a server that is given cannot be made to load pg_stat_statements");
    return;
  }
  const dataDirectory = await Deno.makeTempDir();
  try {
    {
      await using postgres = await startPostgres({ dataDirectory });
      await withConnection(postgres.url(), async (sql) => {
        await sql`alter system set shared_preload_libraries = 'pg_stat_statements'`;
      });
    }
    await using postgres = await startPostgres({ dataDirectory });
    await using database = await createDatabase(postgres.url());
    await preparePlatform(database.url);
    await migrate(database.url);
    await withConnection(database.url, async (sql) => {
      assert.equal((await databaseNow(sql)).slow_statements, null, "before it is made");
      await sql`create extension pg_stat_statements with schema extensions`;
      await sql.unsafe("select pg_sleep(0.3), 'a canary' as canary");
      await sql.unsafe("do $$ begin perform pg_sleep(0.5), 'a canary'; end $$");
      await sql.unsafe("alter role anon password 'a canary'");
      const statements = (await databaseNow(sql)).slow_statements ?? [];
      assert(statements.some(({ statement, total_ms }) => /pg_sleep/.test(statement) && total_ms >= 300));
      assert.doesNotMatch(JSON.stringify(statements), /a canary/);
    });
  } finally {
    await Deno.remove(dataDirectory, { recursive: true });
  }
});

Deno.test("a cleanup that gives up is alerted by its kind, whichever it is", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const kinds = await sql<{ kind: string }[]>`
    select k.kind from queue.kinds as k where k.on_dead = 'ops.give_up_cleanup' order by k.kind`;
  const cleanups = ["delete_export", "delete_files", "erase_account", "tidy_upload"];
  assert.deepEqual(kinds.map(({ kind }) => kind), cleanups);
  for (const kind of cleanups) {
    await setKind(sql, kind, { tries: 2, base: 10 });
    const subject = crypto.randomUUID();
    // Of another cleanup that the same thing waits for, nothing is said.
    const other = kind === "erase_account" ? "delete_export" : "erase_account";
    await sql`select queue.add(${other}, ${subject}, null, core.now() + interval '1 day')`;
    await sql`select queue.add(${kind}, ${subject}, null, core.now())`;
    for (const state of ["waiting", "dead"]) {
      assert.equal(await retryTask(sql, await claimOne(sql)), state);
      await advance(10_000);
    }
    const alerts = await sql<{ details: { subject: string } }[]>`
      select a.details from ops.alerts as a where a.rule = 'cleanup_dead' and a.subject = ${kind}`;
    assert.deepEqual(alerts.map(({ details }) => details.subject), [subject], kind);
  }
  // What has a dead letter and nothing to do when it dies: nothing that must be removed.
  const silent = await sql<{ kind: string }[]>`
    select k.kind from queue.kinds as k where k.tries is not null and k.on_dead is null order by k.kind`;
  assert.deepEqual(silent.map(({ kind }) => kind), ["cancel", "read_notification_history"]);
});
