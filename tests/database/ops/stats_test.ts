/** What `admin-stats` shows: each figure is counted again here, from the bare rows, whether its sums are kept or not. */
import assert from "node:assert/strict";
import * as z from "zod";
import { GetAdminStatsResponse } from "../../../supabase/functions/admin-stats/schema.ts";
import { runs } from "../../runs.ts";
import { type TestDatabase, testDatabase } from "../harness.ts";
import { runTaskToEnd } from "../support/scheduled-tasks.ts";
import { manyConnections, untilBlocked } from "../support/connections.ts";
import { first } from "../support/ledger.ts";

const spans = ["hour", "day", "month"] as const;
const Stats = z.object(GetAdminStatsResponse.shape).omit({ now: true });
type Stats = z.infer<typeof Stats>;

/** Rows of 40 days, many of them of the last hour, as the procedures leave them as far as figures read them. */
async function history({ sql }: TestDatabase, rows: number): Promise<void> {
  await sql.begin(async (sql) => {
    await sql`set local session_replication_role = replica`;
    await sql`select setseed(0.42)`;
    await sql`
      create temporary table made on commit drop as
      select n, core.new_id() as id, random() as one, random() as two, random() as three,
        core.now() - random() * (array[interval '1 hour', '1 day', '40 days'])[1 + n % 3] as at
      from generate_series(1, ${rows}::int) as n`;
    await sql`
      insert into videos.jobs (
        id, user_id, model_id, model_name, status, prompt, settings, credits_used, request_id, created_at, completed_at, error_code
      )
      select m.id, m.id, m.id, 'Kling', s.status, 'A cat', '{}', 4, 'r', m.at, case when s.status >= 'completed' then m.at + m.two * interval '5 minutes' end,
        case when s.status = 'failed' then 'ERR_5001' end
      from made as m
      cross join lateral (select (enum_range(null::videos.job_status))[1 + floor(m.one * 5)::int] as status) as s`;
    await sql`
      insert into videos.submissions (job_id, owner_id, provider, provider_model, cost_cents, claimed_at, state, counted_on)
      select m.id, m.id, case when m.one < 0.5 then 'fal' else 'replicate' end, 'a-model', floor(m.two * 900) / 10, m.at, 'refused',
        case when m.three < 0.7 then current_date end
      from made as m where m.one < 0.9`;
    await sql`
      insert into credits.transfers (id, owner_id, kind, from_account_id, to_account_id, amount, created_at)
      select core.new_id(), m.id, (enum_range(null::credits.transfer_kind))[1 + floor(m.one * 12)::int],
        case when m.two < 0.3 then credits.system_account('sandbox') else 2 end, 5000 + m.n, 1 + floor(m.two * 100), m.at
      from made as m`;
  });
}

/** The rows of [from, to), by the plainest of queries. */
async function counted({ sql }: TestDatabase, from: Date, to: Date): Promise<Record<string, number | null>> {
  const [row] = await sql`
    select
      (select count(*) from videos.jobs as j where j.created_at >= ${from} and j.created_at < ${to})::float as "jobs_accepted",
      count(*) filter (where j.status = 'completed')::float as "jobs_ended completed",
      count(*) filter (where j.status = 'failed')::float as "jobs_ended failed",
      count(*) filter (where j.status = 'cancelled')::float as "jobs_ended cancelled",
      percentile_disc(0.5) within group (order by round(extract(epoch from j.completed_at - j.created_at)::float))
        filter (where j.status = 'completed') as "completion_seconds 0.5",
      percentile_disc(0.95) within group (order by round(extract(epoch from j.completed_at - j.created_at)::float))
        filter (where j.status = 'completed') as "completion_seconds 0.95"
    from videos.jobs as j where j.completed_at >= ${from} and j.completed_at < ${to}`;
  const [credits] = await sql`
    select coalesce(sum(t.amount) filter (where t.kind = 'purchase' and t.from_account_id <> 7), 0)::float as "credits sold",
      coalesce(sum(t.amount) filter (where t.kind = 'grant'), 0)::float as "credits granted",
      coalesce(sum(t.amount) filter (where t.kind = 'capture'), 0)::float as "credits spent",
      coalesce(sum(t.amount) filter (where t.kind in ('refund', 'release')), 0)::float as "credits refunded"
    from credits.transfers as t where t.created_at >= ${from} and t.created_at < ${to}`;
  const [cents] = await sql`
    select coalesce(sum(s.cost_cents) filter (where s.provider = 'fal'), 0)::float as "provider_cents fal",
      coalesce(sum(s.cost_cents) filter (where s.provider = 'replicate'), 0)::float as "provider_cents replicate"
    from videos.submissions as s where s.claimed_at >= ${from} and s.claimed_at < ${to} and s.counted_on is not null`;
  return { ...row, ...credits, ...cents };
}

const labelled = ({ name, labels }: { name: string; labels: Record<string, string> }) =>
  [name, ...Object.values(labels)].join(" ");

async function statsOf({ sql }: TestDatabase, span: string): Promise<Stats> {
  return Stats.parse((await first(sql`select ops.stats_json(${span}) as stats`)).stats);
}

/** Holds every figure of a span to the rows. */
async function compare(database: TestDatabase, span: typeof spans[number]): Promise<Stats> {
  const stats = await statsOf(database, span);
  const [from, to] = [new Date(stats.from), new Date(stats.to)];
  const total = await counted(database, from, to);
  assert.deepEqual(
    Object.fromEntries(stats.totals.map((each) => [labelled(each), each.value])),
    total,
    `${span}, in all`,
  );
  for (let begins = from.getTime(), step = 0; begins < to.getTime(); step++) {
    const ends = begins + stats.step_seconds * 1000;
    assert.deepEqual(
      Object.fromEntries(stats.series.map((each) => [labelled(each), each.values[step]])),
      await counted(database, new Date(begins), new Date(Math.min(ends, to.getTime()))),
      `${span}, step ${step}`,
    );
    begins = ends;
  }
  return stats;
}

Deno.test("every figure equals the bare rows of its span and step, without sums, with some and with all", async (test) => {
  await using database = await testDatabase();
  const { sql } = database;
  await history(database, runs(3_000, 30_000));
  for (const span of spans) {
    await test.step(span, async () => {
      const { totals } = await compare(database, span);
      assert(totals.every(({ value }) => Number(value) > 0));
    });
  }
  await test.step("with some sums", async () => {
    await sql`select ops.sum_stats(a.at) from ops.unsummed_stats(60) as a (at)`;
    await compare(database, "month");
  });
  await test.step("with all, which the tick keeps", async () => {
    await runTaskToEnd(sql, "sum_stats");
    assert.equal((await sql`select * from ops.unsummed_stats(1)`).length, 0);
    await sql`update ops.stat_sums as s set stats = s.stats || row('credits', 'sold', 1)::ops.stat
      where s.at = (select min(l.at) from ops.stat_sums as l where l.at > core.now() - interval '29 days')`;
    await assert.rejects(compare(database, "month"), /in all/, "the sums are not what is read");
    await sql`delete from ops.stat_sums`;
    await runTaskToEnd(sql, "sum_stats");
    await compare(database, "month");
  });
  await test.step("six hours are summed once they are over for an hour", async () => {
    const [{ newest, now }] = [
      await first(sql`select max(s.at) as newest, core.now() as now from ops.stat_sums as s`),
    ];
    const age = (now.getTime() - newest.getTime()) / 3_600_000;
    assert(age >= 7 && age < 13, `${age} hours`);
  });
});

Deno.test("a cost that is given back after its hours were summed is not shown any more", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await history(database, 300);
  await runTaskToEnd(sql, "sum_stats");
  const { id } = await first(sql`
    select s.id from videos.submissions as s
    where s.counted_on is not null and s.claimed_at between core.now() - interval '20 days' and core.now() - interval '2 days' limit 1`);
  const before = await statsOf(database, "month");
  await sql`select videos.note_bill(${id}, false)`;
  assert.notDeepEqual((await statsOf(database, "month")).totals, before.totals);
  await compare(database, "month");
});

Deno.test("an erased account's jobs and costs leave the hour, the day and the month, also where they were summed", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await history(database, 300);
  await runTaskToEnd(sql, "sum_stats");
  const before = await statsOf(database, "month");
  await sql`select videos.delete_jobs(array(
    select j.user_id from videos.jobs as j order by j.created_at desc offset 20 limit 200))`;
  assert.notDeepEqual((await statsOf(database, "month")).totals, before.totals);
  for (const span of spans) await compare(database, span);
});

Deno.test("whoever gives a cost back and whoever sums its hours at that moment do so one after the other", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await history(database, 300);
  const { id, at } = await first(sql`
    select s.id, ops.stat_block(s.claimed_at) as at from videos.submissions as s
    where s.counted_on is not null and s.claimed_at between core.now() - interval '20 days' and core.now() - interval '2 days' limit 1`);
  await using others = manyConnections(database);
  let summed: Promise<unknown> | undefined;
  await others.begin(async (holder) => {
    await holder`select videos.note_bill(${id}, false)`;
    summed = others`select ops.sum_stats(${at})`.then((rows) => rows);
    await untilBlocked(sql);
  });
  await summed;
  assert.equal((await sql`select from ops.stat_sums as s where s.at = ${at}`).length, 1);
  await compare(database, "month");
});
