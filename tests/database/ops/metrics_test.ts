/** What isolates tell of their counts: how it is kept, folded, and held to closed sets. */
import assert from "node:assert/strict";
import { metricTypes } from "../../../supabase/functions/_shared/ops/metric-catalogue.ts";
import { patience } from "../../../local/testing/patience.ts";
import { runs } from "../../runs.ts";
import { testDatabase } from "../harness.ts";
import { manyConnections, times } from "../support/connections.ts";
import { first, type Sql } from "../support/ledger.ts";
import { runTask } from "../support/scheduled-tasks.ts";

interface Told {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly count: number;
  readonly sum?: number;
  readonly buckets?: readonly number[];
}

async function record(sql: Sql, told: unknown): Promise<number> {
  const { recorded } = await first(sql<{ recorded: number }[]>`
    select (api.record_metrics(${
    sql.json(JSON.parse(JSON.stringify(told)))
  }) #>> '{data,recorded}')::int as recorded`);
  return recorded;
}

const request = { endpoint: "models", status: "200", code: "none" };
const seconds = metricTypes.request_seconds.bounds;

interface Point {
  readonly at: Date;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly count: number;
  readonly sum: number;
  readonly buckets: readonly number[];
}

async function points(sql: Sql, view: "minute" | "hour" | "day"): Promise<Point[]> {
  const rows = await sql<Point[]>`
    select p.${sql(view)} as at, p.name, p.labels, p.count::int, p.sum, p.buckets::int[]
    from ${sql(`ops.metric_${view}s`)} as p order by 1, 2, 3`;
  return rows.map((row) => ({ ...row }));
}

Deno.test("what was told in a minute is that minute's point, and its hour's, its day's and part of all that ever was", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await database.advance(86_400_000 - (await database.now()).getTime() % 86_400_000 + 3_590_000);
  const at = await database.now();
  assert.equal(await record(sql, [{ name: "requests", labels: request, count: 3 }]), 1);
  await runTask(sql, "fold_metrics");
  await record(sql, [{ name: "requests", labels: request, count: 4 }]);
  await database.advance(20_000);
  await record(sql, [{ name: "requests", labels: request, count: 5 }]);
  await runTask(sql, "fold_metrics");
  const floor = (step: number, ahead = 0) => new Date(Math.floor(at.getTime() / step + ahead) * step);
  const told = async (view: "minute" | "hour" | "day") =>
    (await points(sql, view)).map(({ at, count }) => [at, count]);
  assert.deepEqual(await told("minute"), [[floor(60_000), 7], [floor(60_000, 1), 5]]);
  assert.deepEqual(await told("hour"), [[floor(3_600_000), 7], [floor(3_600_000, 1), 5]]);
  assert.deepEqual(await told("day"), [[floor(86_400_000), 12]]);
  const [total] = await sql`select p.count::int, p.labels from ops.metric_points as p where p.step = 'total'`;
  assert.deepEqual({ ...total }, { count: 12, labels: request });
  assert.equal((await sql`select from ops.metric_rows`).length, 0);
});

Deno.test("every figure of every step is the sum of what was told in its span, whatever was folded when", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sql`create table told as select * from ops.metric_rows`;
  const endpoints = ["models", "credits", "generate-video"];
  let seed = 7;
  const upTo = (limit: number) => (seed = (seed * 48_271) % 2_147_483_647) % limit;
  for (let run = 0; run < runs(40, 400); run += 1) {
    await database.advance(upTo(3) === 0 ? upTo(20_000_000) : upTo(40_000));
    const told: Told[] = Array.from({ length: 1 + upTo(4) }, () => {
      const endpoint = endpoints[upTo(3)] ?? "models";
      if (upTo(2) === 0) return { name: "requests", labels: { ...request, endpoint }, count: 1 + upTo(9) };
      const buckets = Array.from({ length: seconds.length + 1 }, () => upTo(5));
      const count = 1 + buckets.reduce((sum, one) => sum + one, 0);
      // Powers of two, whose sums are exact whatever the order.
      return { name: "request_seconds", labels: { endpoint }, count, sum: upTo(64) / 8, buckets };
    });
    assert.equal(await record(sql, told), told.length);
    await sql`
      insert into told select r.* from ops.metric_rows as r
      where not exists (select from told as t where t.recorded_at = r.recorded_at)`;
    if (upTo(3) === 0) await runTask(sql, "fold_metrics");
  }
  await runTask(sql, "fold_metrics");
  for (const step of ["minute", "hour", "day"] as const) {
    const raw = await sql<Point[]>`
      select t.at, t.name, t.labels, sum(t.count)::int as count, sum(t.sum) as sum,
        array(
          select sum(b.count)::int
          from told as o cross join unnest(o.buckets) with ordinality as b (count, place)
          where date_trunc(${step}, o.recorded_at, 'UTC') = t.at and o.name = t.name and o.labels = t.labels
          group by b.place order by b.place
        ) as buckets
      from (select date_trunc(${step}, t.recorded_at, 'UTC') as at, t.* from told as t) as t
      group by t.at, t.name, t.labels order by 1, 2, 3`;
    assert(raw.length > 2);
    assert.deepEqual(await points(sql, step), raw.map((row) => ({ ...row })), step);
  }
});

Deno.test("what piled up while nobody folded it is folded by the next runs, of which none takes more than its time", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  // More than a run takes at a time, of as many series as a busy day has.
  const rows = 20_000;
  await sql`
    insert into ops.metric_rows (recorded_at, name, labels, count, sum, buckets)
    select core.now() - n / 4000 * interval '1 minute', s.name, jsonb_build_object('endpoint', n % 40, 'n', n % 7),
      ${seconds.length + 1}, 1, array_fill(1, array[${seconds.length + 1}::int])
    from generate_series(0, ${rows - 1}::int) as n
    cross join lateral (select (array['request_seconds', 'data_api_seconds'])[1 + n % 2] as name) as s`;
  const left = () => first(sql<{ rows: number }[]>`select count(*)::int as rows from ops.metric_rows`);
  // One run is enough, but on a machine that is busy with something else.
  for (let before = rows, now = before - 1; now > 0 && now < before;) {
    before = now;
    await runTask(sql, "fold_metrics");
    now = (await left()).rows;
  }
  const folded = await sql`
    select p.step, sum(p.sum)::int as rows, sum(p.count)::int as count, sum(b.count)::int as cells
    from ops.metric_points as p
    cross join lateral (select sum(u.count) as count from unnest(p.buckets) as u (count)) as b
    group by p.step order by p.step`;
  const all = rows * (seconds.length + 1);
  assert.deepEqual(
    folded.map((row) => ({ ...row })),
    ["day", "hour", "minute", "total"].map((step) => ({ step, rows, count: all, cells: all })),
  );
});

Deno.test("labels are closed sets: what is of none is `other`, what is no label is nowhere, and no text of a stranger's is kept", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const canary = "Qx7canary";
  await record(sql, [
    {
      name: "requests",
      labels: { endpoint: canary, status: "299", code: "ERR_9999", user_id: canary },
      count: 1,
    },
    { name: "requests", labels: { [canary]: canary }, count: 1 },
    { name: "provider_calls", labels: { provider: canary, operation: "submit", outcome: canary }, count: 1 },
    { name: "data_api_calls", labels: { procedure: "pg_sleep", outcome: "ok" }, count: 1 },
    { name: "requests", labels: null, count: 1 },
    { name: canary, labels: request, count: 1 },
  ]);
  await runTask(sql, "fold_metrics");
  const kept = await points(sql, "minute");
  assert.deepEqual(kept.map(({ name, labels, count }) => [name, labels, count]), [
    ["data_api_calls", { procedure: "other", outcome: "ok" }, 1],
    ["provider_calls", { provider: "other", operation: "submit", outcome: "other" }, 1],
    ["requests", { endpoint: "other", status: "other", code: "other" }, 3],
  ]);
});

Deno.test("what is not of a metric's form is left out, and the rest is kept", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const labels = { endpoint: "models" };
  const buckets = Array.from({ length: seconds.length + 1 }, () => 1);
  const good = { name: "request_seconds", labels, count: 13, sum: 1.5, buckets };
  const bad = [
    { ...good, buckets: buckets.slice(1) },
    { ...good, buckets: [...buckets, 1] },
    { ...good, buckets: undefined },
    { ...good, buckets: buckets.map(() => -1) },
    { ...good, sum: -1 },
    { ...good, count: 0 },
    { ...good, count: -1 },
    { name: "requests", labels: request, count: 1, buckets: [1] },
    { name: "requests", labels: request },
  ];
  for (const row of bad) assert.equal(await record(sql, [row, good]), 1, JSON.stringify(row));
  for (const nothing of [[], {}, null, "text", 1]) assert.equal(await record(sql, nothing), 0);
  assert.equal(await record(sql, Array.from({ length: 1_200 }, () => good)), 1_000);
});

Deno.test("of the isolates' metrics SQL knows what the catalogue says, and each set has its values once", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const types = await sql<
    { name: string; labels: Record<string, string | string[]>; bounds: number[] | null }[]
  >`
    select t.name, t.labels, t.bounds from unnest(ops.metric_types()) as t`;
  assert.deepEqual(
    types.map(({ name, bounds }) => [name, bounds]),
    Object.entries(metricTypes).map(([name, { bounds }]) => [name, bounds]),
  );
  const { sets } = await first(sql<{ sets: Record<string, string[]> }[]>`select ops.metric_sets() as sets`);
  for (const { name, labels } of types) {
    for (const [label, allowed] of Object.entries(labels)) {
      const values = typeof allowed === "string" ? sets[allowed] : allowed;
      assert(values !== undefined && values.length > 1, `${name}: ${label}`);
      assert.equal(new Set(values).size, values.length);
      for (const value of values) assert.match(value, /^[A-Za-z0-9_-]{1,63}$/);
    }
  }
  const procedures = await sql<{ name: string }[]>`
    select distinct f.proname as name from pg_proc as f where f.pronamespace = 'api'::regnamespace order by 1`;
  assert.deepEqual(sets["@procedures"], procedures.map(({ name }) => name).sort());
});

Deno.test("64 isolates that tell at once, while it is folded, wait for nobody and lose nothing", async () => {
  await using database = await testDatabase();
  await using crowd = manyConnections(database);
  const { sql } = database;
  const flushes = 4;
  const buckets = Array.from({ length: seconds.length + 1 }, () => 1);
  const told = [
    { name: "requests", labels: request, count: 2 },
    { name: "request_seconds", labels: { endpoint: "models" }, count: 13, sum: 0.25, buckets },
  ];
  // One who has all that is there under a lock, as a fold that hangs would, is waited for by nobody.
  await record(sql, told);
  await crowd.begin(async (holder) => {
    await holder`select from ops.metric_rows for update`;
    await sql.begin(async (other) => {
      await other`select set_config('lock_timeout', ${String(patience)}, true)`;
      await other`select api.record_metrics(${sql.json(told)})`;
      const { folded } = await first(other<{ folded: number }[]>`select ops.fold_metrics() as folded`);
      assert.equal(folded, 2, "past what somebody has");
    });
  });
  await Promise.all([
    times(64, async () => {
      for (let flush = 0; flush < flushes; flush += 1) await record(crowd, told);
    }),
    times(8, () => runTask(sql, "fold_metrics")),
  ]);
  await runTask(sql, "fold_metrics");
  const total = await sql`
    select p.name, p.count::int, p.sum, p.buckets::int[] from ops.metric_points as p where p.step = 'total' order by p.name`;
  const all = 64 * flushes + 2;
  assert.deepEqual(total.map((row) => ({ ...row })), [
    { name: "request_seconds", count: 13 * all, sum: 0.25 * all, buckets: buckets.map(() => all) },
    { name: "requests", count: 2 * all, sum: 0, buckets: [] },
  ]);
});
