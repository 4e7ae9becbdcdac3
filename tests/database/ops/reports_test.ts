/** What the operator is told of each day, week and month. */
import assert from "node:assert/strict";
import { eventType } from "../../../supabase/functions/_shared/events/catalogue.ts";
import type { TestDatabase } from "../harness.ts";
import { adjust, createAdmin, createCustomer, customersJob, refund } from "../support/admins.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { failed, receiveEvent, recordPoll, startVideo, submit } from "../support/generation.ts";
import { first, type Sql } from "../support/ledger.ts";
import { runTask, tick } from "../support/scheduled-tasks.ts";

const hour = 3_600_000;
const day = 24 * hour;
const kinds = ["daily", "weekly", "monthly"] as const;
type Kind = (typeof kinds)[number];

/** Moves the clock to a time of day, in UTC, of the next day on which the condition holds. */
async function goTo(
  { now, advance }: TestDatabase,
  hours: number,
  fits: (date: Date) => boolean = () => true,
): Promise<Date> {
  const next = new Date(await now());
  do next.setUTCDate(next.getUTCDate() + 1); while (!fits(next));
  next.setUTCHours(hours, 0, 0, 0);
  await advance(next.getTime() - (await now()).getTime());
  return next;
}

const isoDay = (date: Date) => date.toISOString().slice(0, 10);

/** Something of everything that a report counts, at whatever time it is. */
async function live(sql: Sql, round: number): Promise<void> {
  const [adminId, userId] = [await createAdmin(sql), await createCustomer(sql, 20)];
  const done = await customersJob(sql, userId, "completed");
  await refund(sql, adminId, userId, 1 + round % 3, { jobId: done, reason: "it flickers" });
  await adjust(sql, adminId, userId, 5, { reason: "a present" });
  const lost = await submit(sql, await startVideo(sql));
  await recordPoll(sql, lost, { state: "running", percent: 10 });
  await receiveEvent(sql, lost, failed);
  await startVideo(sql);
  for (let error = 0; error <= round % 7; error++) {
    await sql`select ops.record_error(${error % 2 === 0 ? "ERR_6003" : "ERR_5002"}, ${`endpoint-${
      error % 3
    }`}, null, null, '{}')`;
  }
  await sql`
    insert into queue.tasks (kind, subject, priority, place, run_at, failed_at, created_at)
    values ('delete_files', gen_random_uuid(), 1, 0, core.now(), core.now(), core.now())`;
  await sql`
    insert into guard.idempotency_keys (caller, endpoint, key, fingerprint, outcome, expires_at)
    values (gen_random_uuid(), 'models', 'k', 'f', '{}', core.now())`;
  await runTask(sql, "sweep");
}

type Row = Record<string, string | number | null>;

/** The figures, reckoned here from all rows of the tables as they are. */
async function reckoned(sql: Sql, kind: Kind, from: Date, until: Date): Promise<Record<string, unknown>> {
  const read = async (
    table: string,
  ) => [...await sql.unsafe<(Row & { [time: string]: unknown })[]>(`select * from ${table}`)];
  const isIn = (time: unknown) => time instanceof Date && time >= from && time < until;
  const count = (rows: Row[]) => rows.length;
  const sum = (rows: Row[], column: string) =>
    rows.reduce((total, row) => total + Number(row[column] ?? 0), 0);
  const grouped = <Figure>(
    rows: Row[],
    column: string,
    figure: (key: string, rows: Row[]) => Figure,
  ): Figure[] =>
    [...Map.groupBy(rows, (row) => String(row[column]))].sort(([a], [b]) => a < b ? -1 : 1)
      .map(([key, rows]) => figure(key, rows));
  const jobs = await read("videos.jobs");
  const ended = jobs.filter(({ completed_at }) => isIn(completed_at));
  const withStatus = (rows: Row[], wanted: string) => rows.filter(({ status }) => status === wanted);
  const jobFigures = {
    accepted: count(jobs.filter(({ created_at }) => isIn(created_at))),
    completed: count(withStatus(ended, "completed")),
    failed: count(withStatus(ended, "failed")),
    cancelled: count(withStatus(ended, "cancelled")),
  };
  const order = (await sql<{ kinds: string[] }[]>`
    select enum_range(null::credits.transfer_kind)::text[] as kinds`)[0]?.kinds ?? [];
  const credits = grouped(
    (await read("credits.transfers")).filter(({ created_at }) => isIn(created_at)),
    "kind",
    (kind, rows) => ({ kind, transfers: count(rows), credits: sum(rows, "amount") }),
  ).sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
  const errors = (await read("ops.error_log")).filter(({ minute }) => isIn(minute));
  const actions = (await read("ops.admin_actions")).filter(({ created_at }) => isIn(created_at));
  const seconds = (later: unknown, earlier: unknown) =>
    later instanceof Date && earlier instanceof Date ? (later.getTime() - earlier.getTime()) / 1000 : NaN;
  const percentile = (values: number[], share: number) =>
    values.length === 0 ? null : values.toSorted((a, b) => a - b)[Math.ceil(share * values.length) - 1];
  if (kind === "daily") {
    const refunds = actions.filter(({ action }) =>
      ["refund_credits", "refund_removal"].includes(String(action))
    );
    return {
      errors: grouped(errors, "code", (code, rows) => ({ code, count: sum(rows, "count") })),
      limit_hits: [],
      jobs: jobFigures,
      failed_jobs: grouped(
        withStatus(ended, "failed"),
        "error_code",
        (code, rows) => ({ code, jobs: count(rows) }),
      ),
      refunds: { refunds: count(refunds), credits: sum(refunds, "amount") },
      credits,
      spent: grouped(
        (await read("videos.spending")).filter(({ day }) => isIn(day)),
        "provider",
        (provider, rows) => ({ provider, cents: sum(rows, "cents") }),
      ),
    };
  }
  if (kind === "weekly") {
    const actionOrder = (await sql<{ actions: string[] }[]>`
      select enum_range(null::ops.admin_action)::text[] as actions`)[0]?.actions ?? [];
    return {
      admin_actions: grouped(
        actions,
        "action",
        (action, rows) => ({ action, count: count(rows), credits: sum(rows, "amount") }),
      )
        .sort((a, b) => actionOrder.indexOf(a.action) - actionOrder.indexOf(b.action)),
      error_patterns: grouped(
        errors.map((row) => ({ ...row, of: `${row.code} ${row.endpoint}` })),
        "of",
        (of, rows) => ({
          code: of.split(" ")[0] ?? "",
          endpoint: of.split(" ")[1] ?? "",
          count: sum(rows, "count"),
          days: new Set(rows.map(({ minute }) => isoDay(new Date(String(minute))))).size,
        }),
      ).sort((a, b) => b.count - a.count || (`${a.code} ${a.endpoint}` < `${b.code} ${b.endpoint}` ? -1 : 1)),
      removed: grouped(
        (await read("ops.swept")).filter(({ day }) => isIn(day)),
        "rule",
        (rule, rows) => ({ rule, rows: sum(rows, "rows") }),
      ),
      dead_letters: grouped(
        (await read("queue.tasks")).filter(({ failed_at }) => isIn(failed_at)),
        "kind",
        (kind, rows) => ({ kind, tasks: count(rows) }),
      ),
    };
  }
  const users = await read("accounts.users");
  return {
    users: {
      new: count(users.filter(({ created_at }) => isIn(created_at))),
      closed: count(users.filter(({ closed_at }) => isIn(closed_at))),
    },
    jobs: jobFigures,
    models: grouped(ended, "model_name", (model, rows) => {
      const waited = withStatus(rows, "completed").map((row) => seconds(row.completed_at, row.created_at));
      return {
        model,
        completed: waited.length,
        failed: count(withStatus(rows, "failed")),
        seconds_p50: percentile(waited, 0.5),
        seconds_p95: percentile(waited, 0.95),
      };
    }),
    providers: grouped(
      (await read("videos.submissions")).filter(({ claimed_at }) => isIn(claimed_at)),
      "provider",
      (provider, rows) => {
        const taken = rows.filter(({ accepted_at }) => accepted_at !== null)
          .map((row) => seconds(row.accepted_at, row.claimed_at));
        return {
          provider,
          submissions: count(rows),
          accepted: taken.length,
          refused: count(rows.filter(({ state }) => ["not_accepted", "refused"].includes(String(state)))),
          seconds_p50: percentile(taken, 0.5),
          seconds_p95: percentile(taken, 0.95),
        };
      },
    ),
    credits,
  };
}

async function figuresOf(sql: Sql, kind: Kind, from: Date, until: Date): Promise<unknown> {
  const { figures } = await first(sql<{ figures: unknown }[]>`
    select ops.figures_of(${kind}, ${isoDay(from)}, ${isoDay(until)}) as figures`);
  return figures;
}

interface MadeReport {
  kind: Kind;
  begins_on: string;
  ends_on: string;
  figures: Record<string, unknown>;
  database: Record<string, unknown> | null;
}

async function reports(sql: Sql): Promise<MadeReport[]> {
  return await sql<MadeReport[]>`
    select r.kind::text, r.begins_on::text, r.ends_on::text, r.figures, r.database
    from ops.reports as r order by r.begins_on, r.kind`;
}

Deno.test("each figure equals what the rows themselves say, of every span, and whenever it is asked", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await sql`update videos.providers set failures_to_open = 1000, daily_cap_cents = null`;
  // A month's end and a week's within: days before, on and after each, at their very beginning and end.
  await goTo(database, 0, (date) => date.getUTCDate() === 27);
  const begin = new Date(await database.now());
  for (let round = 0; round < 24; round++) {
    await live(sql, round);
    await advance(round % 3 === 0 ? 24 * hour - 1000 : 1000 + round % 5 * hour);
  }
  const end = new Date(await database.now());
  const spans: [Kind, Date, Date][] = [];
  for (let at = begin.getTime() - day; at < end.getTime() + day; at += day) {
    spans.push(["daily", new Date(at), new Date(at + day)]);
    if (new Date(at).getUTCDay() === 1) spans.push(["weekly", new Date(at), new Date(at + 7 * day)]);
  }
  for (const month of [0, 1]) {
    const of = (month: number) => new Date(Date.UTC(begin.getUTCFullYear(), begin.getUTCMonth() + month, 1));
    spans.push(["monthly", of(month), of(month + 1)]);
  }
  const told = new Map<Kind, Set<string>>(kinds.map((kind) => [kind, new Set()]));
  const before: unknown[] = [];
  for (const [kind, from, until] of spans) {
    const figures = await figuresOf(sql, kind, from, until);
    assert.deepEqual(figures, await reckoned(sql, kind, from, until), `${kind} ${isoDay(from)}`);
    for (const [name, figure] of Object.entries(Object(figures))) {
      if (Array.isArray(figure) && figure.length > 0) told.get(kind)?.add(name);
    }
    before.push(figures);
  }
  assert.deepEqual(Object.fromEntries([...told].map(([kind, names]) => [kind, [...names].sort()])), {
    daily: ["credits", "errors", "failed_jobs", "spent"],
    weekly: ["admin_actions", "dead_letters", "error_patterns", "removed"],
    monthly: ["credits", "models", "providers"],
  }, "a figure that was never there was not tested");

  // The same rows in another order on the disk, at another time, by a session elsewhere.
  await sql`update videos.jobs set prompt = prompt where id in (select j.id from videos.jobs as j order by random() limit 20)`;
  await advance(3 * day);
  const elsewhere = await sql.begin(async (sql) => {
    await sql`set local timezone = 'Pacific/Kiritimati'`;
    const figures = [];
    for (const [kind, from, until] of spans) figures.push(await figuresOf(sql, kind, from, until));
    return figures;
  });
  assert.deepEqual(elsewhere, before);
});

Deno.test("limits that refused are told by endpoint, where isolates count them", async () => {
  await using database = await stillDatabase();
  const { sql, now } = database;
  const to = new Date(new Date(await now()).setUTCHours(0, 0, 0, 0));
  const from = new Date(to.getTime() - day);
  const hits = async () => Object(await figuresOf(sql, "daily", from, to)).limit_hits;
  assert.deepEqual(await hits(), []);
  const points: [string, Date, string, string, number][] = [
    ["day", from, "models", "ERR_4004", 3],
    ["day", from, "generate-video", "ERR_4004", 5],
    ["day", from, "models", "none", 100],
    ["hour", from, "models", "ERR_4004", 3],
    ["day", to, "models", "ERR_4004", 7],
  ];
  for (const [step, at, endpoint, code, count] of points) {
    await sql`
      insert into ops.metric_points (step, at, name, labels, count, sum, buckets)
      values (${step}, ${at}, 'requests', ${sql.json({ endpoint, code, status: "429" })}, ${count}, 0, '{}')`;
  }
  assert.deepEqual(await hits(), [{ endpoint: "generate-video", refused: 5 }, {
    endpoint: "models",
    refused: 3,
  }]);
});

Deno.test("the tick makes each report once, ten minutes after its time, and tells of it in the form of its type", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const spans = async () =>
    (await reports(sql)).map(({ kind, begins_on, ends_on }) => `${kind} ${begins_on} ${ends_on}`);
  // Before the first of a month that is a Tuesday, so that the week is another.
  const first = await goTo(database, 0, (date) => date.getUTCDate() === 1 && date.getUTCDay() === 2);
  const at = (days: number) => isoDay(new Date(first.getTime() + days * day));
  const month = (months: number) =>
    isoDay(new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + months, 1)));
  await advance(9 * 60_000);
  await tick(sql);
  const early = [
    `monthly ${month(-2)} ${month(-1)}`,
    `weekly ${at(-8)} ${at(-1)}`,
    `daily ${at(-2)} ${at(-1)}`,
  ];
  assert.deepEqual(await spans(), early, "of a database that is new, the last of each");
  await advance(11 * 60_000);
  await tick(sql);
  await tick(sql);
  assert.deepEqual(await spans(), [
    early[0],
    `monthly ${month(-1)} ${month(0)}`,
    early[1],
    early[2],
    `daily ${at(-1)} ${at(0)}`,
  ]);

  // Away for three days, and for three months: what is missing is made, as far back as its rows are there.
  await advance(3 * day);
  await tick(sql);
  assert.deepEqual((await spans()).slice(-3), [0, 1, 2].map((days) => `daily ${at(days)} ${at(days + 1)}`));
  await advance(100 * day);
  await tick(sql);
  const made = await reports(sql);
  assert.deepEqual(
    kinds.map((kind) => made.filter((report) => report.kind === kind).length),
    [5 + 7, 1 + 4, 2 + 2],
  );
  const events = await sql<{ data: Record<string, unknown> }[]>`
    select l.data from events.log as l where l.type = 'report.made'`;
  const later = made.filter(({ ends_on }) => ends_on > at(10));
  for (const { kind, begins_on, ends_on, figures, database } of later) {
    const told = events.filter(({ data }) => data.kind === kind && data.begins_on === begins_on);
    assert.deepEqual(told.map(({ data }) => data), [{ kind, begins_on, ends_on, figures }]);
    assert.equal(eventType("report.made").data.safeParse(told[0]?.data).error, undefined);
    assert.equal(database === null, kind !== "monthly");
  }
  assert.equal((await sql`select from ops.alerts as a where a.subject = 'make_reports'`).length, 0);
});

Deno.test("a report that cannot be made is alerted, stops no other, and is made when it can be", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await sql`alter table credits.transfers rename column amount to elsewhere`;
  await tick(sql);
  const kindsMade = async () => (await reports(sql)).map(({ kind }) => kind).sort();
  assert.deepEqual(await kindsMade(), ["weekly"]);
  const alerts =
    await sql`select a.details ->> 'error' as error from ops.alerts as a where a.subject = 'make_reports'`;
  assert.match(String(alerts[0]?.error), /amount does not exist/);
  await sql`alter table credits.transfers rename column elsewhere to amount`;
  await advance(10 * 60_000);
  await tick(sql);
  assert.deepEqual(await kindsMade(), ["daily", "monthly", "weekly"]);
  assert.equal((await sql`select from core.set_aside`).length, 0);
});
