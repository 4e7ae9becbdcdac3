/** How a delivery to another server goes on: when it is tried again, and when no more. */
import assert from "node:assert/strict";
import { createGuest } from "../support/accounts.ts";
import { publish } from "../support/events.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { claimTasks } from "../support/generation.ts";
import { first } from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import {
  addWebhook,
  alertsOf,
  attempt,
  endOf,
  finish,
  nextIn,
  tell,
  webhookOf,
} from "../support/webhooks.ts";

const database = sharedDatabase(stillDatabase);
const { sql, advance } = database;
Deno.test.afterEach(async () => {
  await sql`delete from queue.tasks`;
  await sql`delete from events.subscriptions as s where s.channel = 'webhook'`;
  await sql`delete from webhooks.webhooks`;
});

/** Of Standard Webhooks, in seconds. */
const schedule = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

/** Lets the time pass until a delivery is due. */
async function untilDue(deliveryId: string): Promise<void> {
  await advance(Math.ceil(await nextIn(sql, deliveryId) * 1000));
}

Deno.test("what fails is tried by the schedule, each up to a tenth later, and is dead after the tenth attempt", async () => {
  const webhookId = await addWebhook(sql);
  const deliveryId = await tell(sql, webhookId);
  for (const [index, seconds] of schedule.entries()) {
    assert.equal(await attempt(sql, deliveryId, { status: [500, null, 404][index % 3] ?? null }), "waiting");
    const next = await nextIn(sql, deliveryId);
    assert(next >= seconds && next <= seconds * 1.1, `${next} s in place of ${seconds} s`);
    assert.deepEqual(await claimTasks(sql, 1, deliveryId), [], "nothing is tried early");
    await untilDue(deliveryId);
  }
  assert.equal(await attempt(sql, deliveryId, { status: 503 }), "dead");
  assert.equal(await endOf(sql, deliveryId), "dead: it answered 503");
  assert.equal(await alertsOf(sql, "delivery_dead", webhookId), 1);
  assert.deepEqual(await webhookOf(sql, webhookId), {
    is_enabled: true,
    disabled_reason: null,
    is_failing: true,
  });
  const { attempts } = await first(
    sql`select d.attempts from events.deliveries as d where d.id = ${deliveryId}`,
  );
  assert.equal(attempts, 10);
});

Deno.test("jitter keeps what failed together from coming back together", async () => {
  const delays = await sql<{ delay: number }[]>`
    select extract(epoch from webhooks.retry_delay(2))::float as delay from generate_series(1, 100)`;
  assert(new Set(delays.map(({ delay }) => delay)).size > 90);
});

Deno.test("a server that asks to wait is not asked before, and after a day at most", async () => {
  const webhookId = await addWebhook(sql);
  for (
    const [retryAfter, from, to] of [[0, 5, 5.5], [3, 5, 5.5], [60, 60, 60], [86_400, 86_400, 86_400], [
      2_000_000_000,
      86_400,
      86_400,
    ]] as const
  ) {
    const deliveryId = await tell(sql, webhookId);
    assert.equal(await attempt(sql, deliveryId, { status: 429, retryAfter }), "waiting");
    const next = await nextIn(sql, deliveryId);
    assert(next >= from && next <= to, `${next} s after ${retryAfter}`);
  }
});

Deno.test("410 disables at once: what waits is dropped with it, and one alert is raised", async () => {
  const webhookId = await addWebhook(sql);
  const other = await addWebhook(sql);
  const deliveries = [await tell(sql, webhookId), await tell(sql, webhookId), await tell(sql, webhookId)];
  const others = await tell(sql, other);
  const [gone = "", atWork = "", waiting = ""] = deliveries;
  const [task] = await claimTasks(sql, 1, atWork);
  assert(task);
  assert.equal(await attempt(sql, gone, { status: 410 }), "disabled");
  for (const each of [gone, waiting]) {
    assert.equal(await endOf(sql, each), "dropped: the webhook is disabled");
  }
  assert.equal(await finish(sql, task), "delivered", "what was at work says what became of it");
  assert.equal(await endOf(sql, atWork), "delivered");
  assert.deepEqual(await webhookOf(sql, webhookId), {
    is_enabled: false,
    disabled_reason: "gone",
    is_failing: false,
  });
  assert.equal(await alertsOf(sql, "webhook_disabled", webhookId), 1);
  assert.equal(await attempt(sql, others), "delivered", "another hears as before");
  assert.deepEqual(await claimTasks(sql, 100), []);
});

Deno.test("five days without a success disable; a success begins them anew, and so does enabling", async () => {
  const webhookId = await addWebhook(sql);
  const day = 86_400_000;
  const failOnce = async () => await attempt(sql, await tell(sql, webhookId), { status: 500 });
  assert.equal(await failOnce(), "waiting");
  await advance(4.9 * day);
  assert.equal(await failOnce(), "waiting");
  assert.equal(await attempt(sql, await tell(sql, webhookId)), "delivered");
  assert.equal((await webhookOf(sql, webhookId)).is_failing, false);
  await advance(4.9 * day);
  assert.equal(await failOnce(), "waiting", "the success counts");
  await advance(5 * day);
  assert.equal(await failOnce(), "disabled");
  assert.deepEqual(await webhookOf(sql, webhookId), {
    is_enabled: false,
    disabled_reason: "failing",
    is_failing: true,
  });
  assert.equal(await alertsOf(sql, "webhook_disabled", webhookId), 1);
  await sql`select webhooks.change(${webhookId}, null, null, true)`;
  assert.equal(await failOnce(), "waiting");
});

Deno.test("a fault of ours is tried again by the schedule, and disables no webhook: its server was not asked", async () => {
  const webhookId = await addWebhook(sql);
  assert.equal(await attempt(sql, await tell(sql, webhookId), { status: 500 }), "waiting");
  await advance(6 * 86_400_000);
  const deliveryId = await tell(sql, webhookId);
  const [task] = await claimTasks(sql, 1, deliveryId);
  assert(task);
  assert.equal(await finish(sql, task, { isAsked: false }), "waiting");
  const next = await nextIn(sql, deliveryId);
  assert(next >= 5 && next <= 5.5, `${next} s`);
  const other = await addWebhook(sql);
  const [first] = await claimTasks(sql, 1, await tell(sql, other));
  assert(first);
  assert.equal(await finish(sql, first, { isAsked: false }), "waiting");
  assert.equal((await webhookOf(sql, other)).is_failing, false);
});

Deno.test("a webhook that is moved has its five days anew", async () => {
  const webhookId = await addWebhook(sql);
  assert.equal(await attempt(sql, await tell(sql, webhookId), { status: 500 }), "waiting");
  await advance(4.9 * 86_400_000);
  await sql`select webhooks.change(${webhookId}, null, '{video.*}', null)`;
  assert.equal((await webhookOf(sql, webhookId)).is_failing, true);
  await sql`select webhooks.change(${webhookId}, 'https://elsewhere.example.com/', null, null)`;
  assert.equal((await webhookOf(sql, webhookId)).is_failing, false);
  await advance(86_400_000);
  assert.equal(await attempt(sql, await tell(sql, webhookId), { status: 500 }), "waiting");
});

Deno.test("a webhook that nothing happens for is not disabled, however long", async () => {
  const webhookId = await addWebhook(sql);
  await advance(30 * 86_400_000);
  assert.equal(await attempt(sql, await tell(sql, webhookId), { status: 500 }), "waiting");
});

Deno.test("an attempt that lost its task changes nothing by a failure, and a success of it is one", async () => {
  const webhookId = await addWebhook(sql);
  for (const status of [410, 500, 200]) {
    const deliveryId = await tell(sql, webhookId);
    const [lost] = await claimTasks(sql, 1, deliveryId);
    await advance(16_000);
    const [again] = await claimTasks(sql, 1, deliveryId);
    assert(lost && again);
    assert.equal(await finish(sql, lost, { status }), status === 200 ? "delivered" : "lost");
    assert.equal((await webhookOf(sql, webhookId)).is_enabled, true);
    assert.equal(await finish(sql, again, { status: 200 }), "delivered");
    assert.equal(await endOf(sql, deliveryId), "delivered");
    assert.equal(await finish(sql, again, { status: 200 }), "delivered", "its answer was lost");
    assert.equal(await finish(sql, again, { status: 500 }), "lost");
    assert.equal(await endOf(sql, deliveryId), "delivered", "what is delivered stays so");
  }
});

Deno.test("what can only fail alike is dead at once", async () => {
  const webhookId = await addWebhook(sql);
  const deliveryId = await tell(sql, webhookId);
  assert.equal(await attempt(sql, deliveryId, { status: null, isFinal: true }), "dead");
  assert.equal(await endOf(sql, deliveryId), "dead: no answer in time");
  assert.equal((await webhookOf(sql, webhookId)).is_failing, false, "the server has no part in it");
  assert.deepEqual(await claimTasks(sql, 1, deliveryId), []);
});

Deno.test("an alert that could not be told raises no other one, for ever", async () => {
  const webhookId = await addWebhook(sql, ["alert.*"]);
  await sql`select ops.raise_alert('a_rule', 'a subject', '{}')`;
  const [{ id } = assert.fail("nothing is told")] = await sql<{ id: string }[]>`
    select d.id from events.deliveries as d where d.target = ${webhookId}`;
  const [task] = await claimTasks(sql, 1, id);
  assert(task);
  assert.equal(await finish(sql, task, { status: 500, isFinal: true }), "dead");
  assert.equal(await alertsOf(sql, "delivery_dead", webhookId), 0);
});

Deno.test("what is claimed comes with all that it takes to send it, the secrets that sign included, and others not", async () => {
  const webhookId = await addWebhook(sql);
  await sql`select webhooks.rotate_secret(${webhookId}, 'v1.bmV3')`;
  const deliveryId = await tell(sql, webhookId);
  const facts = async () => {
    const { facts } = await first(sql<{ facts: { webhook: { secrets: string[] } } | null }[]>`
      select webhooks.delivery_facts(${deliveryId}) as facts`);
    return facts;
  };
  assert.deepEqual((await facts())?.webhook.secrets, ["v1.bmV3", "v1.eA=="]);
  await advance(24 * 3_600_000 - 1_000);
  assert.deepEqual((await facts())?.webhook.secrets, ["v1.bmV3", "v1.eA=="], "24 hours");
  await advance(1_000);
  assert.deepEqual((await facts())?.webhook.secrets, ["v1.bmV3"]);
  await sql`update webhooks.webhooks set is_enabled = false, disabled_reason = 'admin' where id = ${webhookId}`;
  assert.equal(await facts(), null);
  assert.equal(await attempt(sql, deliveryId, { status: null }), "dropped");
});

Deno.test("two at once are a server's, and however many wait for it they hold up no other", async () => {
  const slow = await addWebhook(sql, ["video.progressed"]);
  const others = await Promise.all(Array.from({ length: 19 }, () => addWebhook(sql, ["video.started"])));
  for (let event = 0; event < 100; event++) await publish(sql, "video.progressed", null);
  for (let event = 0; event < 3; event++) await publish(sql, "video.started", null);
  const lanes = async () => {
    const taken = await claimTasks(sql, 100);
    const rows = await sql<{ lane: string }[]>`
      select t.lane from queue.tasks as t where t.id = any (${taken.map(({ task_id }) => task_id)})`;
    return Map.groupBy(rows, ({ lane }) => lane);
  };
  const taken = await lanes();
  assert.equal(taken.get(slow)?.length, 2);
  for (const other of others) assert.equal(taken.get(other)?.length, 2);
  assert.equal((await lanes()).size, 0, "all have what they may");
});

Deno.test("of admins who make the last ones at once no two make the twenty-first", async () => {
  await Promise.all(Array.from({ length: 30 }, () => addWebhook(sql)));
  const { count } = await first(sql`select count(*)::int as count from webhooks.webhooks`);
  assert.equal(count, 20);
});

Deno.test("an event that a server is still to be told outlives what its type is kept for, and goes when it has ended", async () => {
  const webhookId = await addWebhook(sql, ["video.progressed"]);
  const eventId = await publish(sql, "video.progressed", null);
  const [{ id } = assert.fail("nothing is told")] = await sql<{ id: string }[]>`
    select d.id from events.deliveries as d where d.target = ${webhookId}`;
  assert.equal(await attempt(sql, id, { status: 500 }), "waiting");
  await advance(2 * 86_400_000);
  const left = async () => {
    await sql`select ops.sweep_rule(r) from ops.retention_rules as r where r.name = 'events'`;
    return (await sql`select from events.log as l where l.id = ${eventId}`).length;
  };
  assert.equal(await left(), 1);
  assert.equal(await attempt(sql, id), "delivered");
  assert.equal(await left(), 0);
});

Deno.test("what an account's webhooks were told goes with the account", async () => {
  const webhookId = await addWebhook(sql, ["video.*"]);
  const userId = await createGuest(database);
  await publish(sql, "video.completed", userId, { text: "a canary" });
  const [{ id } = assert.fail("nothing is told")] = await sql<{ id: string }[]>`
    select d.id from events.deliveries as d where d.target = ${webhookId}`;
  assert.equal(await attempt(sql, id), "delivered");
  await sql`delete from events.log as l where l.user_id = ${userId}`;
  const left = await sql`select from events.deliveries as d where d.target = ${webhookId}`;
  assert.equal(left.length, 0);
});
