/** The overview: each figure is the database's of that span, with its unit, at the viewer's own time. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { shared } from "../shared.ts";
import { assertFits } from "./support/accessibility.ts";
import { browserTest, startConsole } from "./support/console.ts";

const tested = shared(startConsole);

/** Rows of 40 days, many of them of the last hour, as far as figures read them. */
async function makeHistory() {
  await tested.backend.database.sql.begin(async (sql) => {
    await sql`set local session_replication_role = replica`;
    await sql`select setseed(0.24)`;
    await sql`
      create temporary table made on commit drop as
      select n, core.new_id() as id, random() as one, random() as two,
        core.now() - random() * (array[interval '1 hour', '1 day', '40 days'])[1 + n % 3] as at
      from generate_series(1, 600) as n`;
    await sql`
      insert into videos.jobs (
        id, user_id, model_id, model_name, status, prompt, settings, credits_used, request_id, created_at, completed_at, error_code
      )
      select m.id, m.id, m.id, 'Kling', s.status, 'A cat', '{}', 4, 'r', m.at, m.at + m.two * interval '5 minutes',
        case when s.status = 'failed' then 'ERR_5001' end
      from made as m
      cross join lateral (select (array['completed', 'failed', 'cancelled']::videos.job_status[])[1 + floor(m.one * 3)::int] as status) as s`;
    await sql`
      insert into videos.submissions (job_id, owner_id, provider, provider_model, cost_cents, claimed_at, state, counted_on)
      select m.id, m.id, case when m.one < 0.5 then 'fal' else 'replicate' end, 'a-model', floor(m.two * 90), m.at, 'refused',
        case when m.two < 0.7 then current_date end
      from made as m`;
    await sql`
      insert into credits.transfers (id, owner_id, kind, from_account_id, to_account_id, amount, created_at)
      select core.new_id(), m.id, (array['purchase', 'grant', 'capture', 'refund', 'release', 'hold']::credits.transfer_kind[])[1 + floor(m.one * 6)::int],
        case when m.two < 0.3 then credits.system_account('sandbox') else 2 end, 5000 + m.n, 1 + floor(m.two * 100), m.at
      from made as m`;
  });
}

const count = (one: string, more: string) => (value: number | null) =>
  `${(value ?? 0).toLocaleString("en")} ${value === 1 ? one : more}`;
const jobs = count("job", "jobs");
const credits = count("credit", "credits");
const seconds = (value: number | null) => value === null ? "–" : `${value.toLocaleString("en")} s`;
const dollars = (value: number | null) =>
  ((value ?? 0) / 100).toLocaleString("en", { style: "currency", currency: "USD" });

/** Each figure of the plots by its title: its SQL over the bare rows of a step, and how it is written. */
const figures: [plot: string, [name: string, sql: string, write: (value: number | null) => string][]][] = [
  ["Generations", [
    ["accepted", "count(*) from videos.jobs where created_at", jobs],
    ["completed", "count(*) filter (where status = 'completed') from videos.jobs where completed_at", jobs],
    ["failed", "count(*) filter (where status = 'failed') from videos.jobs where completed_at", jobs],
    ["cancelled", "count(*) filter (where status = 'cancelled') from videos.jobs where completed_at", jobs],
  ]],
  [
    "Time to complete",
    ["p50", "p95"].map((name) => [
      name,
      `percentile_disc(0.${
        name.slice(1)
      }) within group (order by round(extract(epoch from completed_at - created_at)::float))
        filter (where status = 'completed') from videos.jobs where completed_at`,
      seconds,
    ]),
  ],
  ["Credits", [
    [
      "sold",
      "sum(amount) filter (where kind = 'purchase' and from_account_id <> credits.system_account('sandbox')) from credits.transfers where created_at",
      credits,
    ],
    ["granted", "sum(amount) filter (where kind = 'grant') from credits.transfers where created_at", credits],
    ["spent", "sum(amount) filter (where kind = 'capture') from credits.transfers where created_at", credits],
    [
      "refunded",
      "sum(amount) filter (where kind in ('refund', 'release')) from credits.transfers where created_at",
      credits,
    ],
  ]],
  [
    "Spent at providers",
    ["fal", "replicate"].map((name) => [
      name,
      `sum(cost_cents) filter (where provider = '${name}' and counted_on is not null) from videos.submissions where claimed_at`,
      dollars,
    ]),
  ],
];

interface Step {
  at: Date;
  values: (number | null)[];
}

/** What a table shows, row by row; also of one that is folded. */
async function textsOf(page: Page, caption: string): Promise<string[][]> {
  return await page.locator("table").filter({ has: page.locator(`caption:text-is("${caption}")`) }).locator(
    "tbody tr",
  )
    .evaluateAll((rows: { cells: Iterable<{ textContent: string }> }[]) =>
      rows.map(({ cells }) => Array.from(cells, ({ textContent }) => textContent.replaceAll("\u202f", " ")))
    );
}

/** Holds the plots' tables, and the table of all, to the rows of the span that the page names. */
async function assertFigures(page: Page, step: number, timeZone: string) {
  const { sql } = tested.backend.database;
  const [from, to] = await page.getByText(/^From .* in steps of/).locator("time").evaluateAll(
    (times: { dateTime: string }[]) => times.map(({ dateTime }) => dateTime),
  );
  assert(from !== undefined && to !== undefined);
  const label = new Intl.DateTimeFormat("en", {
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
    timeZone,
  });
  const [terms, told] = await Promise.all(
    ["dt", "dd"].map((part) => page.locator(`.totals ${part}`).allTextContents()),
  );
  const totals = new Map(terms?.map((term, index) => [term, told?.[index]]));
  for (const [plot, series] of figures) {
    const columns = series.map(([, each]) =>
      `(select ${each} >= s.at and ${each.split(" ").at(-1)} < s.until)::float`
    );
    const rows: Step[] = await sql<Step[]>`
      select s.at, jsonb_build_array(${sql.unsafe(columns.join(", "))}) as values
      from (
        select g.at, least(g.at + make_interval(secs => ${step}), ${to}::timestamptz) as until, false as is_all
        from generate_series(${from}::timestamptz, ${to}::timestamptz, make_interval(secs => ${step})) as g (at)
        where g.at < ${to}::timestamptz
        union all
        select ${from}::timestamptz, ${to}::timestamptz, true
      ) as s
      order by s.is_all, s.at`;
    const all = rows.pop();
    const written = (values: readonly (number | null)[]) =>
      values.map((value, index) => series[index]?.[2](value) ?? "");
    assert.deepEqual(
      await textsOf(page, plot),
      rows.map(({ at, values }) => [label.format(at).replaceAll("\u202f", " "), ...written(values)]),
      `${plot}, step by step`,
    );
    const names = series.map(([name]) => `${plot}: ${name}`);
    assert.deepEqual(names.map((name) => totals.get(name)), written(all?.values ?? []), `${plot}, in all`);
    assert(all?.values.every((value) => Number(value) > 0), `${plot} has something of each`);
  }
}

browserTest(
  "every figure of each span is the database's, with its unit, in the viewer's time zone",
  async () => {
    await makeHistory();
    const admin = await tested.makeAdmin();
    for (const timezoneId of ["Europe/Istanbul", "America/Los_Angeles"]) {
      await using visit = await tested.openAsAdmin("#/overview", { admin, timezoneId });
      const { page } = visit;
      for (
        const [title, name, step] of [
          ["1 hour", "hour", 60],
          ["1 day", "day", 900],
          ["30 days", "month", 21_600],
        ] as const
      ) {
        await page.getByRole("radio", { name: title }).check();
        await page.getByRole("heading", { name: `The last ${title}` }).waitFor();
        await page.getByText(/^From .* in steps of/).waitFor();
        assert(name === "hour" || page.url().endsWith(`span=${name}`), page.url());
        await assertFigures(page, step, timezoneId);
      }
      // What is in the address is what another admin sees.
      await page.reload();
      await page.getByRole("heading", { name: "The last 30 days" }).waitFor();
    }
  },
);

browserTest(
  "hovering over a plot reads the figures of its step, and the table behind it has them too",
  async () => {
    await using visit = await tested.openAsAdmin("#/overview?span=day", {
      viewport: { width: 1280, height: 900 },
    });
    const { page } = visit;
    const plot = page.locator("figure").filter({ hasText: "Generations" });
    await plot.locator(".u-over").hover();
    const legend = async () => (await plot.locator(".u-legend .u-value").allTextContents()).slice(0, 5);
    const read = await legend();
    assert.match(read[1] ?? "", /^\d+ jobs?$/);
    await plot.getByText("Figures of Generations").click();
    await plot.getByRole("row").nth(3).waitFor();
    assert(
      (await textsOf(page, "Generations")).some((row) =>
        row.join() === read.join().replaceAll("\u202f", " ")
      ),
      `${read}`,
    );
    await assertFits(page);
  },
);

browserTest(
  "what is wrong stands first: what is away, open alerts, dead letters, and what waits",
  async () => {
    const { sql } = tested.backend.database;
    await using visit = await tested.openAsAdmin("#/overview");
    const { page } = visit;
    await page.getByText("No alert is open, and nothing is away.").waitFor();
    assert.equal(await page.getByRole("heading", { level: 2 }).first().innerText(), "Alerts");
    await sql`select ops.begin_incident('provider fal', 'Connections are refused')`;
    await sql`
    insert into ops.alerts (rule, subject, details, raised_at, last_at, level, metric, value, threshold)
    values ('spending', 'fal', '{}', core.now(), core.now(), 'critical', 'spending_percent', 104, 100)`;
    await sql`
    insert into queue.tasks (kind, subject, priority, place, run_at, created_at, failed_at)
    select 'delete_files', gen_random_uuid(), 5, 0, core.now() - interval '90 minutes', core.now() - interval '90 minutes',
      case when n < 3 then core.now() end
    from generate_series(1, 1203) as n`;
    await sql`
    insert into videos.spending (provider, day, cents) values ('fal', (core.now() at time zone 'UTC')::date, 1234)
    on conflict (provider, day) do update set cents = excluded.cents`;
    await sql`update videos.providers as p set breaker = 'open' where p.name = 'fal'`;
    await page.reload();
    await page.getByRole("row", { name: /^provider fal .* Connections are refused nobody$/ }).waitFor();
    await page.getByRole("row", { name: /^spending: fal critical 104 100 / }).waitFor();
    const now = page.getByRole("region", { name: "Now" });
    const [figures] = await sql`select ops.now_json() as now`;
    const fal = figures?.now.providers.find(({ provider }: { provider: string }) => provider === "fal");
    const left = dollars(fal.cap_cents - fal.spent_cents_today);
    await now.getByRole("row", { name: `fal away ${dollars(fal.spent_cents_today)} ${left}` }).waitFor();
    const terms = await now.locator("dl").innerText();
    assert.match(terms, new RegExp(`Jobs that run\\s+${figures?.now.jobs_running}\\s`));
    assert.match(terms, /Tasks that are due\s+1,20\d\s/);
    assert.match(terms, /waits for\s+(90 min|5,\d{3} s)\s+Dead letters\s+2/);
    await assertFits(page);
  },
);
