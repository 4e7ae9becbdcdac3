/** What each retention rule is about: how a test makes something of an age, and finds what is still there. */
import assert from "node:assert/strict";
import { closeAccount } from "../support/accounts.ts";
import {
  claimTask,
  receiveEvent,
  recordStored,
  startVideo,
  submit,
  succeeded,
} from "../support/generation.ts";
import { first, type Sql } from "../support/ledger.ts";

/** An age in seconds before now, by the database's clock. */
type Age = number;

export interface Sweep {
  /** Makes something that the rule is about, as old as this, under a name of its own. */
  make(sql: Sql, name: string, age: Age): Promise<unknown>;
  /** The names that are there. */
  names(sql: Sql): PromiseLike<readonly { name: string }[]>;
}

/** A completed job; its webhook has its name. */
export async function completed(sql: Sql, name: string): Promise<string> {
  const jobId = await startVideo(sql);
  await receiveEvent(sql, await submit(sql, jobId), succeeded, name);
  await recordStored(sql, jobId, await claimTask(sql, jobId, "store"));
  await sql`update videos.jobs set prompt = ${name}, request_id = ${name} where id = ${jobId}`;
  return jobId;
}

/** A case about a job that is there; one that waits keeps what belongs to it. */
async function caseOf(sql: Sql, status: "kept" | "open"): Promise<string> {
  const jobId = await startVideo(sql);
  const { id } = await first(sql<{ id: string }[]>`
    insert into safety.cases (job_id, status, opened_at) values (${jobId}, ${status}, core.now()) returning id`);
  return id;
}

/** Of another step, and what ever was, nothing goes. */
function pointsOf(step: "minute" | "hour" | "day"): Sweep {
  const steps = ["minute", "hour", "day", "total"];
  return {
    async make(sql, name, age) {
      await sql`
        insert into ops.metric_points (step, at, name, labels, count, sum, buckets)
        select s.step, case s.step when 'total' then '-infinity' else core.now() - make_interval(secs => ${age}) end,
          ${name}, '{}', 1, 0, '{}'
        from unnest(${steps}::text[]) as s (step)`;
    },
    async names(sql) {
      const rows = await sql<
        { name: string; step: string }[]
      >`select p.name, p.step from ops.metric_points as p`;
      assert(rows.filter((row) => row.step !== step).length % (steps.length - 1) === 0);
      return rows.filter((row) => row.step === step);
    },
  };
}

export const sweeps: Record<string, Sweep> = {
  reports: {
    // Of a case that is decided; one that is not keeps its own.
    async make(sql, name, age) {
      for (const status of ["kept", "open"] as const) {
        await sql`
          insert into safety.reports (case_id, user_id, reason, details, created_at)
          values (
            ${await caseOf(sql, status)}, gen_random_uuid(), 'hate', ${status === "open" ? "waits" : name},
            core.now() - make_interval(secs => ${age})
          )`;
      }
    },
    names: async (sql) => {
      const rows = await sql<{ name: string }[]>`select r.details as name from safety.reports as r`;
      assert.equal(rows.filter(({ name }) => name === "waits").length, 2);
      return rows.filter(({ name }) => name !== "waits");
    },
  },
  takedown_notices: {
    async make(sql, name, age) {
      for (const status of ["kept", "open"] as const) {
        await sql`
          insert into safety.notices (case_id, contact, statement, received_at)
          values (
            ${await caseOf(sql, status)}, 'ada@example.com', ${status === "open" ? "waits" : name},
            core.now() - make_interval(secs => ${age})
          )`;
      }
    },
    names: async (sql) => {
      const rows = await sql<{ name: string }[]>`select n.statement as name from safety.notices as n`;
      assert.equal(rows.filter(({ name }) => name === "waits").length, 2);
      return rows.filter(({ name }) => name !== "waits");
    },
  },
  safety_cases: {
    // Of a job that is gone; it has no text, so its appeal is its name.
    async make(sql, name, age) {
      await sql`
        insert into safety.cases (job_id, status, appeal, opened_at, decided_at)
        select j.id, 'kept', j.name, core.now(), core.now() - make_interval(secs => ${age})
        from (values (gen_random_uuid(), ${name}), (${await startVideo(
        sql,
      )}::uuid, 'its job is there')) as j (id, name)`;
    },
    names: async (sql) => {
      const rows = await sql<{ name: string }[]>`select c.appeal as name from safety.cases as c`;
      assert.equal(rows.filter(({ name }) => name === "its job is there").length, 2);
      return rows.filter(({ name }) => name !== "its job is there");
    },
  },
  exposures: {
    make: (sql, name, age) =>
      sql`
        insert into ops.exposures (flag, user_id, variant, exposed_at)
        values (${name}, gen_random_uuid(), 'on', core.now() - make_interval(secs => ${age}))`,
    names: (sql) => sql`select e.flag as name from ops.exposures as e`,
  },
  idempotency_keys: {
    make: (sql, name, age) =>
      sql`
        insert into guard.idempotency_keys (caller, endpoint, key, fingerprint, outcome, expires_at)
        values (gen_random_uuid(), 'models', ${name}, 'f', '{}', core.now() - make_interval(secs => ${age}))`,
    names: (sql) => sql`select k.key as name from guard.idempotency_keys as k where k.endpoint = 'models'`,
  },
  rate_limit_hits: {
    // Of the policy of a minute; its window is over when its age begins.
    make: (sql, name, age) =>
      sql`
        insert into guard.hits (is_logged, policy, subject, hits)
        values (false, 'reads', ${name}, array[core.now() - make_interval(secs => ${age + 60})])`,
    names: (sql) => sql`select h.subject as name from guard.hits as h where h.policy = 'reads'`,
  },
  device_lanes: {
    make: (sql, name, age) =>
      sql`
        insert into devices.lanes (network, holder, leased_until)
        values (${name}, gen_random_uuid(), core.now() - make_interval(secs => ${age}))`,
    names: (sql) => sql`select l.network as name from devices.lanes as l`,
  },
  device_intents: {
    // That came to nothing; for how long one counts that was granted, the tests of the limits say.
    make: (sql, name, age) =>
      sql`
        insert into devices.intents (lane, network, good_from, good_until)
        values (gen_random_uuid(), ${name}, core.now(), core.now() - make_interval(secs => ${age}))`,
    names: (sql) => sql`select i.network as name from devices.intents as i`,
  },
  provider_events: {
    async make(sql, name, age) {
      await completed(sql, name);
      await sql`
        update videos.provider_events set received_at = core.now() - make_interval(secs => ${age}) where event_id = ${name}`;
    },
    names: (sql) => sql`select e.event_id as name from videos.provider_events as e`,
  },
  store_notifications: {
    // That was acted upon; one that was not stays.
    make: (sql, name, age) =>
      sql`
        insert into purchases.notifications (
          notification_id, environment, type, signed_at, content, received_at, handled_at
        )
        values
          (gen_random_uuid(), 'production', ${name}, core.now(), '{}', core.now() - make_interval(secs => ${age}), core.now()),
          (gen_random_uuid(), 'production', 'WAITS', core.now(), '{}', '-infinity', null)`,
    names: async (sql) => {
      const rows = await sql<{ name: string }[]>`select n.type as name from purchases.notifications as n`;
      assert(rows.some(({ name }) => name === "WAITS"));
      return rows.filter(({ name }) => name !== "WAITS");
    },
  },
  deleted_jobs: {
    async make(sql, name, age) {
      const jobId = await completed(sql, name);
      await sql`
        update videos.jobs set deleted_at = core.now() - make_interval(secs => ${age}) where id = ${jobId}`;
      await sql`update videos.assets set deleted_at = core.now() where job_id = ${jobId}`;
    },
    // The whole of what it said goes; the job stays.
    names: (sql) =>
      sql`
        select j.prompt as name from videos.jobs as j
        where j.prompt <> '' or j.request_id <> '' or j.settings <> '{}' or exists (
          select from videos.assets as a where a.job_id = j.id
        )`,
  },
  closed_accounts: {
    async make(sql, name, age) {
      const jobId = await completed(sql, name);
      const { user_id: userId } = await first(sql<{ user_id: string }[]>`
        select j.user_id from videos.jobs as j where j.id = ${jobId}`);
      await closeAccount(sql, userId);
      // As the erasure leaves it, but for a name.
      await sql`
        update videos.jobs set deleted_at = core.now(), request_id = ${name}, prompt = '' where id = ${jobId}`;
      await sql`delete from videos.assets where job_id = ${jobId}`;
      await sql`
        insert into accounts.erasures (user_id, closed_at, erased_at, erased)
        values (${userId}, core.now(), core.now() - make_interval(secs => ${age}), '{}')`;
    },
    names: (sql) => sql`select j.request_id as name from videos.jobs as j where j.request_id <> ''`,
  },
  events: {
    make: (sql, name, age) =>
      sql`
        insert into events.log (type, data, metadata, created_at, expires_at)
        values (${name}, '{}', '{}', core.now(), core.now() - make_interval(secs => ${age}))`,
    names: (sql) => sql`select l.type as name from events.log as l where l.type in ('old', 'young')`,
  },
  webhook_secrets: {
    // Of a webhook each; the one that is in use stays.
    async make(sql, name, age) {
      const id = crypto.randomUUID();
      await sql`
        insert into webhooks.webhooks (id, url, types, created_at) values (${id}, ${name}, '{#}', core.now())`;
      await sql`
        insert into webhooks.secrets (webhook_id, sealed, created_at, expires_at) values
          (${id}, 'v1.eA==', core.now(), core.now() - make_interval(secs => ${age})), (${id}, 'v1.eQ==', core.now(), null)`;
    },
    names: (sql) =>
      sql`
        select w.url as name from webhooks.secrets as s join webhooks.webhooks as w on w.id = s.webhook_id
        where s.expires_at is not null`,
  },
  notifications: {
    make: (sql, name, age) =>
      sql`
        insert into notify.notifications (id, user_id, type, data, created_at)
        values (gen_random_uuid(), gen_random_uuid(), ${name}, '{}', core.now() - make_interval(secs => ${age}))`,
    names: (sql) => sql`select n.type as name from notify.notifications as n`,
  },
  error_log: {
    make: (sql, name, age) =>
      sql`
        insert into ops.error_log (minute, code, endpoint, place, occurred_at, request_id, context, count)
        values (
          core.now() - make_interval(secs => ${age}), 'ERR_6003', 'models', 1, core.now(), ${name}, '{}', 1
        )`,
    names: (sql) => sql`select e.request_id as name from ops.error_log as e`,
  },
  set_aside: {
    make: (sql, name, age) =>
      sql`
        insert into core.set_aside (task, subject, until, times)
        values ('a_task', ${name}, core.now() - make_interval(secs => ${age}), 1)`,
    names: (sql) => sql`select s.subject as name from core.set_aside as s`,
  },
  lanes: {
    make: (sql, name, age) =>
      sql`
        insert into queue.lanes (kind, lane, full_at)
        values ('deliver_webhook', ${name}, core.now() - make_interval(secs => ${age}))`,
    names: (sql) => sql`select l.lane as name from queue.lanes as l`,
  },
  // One that is open stays, however old it is.
  alerts: {
    async make(sql, name, age) {
      await sql`
        insert into ops.alerts (rule, subject, details, raised_at, last_at, resolved_at)
        select 'r', s.name, '{}', a.at, a.at, case when s.is_over then core.now() end
        from (values (${name}, true), (${`${name} open`}, false)) as s (name, is_over),
          (select core.now() - make_interval(secs => ${age}) as at) as a`;
    },
    names: async (sql) => {
      const rows = await sql<{ name: string }[]>`select a.subject as name from ops.alerts as a order by 1`;
      assert.equal(rows.filter(({ name }) => name.endsWith(" open")).length, 2);
      return rows.filter(({ name }) => !name.endsWith(" open"));
    },
  },
  // One that lasts stays.
  incidents: {
    async make(sql, name, age) {
      await sql`
        insert into ops.incidents (subject, began_at, ended_at, cause)
        select 'storage', core.now() - interval '9 years', core.now() - make_interval(secs => ${age}), ${name}`;
      await sql`
        insert into ops.incidents (subject, began_at, cause) values ('provider fal', core.now() - interval '9 years', 'lasts')
        on conflict do nothing`;
    },
    names: (sql) => sql`select i.cause as name from ops.incidents as i where i.ended_at is not null`,
  },
  provider_bills: {
    make: (sql, name, age) =>
      sql`
        insert into videos.provider_bills (provider, day, billed_cents, counted_cents, asked_at)
        values ('fal', current_date - length(${name}), 0, 0, core.now() - make_interval(secs => ${age}))`,
    names: (sql) =>
      sql`select case b.day when current_date - 3 then 'old' else 'young' end as name from videos.provider_bills as b`,
  },
  metric_minutes: pointsOf("minute"),
  metric_hours: pointsOf("hour"),
  metric_days: pointsOf("day"),
  operator_reports: {
    make: (sql, name, age) =>
      sql`
        insert into ops.reports (kind, begins_on, ends_on, figures, made_at)
        select 'daily', d.day, d.day + 1, ${sql.json({ name })}, core.now() - make_interval(secs => ${age})
        from (select date '2020-01-01' + (select count(*)::int from ops.reports) as day) as d`,
    names: (sql) => sql`select r.figures ->> 'name' as name from ops.reports as r`,
  },
  stat_sums: {
    make: (sql, name, age) =>
      sql`
        insert into ops.stat_sums (at, stats)
        values (core.now() - make_interval(secs => ${age}), array[row('jobs_accepted', ${name}, 1)::ops.stat])`,
    names: (sql) => sql`select (s.stats[1]).label as name from ops.stat_sums as s`,
  },
  swept: {
    make: (sql, name, age) =>
      sql`
        insert into ops.swept (day, rule, rows) values (core.now() - make_interval(secs => ${age}), ${name}, 1)`,
    names: (sql) => sql`select s.rule as name from ops.swept as s`,
  },
  proofs: {
    make: (sql, name, age) =>
      sql`
        insert into credits.proofs (proved_until, violations)
        values (core.now() - make_interval(secs => ${age}), ${name === "old" ? 1 : 2})`,
    names: (sql) =>
      sql`select case p.violations when 1 then 'old' else 'young' end as name from credits.proofs as p`,
  },
  identity_notifications: {
    // Of nobody here; one about somebody stays.
    make: (sql, name, age) =>
      sql`
        insert into accounts.identity_notifications (notification_id, type, event_at, received_at, user_id, effect)
        select n.id, 'email-enabled', core.now(), core.now() - make_interval(secs => ${age}), n.user_id, 'noted'
        from (values (${name}, null), (${name} || ' of somebody', gen_random_uuid())) as n (id, user_id)`,
    names: async (sql) => {
      const rows = await sql<{ name: string }[]>`
        select n.notification_id as name from accounts.identity_notifications as n`;
      assert(rows.some(({ name }) => name === "old of somebody"));
      return rows.filter(({ name }) => !name.endsWith("of somebody"));
    },
  },
  exports: {
    // It has no text: its bytes are its name.
    make: (sql, name, age) =>
      sql`
        insert into accounts.exports (user_id, requested_at, made_at, bytes, expires_at)
        values (
          gen_random_uuid(), core.now(), core.now(), ${name.length}, core.now() - make_interval(secs => ${age})
        )`,
    names: (sql) =>
      sql`
        select case e.bytes when ${"old".length} then 'old' else 'young' end as name
        from accounts.exports as e where e.deleting_at is null`,
  },
  cron_runs: {
    make: (sql, name, age) =>
      sql`
        insert into cron.job_run_details (runid, command, end_time)
        values (nextval('cron.runid'), ${name}, core.now() - make_interval(secs => ${age}))`,
    names: (sql) => sql`select r.command as name from cron.job_run_details as r`,
  },
};
