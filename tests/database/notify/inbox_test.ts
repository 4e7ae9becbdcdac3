/** What users find in their inbox. */
import assert from "node:assert/strict";
import { createGuest } from "../support/accounts.ts";
import { manyConnections, times } from "../support/connections.ts";
import { deliverAll, deliveriesOf, inboxOf, markRead, publish } from "../support/events.ts";
import { claimTasks } from "../support/generation.ts";
import { first } from "../support/ledger.ts";
import { createHeir, mergeGuest, signedInGuest } from "../support/merging.ts";
import { sweepRule } from "../support/retention.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const database = sharedDatabase();
const { sql, advance } = database;

/** A guest with so many unread notifications, the oldest first. */
async function guestWith(count: number): Promise<{ userId: string; ids: string[] }> {
  const userId = await createGuest(database);
  for (let event = 0; event < count; event++) {
    await publish(sql, "video.completed", userId, { number: event });
  }
  await deliverAll(sql, userId);
  const { notifications } = await inboxOf(sql, userId);
  return { userId, ids: notifications.map(({ id }) => id).reverse() };
}

async function setPreferences(
  userId: string,
  changes: Record<string, { inbox?: boolean; push?: boolean }>,
): Promise<unknown> {
  const { preferences } = await first(sql<{ preferences: unknown }[]>`
    select api.patch_user_profile(${userId}, ${sql.json({ notification_preferences: changes })})
      #> '{data,notification_preferences}' as preferences`);
  return preferences;
}

Deno.test("pages are newest first, without gaps or repetitions while more comes in, and unread alone where that is asked", async () => {
  const { userId, ids } = await guestWith(5);
  assert.equal(await markRead(sql, userId, [ids[1] ?? "", ids[3] ?? ""]), 3);
  for (const unread of [false, true]) {
    const expected = (await inboxOf(sql, userId)).notifications
      .filter(({ read_at }) => !unread || read_at === null).map(({ id }) => id);
    assert.equal(expected.length >= 3, true);
    const seen: string[] = [];
    let after = null;
    do {
      const page = await inboxOf(sql, userId, { limit: 2, after, unread });
      seen.push(...page.notifications.map(({ id }) => id));
      after = page.next;
      await publish(sql, "video.failed", userId);
      await deliverAll(sql, userId);
    } while (after !== null);
    assert.deepEqual(seen, expected);
  }
  assert.deepEqual(
    (await inboxOf(sql, userId)).notifications.map(({ id }) => id).slice(-5),
    ids.toReversed(),
  );
  const empty = await inboxOf(sql, await createGuest(database));
  assert.deepEqual(empty, { notifications: [], unread: 0, next: null });
});

Deno.test("parallel reads of single ones and of all end with the true count, in whichever answer comes last", async () => {
  await using crowd = manyConnections(database);
  for (let round = 0; round < 5; round++) {
    const { userId, ids } = await guestWith(8);
    const left = await Promise.all(ids.slice(0, 6).map((id) => markRead(crowd, userId, [id])));
    assert.deepEqual(left.sort(), [2, 3, 4, 5, 6, 7]);
    await Promise.all([
      times(3, () => markRead(crowd, userId, null)),
      ...ids.map((id) => markRead(crowd, userId, [id])),
    ]);
    const inbox = await inboxOf(sql, userId);
    assert.deepEqual([inbox.unread, inbox.notifications.filter(({ read_at }) => read_at === null)], [0, []]);
  }
});

Deno.test("what was read stays read since then; what is another's, or nobody's, is passed over", async () => {
  const { userId, ids } = await guestWith(2);
  const other = await guestWith(1);
  assert.equal(await markRead(sql, userId, [...other.ids, crypto.randomUUID()]), 2);
  assert.equal(await markRead(sql, userId, [ids[0] ?? ""]), 1);
  const at = (await inboxOf(sql, userId)).notifications.find(({ id }) => id === ids[0])?.read_at;
  await advance(60_000);
  assert.equal(await markRead(sql, userId, null), 0);
  const inbox = await inboxOf(sql, userId);
  assert.equal(inbox.notifications.find(({ id }) => id === ids[0])?.read_at, at);
  assert.equal((await inboxOf(sql, other.userId)).unread, 1);
});

Deno.test("what a user has switched off does not come in, and what they did not name stays as it was", async () => {
  const userId = await createGuest(database);
  const both = { inbox: true, push: true };
  const all = {
    "account.merged": { inbox: true },
    "purchase.credited": both,
    "purchase.refunded": both,
    "video.completed": both,
    "video.failed": both,
  };
  assert.deepEqual(await setPreferences(userId, {}), all);
  assert.deepEqual(await setPreferences(userId, { "video.failed": { inbox: false } }), {
    ...all,
    "video.failed": { inbox: false, push: true },
  });
  assert.deepEqual(await setPreferences(userId, { "video.failed": { push: false } }), {
    ...all,
    "video.failed": { inbox: false, push: false },
  });
  assert.deepEqual(
    await setPreferences(userId, {
      "video.completed": { inbox: false },
      "video.failed": { inbox: true, push: true },
    }),
    { ...all, "video.completed": { inbox: false, push: true } },
  );
  const silent = await publish(sql, "video.completed", userId);
  await publish(sql, "video.failed", userId);
  assert.deepEqual(await deliverAll(sql, userId), ["dropped", "delivered"]);
  assert.deepEqual((await deliveriesOf(sql, silent)).map(({ reason }) => reason), [
    "its user does not want it",
  ]);
  assert.deepEqual((await inboxOf(sql, userId)).notifications.map(({ type }) => type), ["video.failed"]);
});

Deno.test("a guest's notifications come with them, also those that were on their way, and the heir is told", async () => {
  const guest = await signedInGuest(database, 10);
  await publish(sql, "video.completed", guest.id);
  await deliverAll(sql, guest.id);
  const onItsWay = await publish(sql, "video.failed", guest.id);
  const heir = await createHeir(sql);
  await mergeGuest(sql, heir, guest);
  assert.equal((await deliveriesOf(sql, heir)).some(({ outcome }) => outcome === null), true);
  await deliverAll(sql, heir);
  const inbox = await inboxOf(sql, heir);
  assert.deepEqual(
    inbox.notifications.map(({ type }) => type).sort(),
    ["account.merged", "video.completed", "video.failed"],
  );
  assert.equal(inbox.unread, 3);
  assert.deepEqual((await deliveriesOf(sql, onItsWay)).map(({ outcome }) => outcome), ["delivered"]);
});

Deno.test("a delivery and the merge of its user at the same time lose nothing", async () => {
  await using crowd = manyConnections(database);
  for (let round = 0; round < 10; round++) {
    const guest = await signedInGuest(database, 1);
    const heir = await createHeir(sql);
    await publish(sql, "video.completed", guest.id);
    await Promise.all([deliverAll(crowd, guest.id), mergeGuest(crowd, heir, guest)]);
    await deliverAll(sql, heir);
    const { notifications } = await inboxOf(sql, heir);
    assert.deepEqual(notifications.map(({ type }) => type).sort(), ["account.merged", "video.completed"]);
  }
});

Deno.test("after 90 days what stands in an inbox is gone; an event goes as its type says, with its deliveries", async () => {
  const { userId } = await guestWith(1);
  const [delivery] = await deliveriesOf(sql, userId);
  await publish(sql, "video.progressed", userId);
  await advance(25 * 3_600_000);
  await sweepRule(sql, "events");
  const types = await sql<{ type: string }[]>`
    select l.type from events.log as l where l.user_id = ${userId} order by 1`;
  assert.deepEqual(types.map(({ type }) => type), ["credits.changed", "video.completed"]);
  await advance(31 * 24 * 3_600_000);
  await sweepRule(sql, "events");
  assert.equal((await deliveriesOf(sql, userId)).length, 0);
  assert.equal((await sql`select from events.deliveries as d where d.id = ${delivery?.id ?? ""}`).length, 0);
  assert.equal((await inboxOf(sql, userId)).unread, 1);
  await advance(60 * 24 * 3_600_000);
  await sweepRule(sql, "notifications");
  assert.equal((await inboxOf(sql, userId)).unread, 0);
});

Deno.test("an inbox can lose in a day what a day brings: as much as the log of events", async () => {
  const rules = await sql<{ name: string; rows: number }[]>`
    select r.name, (r.batch * extract(epoch from interval '1 day') / extract(epoch from r.every))::int as rows
    from ops.retention_rules as r where r.name in ('events', 'notifications') order by r.name`;
  const [events, notifications] = rules;
  assert(events && notifications && notifications.rows >= events.rows, JSON.stringify(rules));
});

Deno.test("a delivery whose event is gone ends, and tells nobody", async () => {
  const userId = await createGuest(database);
  const eventId = await publish(sql, "video.completed", userId);
  const [delivery] = await deliveriesOf(sql, eventId);
  const [task] = await claimTasks(sql, 1, delivery?.id ?? null);
  await sql`delete from events.log where id = ${eventId}`;
  const { outcome } = await first(sql<{ outcome: string | null }[]>`
    select api.deliver_inbox(${task?.task_id ?? 0}, 1, ${
    delivery?.id ?? ""
  }) #>> '{data,outcome}' as outcome`);
  assert.equal(outcome, null);
  assert.equal((await sql`select from queue.tasks as t where t.subject = ${delivery?.id ?? ""}`).length, 0);
});
