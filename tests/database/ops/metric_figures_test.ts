/** What the tables know: each figure is counted again here, from the bare rows, for spans of all kinds. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { runs } from "../../runs.ts";
import { testDatabase } from "../harness.ts";
import { first } from "../support/ledger.ts";
import { readAsAWhole } from "../support/scans.ts";
import { fill } from "../support/volume.ts";

/** Days of a history at random: rows as the procedures leave them, as far as figures read them. */
async function history(sql: postgres.Sql, rows: number): Promise<void> {
  await sql.begin(async (sql) => {
    await sql`set local session_replication_role = replica`;
    await sql`select setseed(0.42)`;
    await sql`
      create temporary table made on commit drop as
      select n, core.new_id() as id, core.new_id() as user_id,
        core.now() - random() * interval '3 days' as at, random() as one, random() as two, random() as three
      from generate_series(1, ${rows}::int) as n`;
    await sql`
      insert into accounts.users (id, created_at)
      select m.user_id, case when m.one < 0.05 then core.now() - interval '1 day' else m.at end from made as m`;
    await sql`
      insert into videos.jobs (
        id, user_id, model_id, model_name, status, prompt, settings, credits_used, request_id, created_at, completed_at,
        error_code, deleted_at
      )
      select m.id, m.user_id, m.id, case when m.one < 0.5 then 'Kling' else 'Wan' end, s.status, 'A cat', '{}', 4, 'r', m.at,
        case when s.status >= 'completed' then m.at + m.two * case when m.three < 0.3 then interval '1 day' else interval '5 minutes' end end,
        case when s.status = 'failed' then case when m.three < 0.5 then 'ERR_5001' else 'ERR_5003' end end,
        case when m.three < 0.1 then core.now() end
      from made as m
      cross join lateral (
        select (enum_range(null::videos.job_status))[1 + floor(m.two * 5)::int] as status
      ) as s`;
    await sql`
      insert into videos.submissions (
        job_id, owner_id, provider, provider_model, state, request_id, cost_cents, claimed_at, accepted_at, ended_at, counted_on
      )
      select m.id, m.user_id, case when mod((m.one + t.try / 3.0)::numeric, 1) < 0.5 then 'fal' else 'replicate' end, 'a-model', s.state,
        case when s.state in ('accepted', 'ended') then m.n || ' ' || t.try end, 1 + floor(m.two * 90),
        m.at + t.try * interval '1 second',
        case when s.state in ('accepted', 'ended') then m.at + t.try * interval '1 second' + m.three * interval '9 seconds' end,
        case when s.state = 'ended' then m.at + interval '1 minute' + m.two * interval '3 minutes' end,
        case when m.three < 0.7 then current_date end
      from made as m
      cross join generate_series(1, 2) as t (try)
      cross join lateral (
        select (case when t.try = 1 then '{not_accepted,refused}' else '{accepted,ended,unknown,refused}' end::videos.submission_state[])[
          1 + floor(m.three * case when t.try = 1 then 2 else 4 end)::int
        ] as state
      ) as s
      where m.one < case t.try when 1 then 0.8 else 0.6 end`;
    await sql`
      insert into credits.transfers (id, owner_id, kind, from_account_id, to_account_id, amount, created_at, to_number)
      select core.new_id(), m.user_id, (enum_range(null::credits.transfer_kind))[1 + floor(m.one * 12)::int],
        case when m.two < 0.3 then 7 else 2 end, 5000 + m.n, 1 + floor(m.two * 100), m.at, case when m.three < 0.5 then m.n end
      from made as m`;
    await sql`
      insert into purchases.transactions (
        environment, transaction_id, original_transaction_id, product_id, kind, quantity, purchased_at, signed_at,
        is_family_shared, is_upgraded, is_free_trial, owner_id, credits, credited_at, reason, created_at
      )
      select (case when m.three < 0.2 then 'sandbox' else 'production' end)::purchases.environment, m.n, m.n, 'p', 'consumable', 1,
        m.at, m.at, false, false, false, m.user_id, case when m.two < 0.8 then 10 end, case when m.two < 0.8 then m.at end,
        case when m.two >= 0.8 then 'unclaimed'::purchases.uncredited_reason end, m.at
      from made as m where m.one < 0.4`;
    await sql`
      insert into ops.error_log (minute, code, endpoint, place, occurred_at, context, count)
      select date_trunc('minute', m.at), case when m.one < 0.5 then 'ERR_6001' else 'ERR_6003' end,
        case when m.two < 0.5 then 'models' else 'tick' end, 1, m.at, '{}', 1 + floor(m.three * 5)
      from made as m on conflict do nothing`;
    await sql`
      insert into credits.accounts (kind, owner_id, balance)
      select 'owed', m.user_id, floor(m.three * 3) from made as m where m.one < 0.1`;
    await sql`
      insert into queue.tasks (kind, subject, payload, priority, place, run_at, created_at, failed_at)
      select case when m.one < 0.5 then 'store' else 'poll' end, m.id, '{}', 1, 0, m.at + m.two * interval '3 days', m.at,
        case when m.three < 0.1 then m.at end
      from made as m where m.three < 0.4`;
  });
  await sql`vacuum analyze videos.jobs`;
  await sql`vacuum analyze videos.submissions`;
  await sql`vacuum analyze credits.transfers`;
}

type Row = Record<string, unknown>;

/** As Postgres interpolates. */
function percentile(values: readonly number[], share: number): number | null {
  const sorted = values.toSorted((one, other) => one - other);
  if (sorted.length === 0) return null;
  const place = (sorted.length - 1) * share;
  const [below = 0, above = 0] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  return below + (above - below) * (place - Math.floor(place));
}

/** Figures by what they are about, times rounded to microseconds. */
function comparable(rows: readonly Row[]): string[] {
  const rounded = (value: unknown) =>
    typeof value === "number" && !Number.isInteger(value) ? Math.round(value * 1e6) / 1e6 : value;
  return rows.map((row) =>
    JSON.stringify(
      Object.fromEntries(Object.entries(row).sort().map(([name, value]) => [name, rounded(value)])),
    )
  ).sort();
}

const seconds = (from: Date | null, until: Date | null) =>
  from === null || until === null ? [] : [(until.getTime() - from.getTime()) / 1000];

const count = <T>(items: readonly T[], is: (item: T) => boolean) => items.filter(is).length;

Deno.test("every figure equals the bare rows of its span: hours, days, the empty and the whole", async (test) => {
  await using database = await testDatabase();
  const { sql } = database;
  await history(sql, runs(600, 5_000));
  // Whole milliseconds, as far as a Date can tell.
  await sql`alter table videos.jobs disable trigger user`;
  await sql`update videos.jobs set created_at = date_trunc('milliseconds', created_at), completed_at = date_trunc('milliseconds', completed_at)`;
  await sql`update videos.submissions set claimed_at = date_trunc('milliseconds', claimed_at),
    accepted_at = date_trunc('milliseconds', accepted_at), ended_at = date_trunc('milliseconds', ended_at)`;
  const [now, hour] = [(await database.now()).getTime(), 3_600_000];
  const spans: [string, number, number][] = [
    ["the last hour", now - hour, now],
    ["a day", now - 24 * hour, now],
    ["the day before", now - 48 * hour, now - 24 * hour],
    ["a minute", now - 30 * hour, now - 30 * hour + 60_000],
    ["what is to come", now + 10 * hour, now + 20 * hour],
    ["all", now - 1000 * hour, now + 1000 * hour],
  ];
  const jobs = await sql`
    select j.*, (select s.provider from videos.submissions as s where s.job_id = j.id order by s.claimed_at desc limit 1) as provider
    from videos.jobs as j`;
  const submissions = await sql`select s.*, s.cost_cents::float as cents from videos.submissions as s`;
  const transfers = await sql`select t.*, t.amount::int as credits from credits.transfers as t`;
  const users = await sql`select u.* from accounts.users as u`;
  const purchases = await sql`select p.* from purchases.transactions as p`;
  const errors = await sql`select e.* from ops.error_log as e`;
  for (const [name, from, until] of spans) {
    const span = [new Date(from), new Date(until)] as const;
    const within = (at: Date | null) => at !== null && at.getTime() >= from && at.getTime() < until;
    await test.step(`jobs, ${name}`, async () => {
      const figures = await sql`
        select f.model, f.provider, f.status, f.code, f.jobs::int, f.seconds_p50, f.seconds_p95
        from ops.job_figures(${span[0]}, ${span[1]}) as f`;
      const groups = Map.groupBy(
        jobs.filter((job) => within(job.completed_at)),
        (job) =>
          JSON.stringify([job.model_name, job.provider ?? "none", job.status, job.error_code ?? "none"]),
      );
      const expected = [...groups].map(([key, group]) => {
        const [model, provider, status, code] = JSON.parse(key);
        const took = group.flatMap((job) => seconds(job.created_at, job.completed_at));
        const [seconds_p50, seconds_p95] = [percentile(took, 0.5), percentile(took, 0.95)];
        return { model, provider, status, code, jobs: group.length, seconds_p50, seconds_p95 };
      });
      assert.deepEqual(comparable(figures), comparable(expected));
      assert(name === "what is to come" || name === "a minute" || figures.length > 2);
    });
    await test.step(`providers, ${name}`, async () => {
      const figures = await sql`
        select f.provider, f.submissions::int, f.accepted::int, f.not_accepted::int, f.unknown::int, f.refused::int,
          f.accept_seconds_p50, f.accept_seconds_p95, f.make_seconds_p50, f.make_seconds_p95, f.cents::float
        from ops.provider_figures(${span[0]}, ${span[1]}) as f`;
      const groups = Map.groupBy(
        submissions.filter((each) => within(each.claimed_at)),
        (each) => each.provider,
      );
      const expected = [...groups].map(([provider, group]) => {
        const accept = group.flatMap((each) => seconds(each.claimed_at, each.accepted_at));
        const make = group.flatMap((each) => seconds(each.accepted_at, each.ended_at));
        return {
          provider,
          submissions: group.length,
          accepted: count(group, ({ state }) => state === "accepted" || state === "ended"),
          not_accepted: count(group, ({ state }) => state === "not_accepted"),
          unknown: count(group, ({ state }) => state === "unknown"),
          refused: count(group, ({ state }) => state === "refused"),
          accept_seconds_p50: percentile(accept, 0.5),
          accept_seconds_p95: percentile(accept, 0.95),
          make_seconds_p50: percentile(make, 0.5),
          make_seconds_p95: percentile(make, 0.95),
          cents: group.reduce((sum, { counted_on, cents }) => sum + (counted_on === null ? 0 : cents), 0),
        };
      });
      assert.deepEqual(comparable(figures), comparable(expected));
    });
    await test.step(`credits, ${name}`, async () => {
      const [figures] = await sql`select to_jsonb(f) as figures from ops.credit_figures(${span[0]}, ${
        span[1]
      }) as f`;
      const theirs = transfers.filter((each) => within(each.created_at));
      const of = (kind: string, is = (_: Row) => true) =>
        theirs.reduce((sum, each) => sum + (each.kind === kind && is(each) ? each.credits : 0), 0);
      assert.deepEqual(figures?.figures, {
        granted: of("grant"),
        sold: of("purchase", ({ from_account_id }) => Number(from_account_id) !== 7),
        held: of("hold"),
        spent: of("capture"),
        released: of("release"),
        refunded: of("refund"),
        adjusted: of("adjustment", ({ to_number }) => to_number !== null) -
          of("adjustment", ({ to_number }) => to_number === null),
        expired: of("expiry"),
        reversed: of("reversal"),
        forfeited: of("forfeit"),
      });
    });
    await test.step(`conversion, ${name}`, async () => {
      const [figures] = await sql`select to_jsonb(f) as figures from ops.conversion_figures(${span[0]}, ${
        span[1]
      }) as f`;
      const came = users.filter((each) => within(each.created_at));
      assert.deepEqual(figures?.figures, {
        accounts: came.length,
        with_video: count(
          came,
          ({ id }) =>
            jobs.some((job) => job.user_id === id && job.status === "completed" && job.deleted_at === null),
        ),
        with_purchase: count(
          came,
          ({ id }) =>
            purchases.some((each) =>
              each.owner_id === id && each.environment === "production" && each.credited_at !== null
            ),
        ),
      });
    });
    await test.step(`errors, ${name}`, async () => {
      const figures = await sql`
        select f.code, f.source, f.errors::int from ops.error_figures(${span[0]}, ${span[1]}) as f`;
      const groups = Map.groupBy(
        errors.filter((each) => within(each.minute)),
        (each) => JSON.stringify([each.code, each.endpoint]),
      );
      const expected = [...groups].map(([key, group]) => {
        const [code, source] = JSON.parse(key);
        return { code, source, errors: group.reduce((sum, each) => sum + each.count, 0) };
      });
      assert.deepEqual(comparable(figures), comparable(expected));
    });
  }
  await test.step("the queue, now", async () => {
    const tasks = await sql`select t.*, t.run_at <= core.now() as is_due from queue.tasks as t`;
    const { length } = await sql`
      select q.* from ops.queue_now as q
      where q.waiting = (select count(*) from queue.tasks as t where t.kind = q.kind and t.failed_at is null)
        and q.dead = (select count(*) from queue.tasks as t where t.kind = q.kind and t.failed_at is not null)`;
    const figures =
      await sql`select q.kind, q.waiting::int, q.due::int, q.dead::int, q.oldest_due_seconds from ops.queue_now as q`;
    assert.equal(length, figures.length);
    for (const kind of ["store", "poll"]) {
      const own = tasks.filter((task) => task.kind === kind && task.failed_at === null);
      const figure = figures.find((each) => each.kind === kind);
      const due = own.filter(({ is_due }) => is_due);
      assert.deepEqual([figure?.waiting, figure?.due], [own.length, due.length]);
      const oldest = (await database.now()).getTime() -
        Math.min(...due.map(({ run_at }) => run_at.getTime()));
      assert(due.length > 0 && Math.abs(figure?.oldest_due_seconds - oldest / 1000) < 60, kind);
    }
  });
  await test.step("debts, now", async () => {
    const [owed] = await sql`select d.credits::int, d.accounts::int from ops.debt_now as d`;
    const [raw] = await sql`
      select sum(a.balance)::int as credits, (count(*) filter (where a.balance > 0))::int as accounts
      from credits.accounts as a where a.kind = 'owed' and a.owner_id is not null`;
    assert.deepEqual({ ...owed }, { ...raw });
    assert((owed?.credits ?? 0) > 0);
  });
});

/** What an overview asks, each for its usual span. */
const overview = {
  "jobs of an hour": "select * from ops.jobs_last_hour",
  "jobs of a day": "select * from ops.job_figures(core.now() - interval '1 day', core.now())",
  "providers of an hour": "select * from ops.providers_last_hour",
  "providers of a day": "select * from ops.provider_figures(core.now() - interval '1 day', core.now())",
  "credits of an hour": "select * from ops.credits_last_hour",
  "credits of a day": "select * from ops.credit_figures(core.now() - interval '1 day', core.now())",
  "conversion of a day": "select * from ops.conversion_last_day",
  "errors of an hour": "select * from ops.errors_last_hour",
  "debts": "select * from ops.debt_now",
  "the queue": "select * from ops.queue_now",
  "what was spent today": "select * from ops.spending_today",
  "how an hour went": "select ops.stats_json('hour')",
  "how a day went": "select ops.stats_json('day')",
  "how a month went": "select ops.stats_json('month')",
  "how things stand": "select ops.now_json()",
  "all of `metrics`": "select ops.metric_families()",
} as const;

const grown = [
  "videos.jobs",
  "videos.submissions",
  "credits.transfers",
  "credits.accounts",
  "accounts.users",
];

Deno.test("an overview reads no grown table as a whole, and tells how long it takes (in the long tests at a million jobs)", async (test) => {
  await using database = await testDatabase();
  const { sql } = database;
  const [users, jobsPerUser] = [runs(4_000, 10_000), runs(10, 100)];
  await fill(sql, { users, jobsPerUser });
  // Users came one after the other, and of the jobs of some days their submissions are there.
  await sql`update accounts.users as u set created_at = now() - (('x' || right(u.id::text, 8))::bit(32)::int) * interval '1 hour'`;
  await sql`
    insert into videos.submissions (
      job_id, owner_id, provider, provider_model, state, request_id, cost_cents, claimed_at, accepted_at, ended_at
    )
    select j.id, j.user_id, 'fal', 'a-model', 'ended', j.id, 10, j.created_at, j.created_at + interval '1 second', j.completed_at
    from videos.jobs as j order by j.created_at`;
  for (const table of ["accounts.users", "videos.submissions"]) await sql`vacuum full analyze ${sql(table)}`;
  await sql`select brin_summarize_new_values('videos.submissions_claimed_at')`;
  await sql`select ops.sum_stats(a.at) from ops.unsummed_stats(1000) as a (at)`;
  await test.step("of jobs whose submissions were read at once none is asked for them once more", async () => {
    const asked = await sql.begin(async (sql) => {
      const scans = async () =>
        (await first(sql<{ scans: number }[]>`
          select s.idx_scan::int as scans from pg_stat_xact_user_tables as s where s.relid = 'videos.submissions'::regclass`))
          .scans;
      const before = await scans();
      const figures = await sql`
        select f.jobs::int, f.provider from ops.job_figures(now() - interval '50 minutes', now() + interval '10 minutes') as f`;
      assert.deepEqual(figures.map((row) => ({ ...row })), [{ jobs: users, provider: "fal" }]);
      return await scans() - before;
    });
    assert(asked < 10, `${asked} times`);
  });
  for (const [name, statement] of Object.entries(overview)) {
    await test.step(name, async () => {
      assert.deepEqual(await readAsAWhole(sql, grown, [statement]), []);
      const times: number[] = [];
      for (let time = 0; time < 3; time += 1) {
        const startedAt = performance.now();
        await sql.unsafe(statement);
        times.push(performance.now() - startedAt);
      }
      console.log(`${name}, at ${users * jobsPerUser} jobs: ${Math.round(Math.min(...times))} ms`);
    });
  }
});
