/** Who hears what, and how each delivery ends. */
import assert from "node:assert/strict";
import { eventTypeNames } from "../../../supabase/functions/_shared/events/catalogue.ts";
import { closeAccount, createGuest } from "../support/accounts.ts";
import { deliverAll, deliveriesOf, deliverInbox, inboxOf, publish } from "../support/events.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { claimTasks, retryTask } from "../support/generation.ts";
import { first, rolledBack } from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { setKind } from "../support/tasks.ts";

const database = sharedDatabase(stillDatabase);
const { sql, advance } = database;

/** A receiver of its own, with its channel, whose tasks a test claims. */
async function receiver(patterns: string[], channel: string): Promise<string> {
  const target = crypto.randomUUID();
  await sql`
    insert into queue.kinds
      (kind, concurrency, lane_concurrency, tries, backoff, base_seconds, max_seconds, lease_seconds, timeout_seconds, priority)
    values (${`deliver_${channel}`}, 100, 2, 3, 'fixed', 10, 10, 60, 60, 7) on conflict do nothing`;
  await sql`
    insert into events.channels (channel, kind) values (${channel}, ${`deliver_${channel}`}) on conflict do nothing`;
  for (const [index, pattern] of patterns.entries()) {
    await sql`
      insert into events.subscriptions (pattern, channel, target, priority)
      values (${pattern}, ${channel}, ${target}, ${index + 1})`;
  }
  return target;
}

Deno.test("a pattern fits one type, a topic, or everything; what can fit nothing is refused", async () => {
  const fits: Record<string, (type: string) => boolean> = {
    "#": () => true,
    "video.*": (type) => type.startsWith("video."),
    "purchase.*": (type) => type.startsWith("purchase."),
    "account.*": (type) => type.startsWith("account."),
    "credits.*": (type) => type === "credits.changed",
    "video.completed": (type) => type === "video.completed",
    "alert.raised": (type) => type === "alert.raised",
  };
  const targets = new Map<string, string>();
  for (const pattern of Object.keys(fits)) targets.set(await receiver([pattern], "patterns"), pattern);
  for (const type of eventTypeNames) {
    const told = (await deliveriesOf(sql, await publish(sql, type, null)))
      .flatMap(({ target }) => targets.get(target ?? "") ?? []);
    assert.deepEqual(
      told.sort(),
      Object.keys(fits).filter((pattern) => fits[pattern]?.(type)).sort(),
      type,
    );
  }
  const nothing = [
    "",
    "*",
    "##",
    "video",
    "video.",
    "video.#",
    "*.completed",
    "video.*.*",
    "video.co*",
    "Video.*",
  ];
  for (const pattern of [...nothing, "invented.*", "video.invented", " video.*", "video.completed,#", null]) {
    const subscribe = sql`
      insert into events.subscriptions (pattern, channel, priority) values (${pattern}, 'patterns', 1)`;
    await assert.rejects(Promise.resolve(subscribe), /subscriptions_pattern|not-null/, String(pattern));
  }
  await sql`delete from events.subscriptions where channel = 'patterns'`;
});

Deno.test("a receiver of several patterns that fit hears of an event once, at the highest of their priorities", async () => {
  const target = await receiver(["video.*", "#", "video.failed"], "overlapping");
  const eventId = await publish(sql, "video.failed", null);
  const deliveries = (await deliveriesOf(sql, eventId)).filter((delivery) => delivery.target === target);
  assert.equal(deliveries.length, 1);
  const tasks = await sql<{ priority: number; lane: string }[]>`
    select t.priority, t.lane from queue.tasks as t where t.subject = ${deliveries[0]?.id ?? ""}`;
  assert.deepEqual(tasks.map((task) => ({ ...task })), [{ priority: 1, lane: target }]);
  await sql`delete from events.subscriptions where channel = 'overlapping'`;
});

Deno.test("what is no delivery is called in the transaction of the fact, and undoes nothing where it fails", async () => {
  await sql`
    create table events.heard (event_id uuid);
    create function events.hear(p_event_id uuid) returns void language sql as $$
      insert into events.heard select l.id from events.log as l where l.id = p_event_id $$;
    create function events.stumble(p_event_id uuid) returns void language plpgsql as $$ begin raise 'cannot'; end $$;
    insert into events.channels (channel, procedure) values ('direct', 'events.hear'), ('broken', 'events.stumble');
    insert into events.subscriptions (pattern, channel, priority) values
      ('account.*', 'direct', 1), ('#', 'direct', 1), ('#', 'broken', 1);
  `.simple();
  const eventId = await publish(sql, "account.merged", null);
  await rolledBack(sql, (sql) => publish(sql, "account.merged", null));
  assert.deepEqual((await sql`select event_id from events.heard`).map((row) => row.event_id), [eventId]);
  assert.deepEqual((await deliveriesOf(sql, eventId)).map(({ channel }) => channel), ["inbox"]);
  await sql`delete from events.subscriptions where channel in ('direct', 'broken')`;
});

Deno.test("a delivery ends as delivered, once, however often its worker comes", async () => {
  const userId = await createGuest(database);
  const eventId = await publish(sql, "video.completed", userId, { model_name: "A model" });
  const [delivery] = await deliveriesOf(sql, eventId);
  const [task] = await claimTasks(sql, 1, delivery?.id ?? null);
  assert(task !== undefined);
  // Its worker dies; after the lease another has it, and the first comes back.
  await advance(16_000);
  const [again] = await claimTasks(sql, 1, task.subject);
  assert(again !== undefined);
  assert.equal(await deliverInbox(sql, task), "delivered");
  assert.equal(await deliverInbox(sql, again), "delivered");
  assert.equal(await deliverInbox(sql, again), "delivered", "the answer was lost");
  assert.deepEqual(await claimTasks(sql, 1, task.subject), []);
  assert.equal((await inboxOf(sql, userId)).notifications.length, 1);
  const [ended] = await deliveriesOf(sql, eventId);
  assert.deepEqual([ended?.outcome, ended?.reason], ["delivered", null]);
});

Deno.test("a delivery that has no try left is dead, with its reason and an alert; the operator has it tried again", async () => {
  await setKind(sql, "deliver_inbox", { tries: 2, base: 10 });
  const userId = await createGuest(database);
  const eventId = await publish(sql, "video.failed", userId);
  const [delivery] = await deliveriesOf(sql, eventId);
  const subject = delivery?.id ?? null;
  for (const state of ["waiting", "dead"]) {
    const [task] = await claimTasks(sql, 1, subject);
    assert(task !== undefined);
    assert.equal(await retryTask(sql, task), state);
    await advance(10_000);
  }
  const [dead] = await deliveriesOf(sql, eventId);
  assert.deepEqual([dead?.outcome, dead?.reason], ["dead", "failed"]);
  assert.deepEqual(await claimTasks(sql, 1, subject), []);
  const alerts = await sql`
    select from ops.alerts as a where a.rule = 'delivery_dead' and a.details ->> 'delivery_id' = ${subject}`;
  assert.equal(alerts.length, 1);

  const { again } = await first(sql<{ again: boolean }[]>`select events.deliver_again(${subject}) as again`);
  assert.equal(again, true);
  assert.deepEqual(await deliverAll(sql, userId), ["delivered"]);
  assert.deepEqual((await deliveriesOf(sql, eventId)).map(({ outcome }) => outcome), ["delivered"]);
  assert.equal((await inboxOf(sql, userId)).notifications.length, 1);
  const none = await first(sql<{ again: boolean }[]>`
    select events.deliver_again(gen_random_uuid()) as again`);
  assert.equal(none.again, false);
});

Deno.test("nothing is written into the inbox of a closed account, when ever it was closed", async () => {
  for (const order of ["before", "after"]) {
    const userId = await createGuest(database);
    if (order === "before") await closeAccount(sql, userId);
    const eventId = await publish(sql, "video.completed", userId);
    if (order === "after") await closeAccount(sql, userId);
    assert.deepEqual(await deliverAll(sql, userId), ["dropped"], order);
    const [delivery] = await deliveriesOf(sql, eventId);
    assert.deepEqual([delivery?.outcome, delivery?.reason], ["dropped", "the account is closed"]);
    const left = await sql`select from notify.notifications as n where n.user_id = ${userId}`;
    assert.equal(left.length, 0);
  }
});

Deno.test("one receiver that is stalled, with a thousand that wait for it, holds up neither another nor the inbox", async () => {
  await setKind(sql, "deliver_inbox", { concurrency: 10 });
  await sql`delete from queue.tasks`;
  const stalled = await receiver(["video.progressed"], "servers");
  for (let event = 0; event < 1_000; event++) await publish(sql, "video.progressed", null);
  // Two at once are a receiver's, and they do not come back.
  const taken = await claimTasks(sql, 100);
  assert.deepEqual(taken.map(({ kind }) => kind), ["deliver_servers", "deliver_servers"]);
  const quick = await receiver(["video.started"], "servers");
  const userId = await createGuest(database);
  await publish(sql, "video.started", null);
  await publish(sql, "video.completed", userId);
  const next = await claimTasks(sql, 100);
  const lanes = await sql<{ kind: string; lane: string }[]>`
    select t.kind, t.lane from queue.tasks as t where t.id = any (${next.map(({ task_id }) => task_id)})`;
  assert.deepEqual(
    lanes.map(({ kind, lane }) => `${kind} ${lane}`).sort(),
    ["deliver_inbox ", `deliver_servers ${quick}`],
  );
  assert.notEqual(quick, stalled);
});
