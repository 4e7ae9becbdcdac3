/** What was told, and what becomes of it. */
import { claimTasks, type Task } from "./generation.ts";
import { first, type Sql } from "./ledger.ts";

export interface Told {
  id: string;
  type: string;
  user_id: string | null;
  data: Record<string, unknown>;
}

/** The events of a user's, in the order in which they were written. */
export async function eventsOf(sql: Sql, userId: string): Promise<Told[]> {
  return await sql<Told[]>`
    select l.id, l.type, l.user_id, l.data from events.log as l where l.user_id = ${userId} 
    order by l.created_at, l.xmin::text::bigint, l.cmin::text::bigint`;
}

/** The types of a user's events, in their order, and a second time where there are two. */
export async function typesOf(sql: Sql, userId: string): Promise<string[]> {
  return (await eventsOf(sql, userId)).map(({ type }) => type);
}

/** Writes an event that needs nothing to be true. */
export async function publish(
  sql: Sql,
  type: string,
  userId: string | null,
  data: Record<string, string | number | boolean> = {},
): Promise<string> {
  const { id } = await first(sql<{ id: string }[]>`
    select events.publish(${type}, ${userId}, ${sql.json(data)}) as id`);
  return id;
}

export interface Delivery {
  id: string;
  channel: string;
  target: string | null;
  outcome: "delivered" | "dropped" | "dead" | null;
  reason: string | null;
}

/** Of an event, or of all events of a user. */
export async function deliveriesOf(sql: Sql, id: string): Promise<Delivery[]> {
  return await sql<Delivery[]>`
    select d.id, d.channel, d.target, d.outcome, d.reason
    from events.deliveries as d join events.log as l on l.id = d.event_id
    where ${id} in (l.id, l.user_id)
    order by d.created_at, d.channel, d.target`;
}

/** What the worker does with a `deliver_inbox` task: the outcome. */
export async function deliverInbox(sql: Sql, { task_id, attempt, subject }: Task): Promise<string | null> {
  const { outcome } = await first(sql<{ outcome: string | null }[]>`
    select api.deliver_inbox(${task_id}, ${attempt}, ${subject}) #>> '{data,outcome}' as outcome`);
  return outcome;
}

/** A worker that delivers all of a user's events that are due to their inbox. */
export async function deliverAll(sql: Sql, userId: string): Promise<(string | null)[]> {
  const outcomes: (string | null)[] = [];
  for (const { id, channel, outcome } of await deliveriesOf(sql, userId)) {
    if (outcome !== null || channel !== "inbox") continue;
    for (const task of await claimTasks(sql, 1, id)) outcomes.push(await deliverInbox(sql, task));
  }
  return outcomes;
}

export interface Inbox {
  notifications: { id: string; type: string; data: Record<string, unknown>; read_at: string | null }[];
  unread: number;
  next: { created_at: string; id: string } | null;
}

export async function inboxOf(
  sql: Sql,
  userId: string,
  { limit = 100, after = null, unread = false }: {
    limit?: number;
    after?: Inbox["next"];
    unread?: boolean;
  } = {},
): Promise<Inbox> {
  const { inbox } = await first(sql<{ inbox: Inbox }[]>`
    select api.get_notifications(${userId}, ${limit}, ${
    after && sql.json(after)
  }, ${unread}) -> 'data' as inbox`);
  return inbox;
}

/** How many are unread after these, or all, were read. */
export async function markRead(sql: Sql, userId: string, ids: string[] | null): Promise<number> {
  const { unread } = await first(sql<{ unread: number }[]>`
    select (api.patch_notifications(${userId}, ${ids}) #>> '{data,unread}')::integer as unread`);
  return unread;
}
