/** Servers that are told what happens, and workers that tell them. */
import { claimTasks, type Task } from "./generation.ts";
import { first, type Sql } from "./ledger.ts";

/** A webhook that hears these types: its id. */
export async function addWebhook(sql: Sql, types: string[] = ["account.closed"]): Promise<string> {
  const id = crypto.randomUUID();
  await sql`select webhooks.add(${id}, ${`https://${id}.example.com/`}, ${types}, 'v1.eA==')`;
  return id;
}

/** A test for it, as the operator has it sent: the delivery's id. */
export async function tell(sql: Sql, webhookId: string): Promise<string> {
  const { id } = await first(sql<{ id: string }[]>`
    select events.tell('webhook.test', '{}', 'webhook', ${webhookId}) as id`);
  return id;
}

export interface Answered {
  /** Of the answer; null where none came. */
  status?: number | null;
  retryAfter?: number | null;
  isFinal?: boolean;
  /** Whether the server was asked at all. */
  isAsked?: boolean;
}

/** Ends an attempt as the worker does, which was answered so: the outcome. */
export async function finish(
  sql: Sql,
  { task_id, attempt, subject }: Pick<Task, "task_id" | "attempt" | "subject">,
  { status = 200, retryAfter = null, isFinal = false, isAsked = true }: Answered = {},
): Promise<string> {
  const failure = !isAsked
    ? "what is to be told could not be read"
    : status !== null && status >= 200 && status < 300
    ? null
    : status === null
    ? "no answer in time"
    : `it answered ${status}`;
  const { outcome } = await first(sql<{ outcome: string }[]>`
    select api.finish_webhook_delivery(
      ${task_id}, ${attempt}, ${subject}, ${
    isAsked ? sql.json({ status, duration_ms: 5, text: "" }) : null
  }, ${failure}, ${retryAfter}, ${isFinal}
    ) #>> '{data,outcome}' as outcome`);
  return outcome;
}

/** One attempt at a delivery, which must be due. */
export async function attempt(sql: Sql, deliveryId: string, answered: Answered = {}): Promise<string> {
  const [task] = await claimTasks(sql, 1, deliveryId);
  if (task === undefined) throw new Error(`${deliveryId} is not due`);
  return await finish(sql, task, answered);
}

export interface ShownWebhook {
  is_enabled: boolean;
  disabled_reason: string | null;
  is_failing: boolean;
}

export async function webhookOf(sql: Sql, id: string): Promise<ShownWebhook> {
  return await first(sql<ShownWebhook[]>`
    select w.is_enabled, w.disabled_reason, w.failing_since is not null as is_failing
    from webhooks.webhooks as w where w.id = ${id}`);
}

/** How a delivery ended, and why; null while it waits. */
export async function endOf(sql: Sql, deliveryId: string): Promise<string | null> {
  const { end } = await first(sql<{ end: string | null }[]>`
    select nullif(concat_ws(': ', d.outcome, d.reason), '') as end from events.deliveries as d where d.id = ${deliveryId}`);
  return end;
}

/** Seconds until a delivery is tried again. */
export async function nextIn(sql: Sql, deliveryId: string): Promise<number> {
  const { seconds } = await first(sql<{ seconds: number }[]>`
    select extract(epoch from queue.next_run('deliver_webhook', ${deliveryId}) - core.now())::float as seconds`);
  return seconds;
}

export async function alertsOf(sql: Sql, rule: string, webhookId: string): Promise<number> {
  const alerts = await sql`
    select from ops.alerts as a where a.rule = ${rule} and a.subject = ${`webhook ${webhookId}`}`;
  return alerts.length;
}
