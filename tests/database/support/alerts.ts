/** Alerts and the rules that raise them, as the tests have them measured. */
import type { TestDatabase } from "../harness.ts";
import { stillDatabase } from "./frozen-clock.ts";
import { runTask } from "./scheduled-tasks.ts";
import type { Sql } from "./ledger.ts";

export interface Alert {
  rule: string;
  subject: string;
  level: "warning" | "critical";
  value: number | null;
  threshold: number | null;
  is_open: boolean;
}

/** Minutes pass, one by one or in longer steps, and every rule that is due is evaluated after each. */
export async function evaluate({ sql, advance }: TestDatabase, minutes = 1, step = 1): Promise<void> {
  for (let minute = 0; minute < minutes; minute += step) {
    await advance(step * 60_000 + 1_000);
    await runTask(sql, "evaluate_alert_rules");
    await runTask(sql, "watch_alerts");
  }
}

/** Every alert of a rule that there was, oldest first. */
export async function alertsOf(sql: Sql, rule: string): Promise<Alert[]> {
  const rows = await sql<Alert[]>`
    select a.rule, a.subject, a.level, a.value::float, a.threshold::float, a.resolved_at is null as is_open
    from ops.alerts as a where a.rule = ${rule} order by a.id`;
  return rows.map((row) => ({ ...row }));
}

/** What was told of a rule's alerts, oldest first: `raised critical`. */
export async function toldOf(sql: Sql, rule: string): Promise<string[]> {
  const rows = await sql<{ said: string }[]>`
    select split_part(l.type, '.', 2) || ' ' || (l.data ->> 'level') as said
    from events.log as l where l.type like 'alert.%' and l.data ->> 'rule' = ${rule} order by l.id`;
  return rows.map(({ said }) => said);
}

/** The states that the alerts of a rule went through, oldest first. */
export async function statesOf(sql: Sql, rule: string): Promise<string[]> {
  const rows = await sql<{ state: string }[]>`
    select c.state from ops.alert_changes as c join ops.alerts as a on a.id = c.alert_id
    where a.rule = ${rule} order by c.id`;
  return rows.map(({ state }) => state);
}

/** From here on each metric measures what `measured` was told last. Seeded rules are out of the way. */
export async function takeOverMetrics(sql: Sql): Promise<void> {
  await sql`
    update ops.alert_rules set is_enabled = false;
    create table testing.measured (metric ops.alert_metric, subject text, value numeric, primary key (metric, subject));
    create or replace function ops.measure(p_metric ops.alert_metric, p_window interval)
    returns setof ops.measurement language sql volatile as $$
      select m.subject, m.value from testing.measured as m where m.metric = p_metric
    $$;
  `.simple();
}

/** A database with a still clock, whose metrics measure what a test says. */
export async function alertDatabase(): Promise<TestDatabase> {
  const database = await stillDatabase();
  await takeOverMetrics(database.sql);
  return database;
}

export async function setMeasured(sql: Sql, metric: string, value: number, subject = "it"): Promise<void> {
  await sql`
    insert into testing.measured (metric, subject, value) values (${metric}, ${subject}, ${value})
    on conflict (metric, subject) do update set value = excluded.value`;
}

export interface RuleOptions {
  warning?: number | null;
  critical?: number | null;
  okFor?: string;
  cooldown?: string;
  action?: "notify" | "throttle" | "shutdown";
  policies?: string[];
  percent?: number;
  flags?: string[];
  isPinned?: boolean;
  isLowBad?: boolean;
}

/** A rule of the test's own. */
export async function makeRule(
  sql: Sql,
  name: string,
  metric: string,
  {
    warning = 5,
    critical = 10,
    okFor = "10 minutes",
    cooldown = "0",
    action = "notify",
    policies = [],
    percent = 50,
    flags = [],
    isPinned = false,
    isLowBad = false,
  }: RuleOptions = {},
): Promise<void> {
  await sql`
    insert into ops.alert_rules (
      name, what, metric, measured_over, is_low_bad, warning, critical, ok_for, cooldown, action, policies, throttle_percent,
      flags, is_pinned
    )
    values (${name}, 'A test', ${metric}, '1 minute', ${isLowBad}, ${warning}, ${critical}, ${okFor}, ${cooldown}, ${action},
      ${policies}, ${percent}, ${flags}, ${isPinned})`;
}
