/** Every seeded rule: its fault is produced, it is raised within two evaluations, does what it says, and is over again. */
import assert from "node:assert/strict";
import type { TestDatabase } from "../harness.ts";
import { metricTypes } from "../../../supabase/functions/_shared/ops/metric-catalogue.ts";
import { alertsOf, evaluate } from "../support/alerts.ts";
import { adjust, createAdmin, createCustomer } from "../support/admins.ts";
import { disableTriggers } from "../support/books.ts";
import { claimAndGrant } from "../support/devices.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { claimSubmission, recordSubmission, startVideo, submit } from "../support/generation.ts";
import { first, type Sql } from "../support/ledger.ts";
import { createBuyer, notificationOf, notify, sellPack, transactionOf } from "../support/purchases.ts";
import { take } from "../support/rate-limits.ts";
import { runTask } from "../support/scheduled-tasks.ts";
import { addTasks, claimOne, setKind } from "../support/tasks.ts";

interface Fault {
  /** What goes wrong; from then on, until `mend`. */
  produce(database: TestDatabase): Promise<unknown>;
  /** What happens again and again while it is wrong. */
  repeat?(database: TestDatabase): Promise<unknown>;
  mend(database: TestDatabase): Promise<unknown>;
  /** Until it is over after that, where that takes longer than a quarter of an hour. */
  minutes?: number;
  /** It may be reached on the way to a worse one. */
  level: "warning" | "critical";
  subject: string;
}

const day = 24 * 60;
const buckets = metricTypes.request_seconds.bounds.length + 1;

async function record(sql: Sql, rows: object[]): Promise<void> {
  await sql`select api.record_metrics(${sql.json(JSON.parse(JSON.stringify(rows)))})`;
  await runTask(sql, "fold_metrics");
}

const requests = (code: string, count: number) => ({
  name: "requests",
  labels: { endpoint: "models", status: code === "none" ? "200" : code === "ERR_6004" ? "503" : "500", code },
  count,
});

/** So many requests, all of which took as long as the bucket says. */
const durations = (bucket: number) => ({
  name: "request_seconds",
  labels: { endpoint: "models" },
  count: 100,
  sum: 100,
  buckets: Array.from({ length: buckets }, (_, place) => place === bucket ? 100 : 0),
});

const within = (from: number, to: number) =>
  metricTypes.request_seconds.bounds.findIndex((bound) => bound > from && bound <= to);

async function tellAccount({ sql }: TestDatabase, account: object): Promise<void> {
  await runTask(sql, "read_provider_accounts");
  const task = await claimOne(sql);
  assert.equal(task.kind, "read_provider_accounts");
  await sql`select api.record_provider_accounts(${task.task_id}, ${task.attempt}, ${
    sql.json([{
      provider: "runway",
      balance_cents: 10_000,
      is_locked: false,
      day: null,
      billed_cents: null,
      ...account,
    }])
  })`;
}

/** Nothing but the rule is changed: the bound comes to what can be produced in a test. */
const setBounds = async (sql: Sql, rule: string, warning: number | null, critical: number) =>
  void await sql`update ops.alert_rules set warning = ${warning}, critical = ${critical}, evaluated_at = '-infinity' where name = ${rule}`;

async function bytesOf(sql: Sql): Promise<number> {
  return (await first(sql<{ bytes: number }[]>`select pg_database_size(current_database())::float as bytes`))
    .bytes;
}

const faults: Record<string, Fault> = {
  error_rate: {
    produce: ({ sql }) => record(sql, [requests("none", 80), requests("ERR_6003", 20)]),
    repeat: ({ sql }) => record(sql, [requests("none", 80), requests("ERR_6003", 20)]),
    mend: ({ sql }) => record(sql, [requests("none", 1_000)]),
    level: "critical",
    subject: "requests",
  },
  response_time: {
    produce: ({ sql }) => record(sql, [durations(within(2.5, 5))]),
    repeat: ({ sql }) => record(sql, [durations(within(2.5, 5))]),
    mend: ({ sql }) => record(sql, [durations(0)]),
    level: "warning",
    subject: "requests",
  },
  // No worker comes.
  queue_age: {
    produce: async ({ sql, advance }) => {
      await addTasks(sql, "delete_files", 1);
      await advance(6 * 60_000);
    },
    mend: ({ sql }) => sql`delete from queue.tasks`,
    level: "critical",
    subject: "queue",
  },
  // The tick does not end what it should.
  overdue_jobs: {
    produce: async ({ sql, advance }) => {
      await submit(sql, await startVideo(sql));
      await sql`update core.scheduled_tasks set leased_until = 'infinity' where name = 'enforce_deadlines'`;
      await advance(60 * 60_000);
    },
    mend: async ({ sql }) => {
      await sql`update core.scheduled_tasks set leased_until = null where name = 'enforce_deadlines'`;
      await runTask(sql, "enforce_deadlines");
    },
    level: "warning",
    subject: "jobs",
  },
  provider_failures: {
    produce: async ({ sql }) => {
      for (let failure = 0; failure < 5; failure++) {
        const submissionId = await claimSubmission(sql, await startVideo(sql));
        assert(submissionId !== null);
        await recordSubmission(sql, submissionId, { outcome: "not_accepted", cause: "no connection" }, []);
      }
    },
    async mend({ sql, advance }) {
      await advance(61_000);
      await submit(sql, await startVideo(sql));
    },
    level: "critical",
    subject: "fal",
  },
  spending: {
    async produce({ sql }) {
      await sql`update videos.providers set daily_cap_cents = 40 where name = 'fal'`;
      await submit(sql, await startVideo(sql));
    },
    mend: ({ sql }) => sql`update videos.providers set daily_cap_cents = 5000 where name = 'fal'`,
    // Five cents are left, and no video costs so little.
    level: "critical",
    subject: "fal",
  },
  grants: {
    async produce({ sql }) {
      await setBounds(sql, "grants", 3, 100);
      for (let guest = 1; guest <= 3; guest++) assert(await claimAndGrant(sql, `192.0.2.${guest}`));
    },
    mend: ({ advance }) => advance(day * 60_000),
    level: "warning",
    subject: "devices",
  },
  credits_given: {
    async produce({ sql }) {
      const customer = await createCustomer(sql);
      for (const admin of [await createAdmin(sql), await createAdmin(sql)]) {
        for (let time = 0; time < 3; time++) await adjust(sql, admin, customer, 1_000);
      }
    },
    mend: ({ advance }) => advance(day * 60_000),
    level: "warning",
    subject: "admins",
  },
  // Somebody with the owner's rights changes a row of the books.
  ledger_violations: {
    async produce({ sql }) {
      const customer = await createCustomer(sql, 10);
      await sql.begin(async (sql) => {
        await disableTriggers(sql);
        await sql`update credits.accounts set balance = balance + 5 where owner_id = ${customer}`;
      });
      await runTask(sql, "prove_ledger");
    },
    async mend({ sql, advance }) {
      await sql.begin(async (sql) => {
        await disableTriggers(sql);
        await sql`update credits.accounts set balance = 10 where owner_kind = 'user' and balance = 15`;
      });
      await runTask(sql, "prove_ledger");
      await advance(60 * 60_000);
    },
    level: "critical",
    subject: "ledger",
  },
  dead_letters: {
    async produce({ sql }) {
      await setKind(sql, "delete_files", { tries: 1 });
      await addTasks(sql, "delete_files", 1);
      const task = await claimOne(sql);
      await sql`select api.retry_task(${task.task_id}, ${task.attempt}, 'it does not work')`;
    },
    mend: ({ sql }) => sql`delete from queue.tasks where failed_at is not null`,
    level: "warning",
    subject: "delete_files",
  },
  // A receiver that never answers, as far as deliveries know one.
  webhook_failures: {
    async produce({ sql }) {
      await setKind(sql, "deliver_inbox", { tries: 1 });
      await sql`select events.publish('video.completed', ${await createCustomer(sql)}, '{}')`;
      const task = await claimOne(sql);
      assert.equal(task.kind, "deliver_inbox");
      await sql`select api.retry_task(${task.task_id}, ${task.attempt}, 'nobody answers')`;
    },
    mend: ({ sql }) => sql`select events.deliver_again(d.id) from events.deliveries as d`,
    level: "warning",
    subject: "inbox",
  },
  database_size: {
    produce: async ({ sql }) => await setBounds(sql, "database_size", await bytesOf(sql) / 2, 1e12),
    mend: ({ sql }) => setBounds(sql, "database_size", 1e12, 1e12),
    minutes: 130,
    level: "warning",
    subject: "database",
  },
  storage_size: {
    async produce({ sql }) {
      await setBounds(sql, "storage_size", 100, 1e12);
      await sql`
        insert into videos.assets (job_id, owner_id, kind, path, bytes, content_type, created_at)
        values (${await startVideo(sql)}, gen_random_uuid(), 'video', 'p', 1000, 'video/mp4', core.now())`;
    },
    mend: ({ sql }) => sql`update videos.assets set deleted_at = core.now()`,
    minutes: 130,
    level: "warning",
    subject: "storage",
  },
  connections: {
    produce: ({ sql }) => setBounds(sql, "connections", 0.1, 100),
    mend: ({ sql }) => setBounds(sql, "connections", 99, 100),
    level: "warning",
    subject: "database",
  },
  uncredited_purchases: {
    async produce(database) {
      const { token } = await createBuyer(database);
      const transaction = transactionOf({ environment: "production", app_account_token: token });
      await notify(
        database.sql,
        notificationOf("ONE_TIME_CHARGE", transaction, { environment: "production" }),
      );
    },
    async mend({ sql }) {
      await sellPack(sql);
      await runTask(sql, "credit_purchases");
    },
    level: "warning",
    subject: "unknown_product",
  },
  client_addresses: {
    async produce({ sql }) {
      for (let request = 0; request < 12; request++) {
        await take(sql, ["generation_attempts_network"], { network: null });
      }
    },
    mend: () => Promise.resolve(),
    minutes: 20,
    level: "warning",
    subject: "generation_attempts_network",
  },
  provider_balance: {
    produce: (database) => tellAccount(database, { balance_cents: 499 }),
    mend: (database) => tellAccount(database, { balance_cents: 50_000 }),
    level: "critical",
    subject: "runway",
  },
  provider_locked: {
    produce: (database) => tellAccount(database, { is_locked: true }),
    mend: (database) => tellAccount(database, {}),
    level: "critical",
    subject: "runway",
  },
  provider_bill: {
    async produce(database) {
      const { day } = await first(database.sql<{ day: string }[]>`
        select ((core.now() at time zone 'UTC')::date - 1)::text as day`);
      await database.sql`insert into videos.spending (provider, day, cents) values ('runway', ${day}, 900)`;
      await tellAccount(database, { day, billed_cents: 1_000 });
    },
    mend: async (database) => {
      const { day } = await first(
        database.sql<{ day: string }[]>`select max(b.day)::text as day from videos.provider_bills as b`,
      );
      await tellAccount(database, { day, billed_cents: 900 });
    },
    minutes: 130,
    level: "warning",
    subject: "runway",
  },
};

/** What rules have done. */
async function done(sql: Sql): Promise<string[]> {
  const rows = await sql<{ said: string }[]>`
    select a.rule || ' ' || a.action || ' ' || a.target as said from ops.alert_actions as a order by 1`;
  return rows.map(({ said }) => said);
}

async function switchedOff(sql: Sql): Promise<string[]> {
  const rows = await sql<{ flag: string }[]>`
    select f.flag from unnest('{generation,grants,purchases,providers.fal,providers.replicate,providers.runway}'::text[]) as f (flag)
    where not ops.is_enabled(f.flag)
    union all
    select p.name from guard.policies as p where p.throttle_percent < 100
    order by 1`;
  return rows.map(({ flag }) => flag);
}

Deno.test("every seeded rule is tried here", async () => {
  await using database = await stillDatabase();
  const rules = await database.sql<
    { name: string }[]
  >`select r.name from ops.alert_rules as r order by r.name`;
  assert.deepEqual(rules.map(({ name }) => name), Object.keys(faults).sort());
});

Deno.test("where nothing is wrong no seeded rule is raised, and none is broken", async () => {
  await using database = await stillDatabase();
  await evaluate(database, 3);
  const raised = await database.sql<
    { rule: string; subject: string }[]
  >`select a.rule, a.subject, a.details from ops.alerts as a`;
  assert.deepEqual([...raised], []);
});

for (const [rule, { produce, repeat, mend, minutes = 15, level, subject }] of Object.entries(faults)) {
  const acts = rule === "ledger_violations" ? ["grants", "purchases"] : [];
  Deno.test(`${rule}: raised within two evaluations, ${acts.length > 0 ? `switches ${acts.join(" and ")} off` : "switches nothing off"}, and is over`, async () => {
    await using database = await stillDatabase();
    const { sql } = database;
    await produce(database);
    await evaluate(database);
    await repeat?.(database);
    await evaluate(database);
    const raised = (await alertsOf(sql, rule)).map((alert) => [alert.subject, alert.level, alert.is_open]);
    assert.deepEqual(raised, [[subject, level, true]]);
    assert.deepEqual(await switchedOff(sql), acts);
    assert.equal((await done(sql)).length, acts.length);

    await mend(database);
    // By the minute where that is what is promised.
    await evaluate(database, minutes, minutes > 60 ? 10 : 1);
    assert.deepEqual((await alertsOf(sql, rule)).map(({ is_open }) => is_open), [false]);
    assert.deepEqual([await switchedOff(sql), await done(sql)], [[], []]);
  });
}

Deno.test("what is switched off answers so and is no fault: the rule that switched it off lets it come back", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  await sql`update ops.alert_rules set action = 'shutdown', flags = '{generation}' where name = 'error_rate'`;
  await record(sql, [requests("none", 80), requests("ERR_6003", 20)]);
  await evaluate(database);
  assert.deepEqual(await switchedOff(sql), ["generation"]);
  for (let minute = 0; minute < 12; minute++) {
    await record(sql, [requests("none", 20), requests("ERR_6004", 80)]);
    await evaluate(database);
  }
  assert.deepEqual((await alertsOf(sql, "error_rate")).map(({ is_open }) => is_open), [false]);
  assert.deepEqual(await switchedOff(sql), []);
  // It is an answer all the same: of those that went well, and of all, faults are as many as before.
  await record(sql, [requests("none", 10_000), requests("ERR_6004", 10_000), requests("ERR_6003", 20_000)]);
  const [faults] = await sql<{ value: number }[]>`
    select round(m.value)::int as value from ops.measure('error_percent', '1 minute') as m`;
  assert.equal(faults?.value, 50);
});
