/** Who changes webhooks, also where they had to wait for them. */
import assert from "node:assert/strict";
import { createAdmin } from "../support/admins.ts";
import { manyConnections, untilBlocked } from "../support/connections.ts";
import { claimTasks } from "../support/generation.ts";
import { first, type Sql } from "../support/ledger.ts";
import { sweepRule } from "../support/retention.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { addWebhook, attempt, endOf, finish, tell } from "../support/webhooks.ts";

const database = sharedDatabase();
const { sql } = database;

Deno.test("who is no admin any more when a webhook that they waited for is free changes nothing of it", async () => {
  const webhookId = await addWebhook(sql);
  const deliveryId = await tell(sql, webhookId);
  const calls: Record<string, (sql: Sql, admin: string) => Promise<{ error: string | null }[]>> = {
    change: (sql, admin) =>
      sql`select api.patch_admin_webhooks(
        ${admin}, 'request', ${webhookId}, 'a reason', p_sealed_secret => 'v1.bmV3') ->> 'error' as error`,
    remove: (sql, admin) =>
      sql`select api.delete_admin_webhooks(${admin}, 'request', ${webhookId}, 'a reason') ->> 'error' as error`,
    send: (sql, admin) =>
      sql`select api.post_admin_webhook_deliveries(${admin}, 'request', ${deliveryId}) ->> 'error' as error`,
  };
  for (const [name, call] of Object.entries(calls)) {
    const admin = await createAdmin(sql);
    await using others = manyConnections(database);
    let answer: Promise<{ error: string | null }[]> | undefined;
    await others.begin(async (holder) => {
      await holder`select from webhooks.webhooks as w where w.id = ${webhookId} for update`;
      answer = call(others, admin).then((rows) => rows);
      await untilBlocked(sql);
      await holder`update accounts.users set is_admin = false where id = ${admin}`;
    });
    assert.deepEqual((await answer)?.map(({ error }) => error), ["ERR_4006"], name);
  }
  const { secrets } = await first(sql`
    select count(*)::int as secrets from webhooks.secrets as s where s.webhook_id = ${webhookId}`);
  assert.equal(secrets, 1);
});

Deno.test("a delivery whose dead letter is replayed waits again, and one worker tells it", async () => {
  const admin = await createAdmin(sql);
  const deliveryId = await tell(sql, await addWebhook(sql));
  await sql`update queue.tasks set attempts = 9 where subject = ${deliveryId}`;
  assert.equal(await attempt(sql, deliveryId, { status: 500 }), "dead");
  const { replayed } = await first(sql`
    select api.post_admin_queue(${admin}, 'request', t.id, 'a test') -> 'data' as replayed
    from queue.tasks as t where t.subject = ${deliveryId}`);
  assert.equal(replayed.task.subject, deliveryId);
  assert.equal(await endOf(sql, deliveryId), null);
  const { is_open } = await first(sql`
    select events.is_open(d.event_id) as is_open from events.deliveries as d where d.id = ${deliveryId}`);
  assert(is_open);

  const [task] = await claimTasks(sql, 1, deliveryId);
  assert(task);
  const { sent } = await first(sql`
    select api.post_admin_webhook_deliveries(${admin}, 'request', ${deliveryId}) #>> '{data,status}' as sent`);
  assert.equal(sent, "pending");
  assert.deepEqual(await claimTasks(sql, 1, deliveryId), []);
  assert.equal(await finish(sql, task), "delivered");
});

Deno.test("who sends again what the sweep of events has by then is told that it is not there", async () => {
  const admin = await createAdmin(sql);
  const deliveryId = await tell(sql, await addWebhook(sql));
  assert.equal(await attempt(sql, deliveryId), "delivered");
  await sql`
    update events.log set expires_at = core.now() where id = (
      select d.event_id from events.deliveries as d where d.id = ${deliveryId})`;
  await using others = manyConnections(database);
  let answer: Promise<{ error: string | null }[]> | undefined;
  await others.begin(async (sweep) => {
    assert(await sweepRule(sweep, "events") >= 1);
    answer = others<{ error: string | null }[]>`
      select api.post_admin_webhook_deliveries(${admin}, 'request', ${deliveryId}) ->> 'error' as error`
      .then((rows) => [...rows]);
    await untilBlocked(sql);
  });
  assert.deepEqual((await answer)?.map(({ error }) => error), ["ERR_4007"]);
});

Deno.test("a dead letter is replayed and its delivery sent again at once, in either order", async () => {
  const admin = await createAdmin(sql);
  const webhookId = await addWebhook(sql);
  await using others = manyConnections(database);
  for (let turn = 0; turn < 20; turn++) {
    const deliveryId = await tell(sql, webhookId);
    await sql`update queue.tasks set attempts = 9 where subject = ${deliveryId}`;
    await attempt(sql, deliveryId, { status: 500 });
    await Promise.all([
      others`select api.post_admin_queue(${admin}, 'request', t.id, 'a test') from queue.tasks as t where t.subject = ${deliveryId}`,
      others`select api.post_admin_webhook_deliveries(${admin}, 'request', ${deliveryId})`,
    ]);
    assert.equal(await endOf(sql, deliveryId), null);
    const [task, another] = await claimTasks(sql, 2, deliveryId);
    assert(task && !another);
    await finish(sql, task);
  }
});
