/** Which devices are told of what, and what Apple's answers change. */
import assert from "node:assert/strict";
import { languages } from "../../../supabase/functions/_shared/errors/languages.ts";
import { closeAccount, createGuest } from "../support/accounts.ts";
import { manyConnections } from "../support/connections.ts";
import { deliveriesOf, publish } from "../support/events.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { claimTasks, retryTask, type Task } from "../support/generation.ts";
import { first, type Sql } from "../support/ledger.ts";
import { createHeir, mergeGuest, signedInGuest } from "../support/merging.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { setKind } from "../support/tasks.ts";

const database = sharedDatabase(stillDatabase);
const { sql, advance } = database;

interface Device {
  token: string;
  environment: string;
  registered_at: string;
  apns_id: string;
}

interface Facts {
  event: { id: string; type: string; data: Record<string, unknown> };
  language: string | null;
  devices: Device[];
}

type PushTask = Omit<Task, "facts"> & { facts: Facts | null };

interface Answer {
  outcome: "sent" | "gone" | "refused" | "failed" | "unauthorized";
  environment?: string;
  gone_at?: string;
}

let tokens = 0;
/** Nobody else's. */
const newToken = () => (++tokens).toString(16).padStart(64, "0");

async function register(sql: Sql, userId: string, token = newToken(), environment = "production") {
  await sql`select api.post_push_tokens(${userId}, ${token}, ${environment})`;
  return token;
}

async function devicesOf(userId: string): Promise<string[]> {
  const rows = await sql<{ token: string }[]>`
    select t.token from notify.push_tokens as t where t.user_id = ${userId} order by t.token`;
  return rows.map(({ token }) => token);
}

async function pushOf(eventId: string) {
  const deliveries = (await deliveriesOf(sql, eventId)).filter(({ channel }) => channel === "push");
  assert(deliveries.length <= 1);
  return deliveries[0];
}

/** A worker that takes the push of an event: what it is to send. */
async function take(eventId: string): Promise<PushTask> {
  const [task] = await claimTasks(sql, 1, (await pushOf(eventId))?.id ?? null);
  assert(task !== undefined, "there is a task");
  const { facts } = await first(sql<{ facts: Facts | null }[]>`
    select notify.push_facts(${task.subject}) as facts`);
  return { ...task, facts };
}

/** What becomes of it, where Apple answers so for each device. */
async function finish(
  task: PushTask,
  answerTo: (device: Device) => Answer,
  error: string | null = null,
  goesOn = false,
): Promise<string | null> {
  const answers = (task.facts?.devices ?? []).map((device) => ({
    token: device.token,
    registered_at: device.registered_at,
    apns_id: device.apns_id,
    environment: device.environment,
    ...answerTo(device),
  }));
  const { outcome } = await first(sql<{ outcome: string | null }[]>`
    select api.finish_push(${task.task_id}, ${task.attempt}, ${task.subject}, ${
    sql.json(answers)
  }, p_error => ${error}, p_goes_on => ${goesOn})
      #>> '{data,outcome}' as outcome`);
  return outcome;
}

const sent = (): Answer => ({ outcome: "sent" });

Deno.test("there is a delivery where there is a device, one for all of them, of the types that are pushed", async () => {
  const [silent, told] = [await createGuest(database), await createGuest(database)];
  for (let device = 0; device < 3; device++) await register(sql, told);
  const pushed = ["video.completed", "video.failed", "purchase.credited", "purchase.refunded"];
  for (const type of [...pushed, "video.started", "video.cancelled", "credits.changed", "account.merged"]) {
    assert.equal(await pushOf(await publish(sql, type, silent)), undefined, type);
    const eventId = await publish(sql, type, told);
    assert.equal((await pushOf(eventId)) !== undefined, pushed.includes(type), type);
    if (!pushed.includes(type)) continue;
    const task = await take(eventId);
    assert.equal(task.facts?.devices.length, 3);
    assert.equal(new Set(task.facts?.devices.map(({ apns_id }) => apns_id)).size, 3);
    assert.equal(await finish(task, sent), "delivered");
  }
  assert.equal(await pushOf(await publish(sql, "video.completed", null)), undefined);
});

Deno.test("the id of a push is its delivery's and its device's: the same at each try, and no other's", async () => {
  const userId = await createGuest(database);
  await register(sql, userId);
  const seen = new Set<string>();
  for (let event = 0; event < 3; event++) {
    const eventId = await publish(sql, "video.completed", userId);
    const ids = new Set<string>();
    for (let attempt = 0; attempt < 3; attempt++) {
      const task = await take(eventId);
      for (const { apns_id } of task.facts?.devices ?? []) ids.add(apns_id);
      // Its worker dies.
      await advance(16_000);
    }
    assert.equal(ids.size, 1);
    for (const id of ids) seen.add(id);
  }
  assert.equal(seen.size, 3);
});

Deno.test("each is told in their language, and what they have switched off not at all", async () => {
  for (const language of [...languages, null]) {
    const userId = await createGuest(database);
    await register(sql, userId);
    await sql`update accounts.users set language = ${language} where id = ${userId}`;
    const eventId = await publish(sql, "video.completed", userId, { model_name: "A model" });
    assert.equal((await take(eventId)).facts?.language, language);
    await sql`
      select api.patch_user_profile(${userId}, '{"notification_preferences": {"video.failed": {"push": false}}}')`;
    const unwanted = await publish(sql, "video.failed", userId);
    const task = await take(unwanted);
    assert.deepEqual(task.facts?.devices, []);
    assert.equal(await finish(task, sent), "dropped");
    assert.equal((await pushOf(unwanted))?.reason, "its user does not want it");
  }
});

Deno.test("to closed and suspended accounts, and to devices that are another's by now, nothing is sent", async () => {
  const changes: Record<string, (userId: string) => Promise<unknown>> = {
    "the account is closed": (userId) => closeAccount(sql, userId),
    "the account is suspended": (userId) =>
      sql`update accounts.users set is_banned = true where id = ${userId}`,
    "no device is registered": async (userId) => {
      const [token] = await devicesOf(userId);
      await register(sql, await createGuest(database), token);
    },
  };
  for (const [reason, change] of Object.entries(changes)) {
    const userId = await createGuest(database);
    await register(sql, userId);
    const eventId = await publish(sql, "video.completed", userId);
    await change(userId);
    const task = await take(eventId);
    assert.deepEqual(task.facts?.devices, [], reason);
    assert.equal(await finish(task, sent), "dropped");
    assert.equal((await pushOf(eventId))?.reason, reason);
    assert.deepEqual(await claimTasks(sql, 1, task.subject), []);
  }
});

Deno.test("a guest's devices come with them, and are told what was on its way to the guest", async () => {
  const guest = await signedInGuest(database, 10);
  const heir = await createHeir(sql);
  const devices = [await register(sql, guest.id), await register(sql, heir)];
  const eventId = await publish(sql, "video.completed", guest.id);
  await mergeGuest(sql, heir, guest);
  assert.deepEqual(await devicesOf(heir), devices);
  const task = await take(eventId);
  assert.deepEqual(task.facts?.devices.map(({ token }) => token).sort(), devices);
  assert.equal(await finish(task, sent), "delivered");
});

Deno.test("however many guests come with ten devices each, no more than ten are sent to, those that were registered last", async () => {
  const heir = await createHeir(sql);
  await register(sql, heir);
  const newest: string[] = [];
  for (let round = 0; round < 2; round++) {
    const guest = await signedInGuest(database, 10);
    await advance(1_000);
    newest.splice(0);
    for (let device = 0; device < 10; device++) newest.push(await register(sql, guest.id));
    await mergeGuest(sql, heir, guest);
  }
  const task = await take(await publish(sql, "video.completed", heir));
  assert.deepEqual(task.facts?.devices.map(({ token }) => token).sort(), newest.sort());
});

Deno.test("a device that is gone is removed, unless it was registered anew since Apple saw it, or since it was sent to", async () => {
  const at = (minutes: number) => async () => {
    const { time } = await first(sql<{ time: string }[]>`
      select core.to_iso(core.now() + make_interval(mins => ${minutes})) as time`);
    return time;
  };
  const cases: [string, { goneAt?: () => Promise<string>; isAnew: boolean; isLeft: boolean }][] = [
    ["gone since after it was registered", { goneAt: at(1), isAnew: false, isLeft: false }],
    ["gone before it was registered", { goneAt: at(-1), isAnew: false, isLeft: true }],
    ["gone, and registered anew while it was sent to", { goneAt: at(1), isAnew: true, isLeft: true }],
    ["not known", { isAnew: false, isLeft: false }],
    ["not known, and registered anew while it was sent to", { isAnew: true, isLeft: true }],
  ];
  for (const [what, { goneAt, isAnew, isLeft }] of cases) {
    const userId = await createGuest(database);
    const token = await register(sql, userId);
    const gone_at = await goneAt?.();
    const eventId = await publish(sql, "video.completed", userId);
    const task = await take(eventId);
    if (isAnew) {
      await advance(5 * 60_000);
      await register(sql, userId, token);
    }
    const answer = { outcome: "gone" as const, ...(gone_at === undefined ? {} : { gone_at }) };
    assert.equal(await finish(task, () => answer), "dropped", what);
    assert.deepEqual(await devicesOf(userId), isLeft ? [token] : [], what);
    if (isAnew) continue;
    // What another registers meanwhile is not the same device's news.
    assert.equal(await finish(task, () => answer), null, "a second call");
  }
});

Deno.test("a device that Apple knows in the other environment is looked for there, unless it was registered anew", async () => {
  for (const isAnew of [false, true]) {
    const userId = await createGuest(database);
    const token = await register(sql, userId);
    const task = await take(await publish(sql, "video.completed", userId));
    if (isAnew) {
      await advance(1_000);
      await register(sql, userId, token);
    }
    assert.equal(await finish(task, () => ({ outcome: "sent", environment: "sandbox" })), "delivered");
    const { environment } = await first(sql<{ environment: string }[]>`
      select t.environment from notify.push_tokens as t where t.token = ${token}`);
    assert.equal(environment, isAnew ? "production" : "sandbox");
  }
});

Deno.test("what some devices have got is kept while another is tried again; all have it, or the operator is told", async () => {
  await setKind(sql, "deliver_push", { tries: 2, base: 10, lease: 15 });
  for (const ends of ["delivered", "dead"]) {
    const userId = await createGuest(database);
    const [done, late] = [await register(sql, userId), await register(sql, userId)];
    const eventId = await publish(sql, "video.completed", userId);
    const isLate = ({ token }: Device): Answer => ({ outcome: token === late ? "failed" : "sent" });
    const task = await take(eventId);
    assert.equal(await finish(task, isLate, "TooManyRequests"), null);
    await advance(10_000);
    const again = await take(eventId);
    const doneId = task.facts?.devices.find(({ token }) => token === done)?.apns_id;
    assert.deepEqual(again.payload, { sent: [doneId] });
    if (ends === "delivered") assert.equal(await finish(again, sent), "delivered");
    else assert.equal(await finish(again, isLate, "TooManyRequests"), "dead");
    const push = await pushOf(eventId);
    assert.deepEqual([push?.outcome, push?.reason], [ends, ends === "dead" ? "TooManyRequests" : null]);
    const alerts = await sql`
      select from ops.alerts as a
      where a.rule = 'delivery_dead' and a.subject = 'push' and a.details ->> 'delivery_id' = ${task.subject}`;
    assert.equal(alerts.length, ends === "dead" ? 1 : 0);
  }
  await setKind(sql, "deliver_push", { tries: 100, base: 5, lease: 15 });
});

Deno.test("a device that has it is not sent it again while the operator mends the key for another, however often that is tried", async () => {
  const userId = await createGuest(database);
  const [done, refused, gone] = [
    await register(sql, userId),
    await register(sql, userId),
    await register(sql, userId),
  ];
  const eventId = await publish(sql, "video.completed", userId);
  const answerTo = ({ token }: Device): Answer => ({
    outcome: token === refused ? "unauthorized" : token === gone ? "gone" : "sent",
  });
  const alert = { rule: "push_key_refused", subject: "APNS_KEY_ID", details: {} };
  const slow = await take(eventId);
  let task = slow;
  const doneId = task.facts?.devices.find(({ token }) => token === done)?.apns_id;
  for (let minute = 0; minute < 3; minute++) {
    assert.equal(await finish(task, answerTo, null, true), null, "it goes on");
    assert.equal((await pushOf(eventId))?.outcome, null);
    assert.deepEqual(await claimTasks(sql, 1, task.subject), [], "the attempt has its task still");
    const { state } = await first(sql`
      select api.retry_task(
        ${task.task_id}, ${task.attempt}, 'Apple answered BadEnvironmentKeyInToken', p_alert => ${
      sql.json(alert)
    }
      ) #>> '{data,state}' as state`);
    assert.equal(state, "waiting");
    await advance(60_000);
    const again = await take(eventId);
    assert.deepEqual(again.payload, { sent: [doneId] });
    assert.deepEqual(again.facts?.devices.map(({ token }) => token), [done, refused]);
    // As the worker does, which leaves out those that have it.
    const devices = again.facts?.devices.filter(({ token }) => token !== done) ?? [];
    task = { ...again, facts: again.facts && { ...again.facts, devices } };
  }
  await finish(slow, sent, null, true);
  const { payload } = await first(sql`
    select t.payload from queue.tasks as t where t.subject = ${task.subject}`);
  assert.deepEqual(payload, { sent: [doneId] }, "an attempt that has lost its task says nothing of it");
  assert.equal(await finish(task, sent), "delivered");
  assert.equal((await sql`select from queue.tasks as t where t.subject = ${task.subject}`).length, 0);
});

Deno.test("an attempt that has lost its task changes neither it nor what is known of the delivery, but that it was delivered", async () => {
  const userId = await createGuest(database);
  await register(sql, userId);
  for (const lost of [sent, (): Answer => ({ outcome: "refused" })]) {
    const eventId = await publish(sql, "video.completed", userId);
    const slow = await take(eventId);
    await advance(16_000);
    const quick = await take(eventId);
    await finish(slow, lost);
    assert.equal((await pushOf(eventId))?.outcome, lost === sent ? "delivered" : null);
    assert.equal(await finish(quick, sent), "delivered");
    assert.equal((await pushOf(eventId))?.outcome, "delivered");
    assert.equal((await sql`select from queue.tasks as t where t.subject = ${quick.subject}`).length, 0);
  }
});

Deno.test("a delivery whose event is gone ends, and a task that failed comes back", async () => {
  const userId = await createGuest(database);
  await register(sql, userId);
  const eventId = await publish(sql, "video.completed", userId);
  const task = await take(eventId);
  assert.equal(await retryTask(sql, { ...task, facts: null }), "waiting");
  await advance(900_000);
  const again = await take(eventId);
  await sql`delete from events.log where id = ${eventId}`;
  const { facts } = await first(sql<{ facts: Facts | null }[]>`
    select notify.push_facts(${again.subject}) as facts`);
  assert.equal(facts, null);
  assert.equal(await finish({ ...again, facts }, sent), null);
  assert.equal((await sql`select from queue.tasks as t where t.subject = ${again.subject}`).length, 0);
});

Deno.test("users who take each other's devices at the same time, eleven each, end with ten at most, and nobody waits for ever", async () => {
  await using crowd = manyConnections(database);
  for (let round = 0; round < 5; round++) {
    const users = [await createGuest(database), await createGuest(database)];
    const shared = Array.from({ length: 12 }, newToken);
    await Promise.all(users.flatMap((userId) => shared.map((token) => register(crowd, userId, token))));
    const counts = await Promise.all(users.map(async (userId) => (await devicesOf(userId)).length));
    assert(counts.every((count) => count <= 11), counts.join());
    for (const userId of users) {
      await register(sql, userId);
      assert((await devicesOf(userId)).length <= 10);
    }
  }
});
