/** A webhook with a large backlog: it is silent at once, and what waited for it is dropped by and by, and never told. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { createAdmin } from "../support/admins.ts";
import { manyConnections, untilBlocked } from "../support/connections.ts";
import { publish } from "../support/events.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { claimTasks } from "../support/generation.ts";
import { first, type Sql } from "../support/ledger.ts";
import { runTask } from "../support/scheduled-tasks.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { addWebhook, attempt, endOf, finish, tell, webhookOf } from "../support/webhooks.ts";

const database = sharedDatabase(stillDatabase);
const { sql, advance } = database;
Deno.test.afterEach(async () => {
  await sql`delete from queue.tasks`;
  await sql`truncate events.log, events.deliveries`;
  await sql`delete from events.subscriptions as s where s.channel = 'webhook'`;
  await sql`delete from webhooks.webhooks`;
});

/** More than can be dropped within a call. */
const backlog = 30_000;
/** More than the tick drops at once. */
const ofTwoTicks = 12_000;
/** More than a call drops by itself. */
const few = 2_000;

/** A webhook for which so much waits, and nothing of it is due for an hour. */
async function addWebhookWith(open: number): Promise<string> {
  const webhookId = await addWebhook(sql, ["video.started"]);
  await sql.begin(async (sql) => {
    await sql`set local session_replication_role = replica`;
    await sql`
      with told as (
        insert into events.log (id, type, data, metadata, created_at, expires_at)
        select gen_random_uuid(), 'video.started', '{}', '{}', at, at + interval '7 days'
        from generate_series(1, ${open}::integer) as n, lateral (values (core.now() - n * interval '1 second')) as g (at)
        returning id, created_at
      ),
      waiting as (
        insert into events.deliveries (id, event_id, channel, target, created_at)
        select gen_random_uuid(), t.id, 'webhook', ${webhookId}, t.created_at from told as t
        returning id, created_at
      )
      insert into queue.tasks (kind, subject, lane, priority, place, run_at, created_at)
      select 'deliver_webhook', w.id, ${webhookId}, 5, 0, core.now() + interval '1 hour', w.created_at from waiting as w`;
  });
  return webhookId;
}

/** How the deliveries of a webhook have ended, and how many so; and how many tasks are left for it. */
async function stateOf(webhookId: string): Promise<{ deliveries: Record<string, number>; tasks: number }> {
  const ends = await sql<{ end: string; count: number }[]>`
    select concat_ws(': ', coalesce(d.outcome::text, 'open'), d.reason) as end, count(*)::int as count
    from events.deliveries as d where d.target = ${webhookId} group by 1`;
  const { tasks } = await first(sql<{ tasks: number }[]>`
    select count(*)::int as tasks from queue.tasks as t where t.lane = ${webhookId} and t.failed_at is null`);
  return { deliveries: Object.fromEntries(ends.map(({ end, count }) => [end, count])), tasks };
}

const dropped = "dropped: the webhook is disabled";

/** How many rows of events and tasks a call has read and written. */
async function rowsTouched(call: (sql: Sql) => Promise<unknown>): Promise<number> {
  const touched = async (sql: postgres.TransactionSql) => {
    const { rows } = await first(sql<{ rows: number }[]>`
      select sum(seq_tup_read + idx_tup_fetch + n_tup_ins + n_tup_upd + n_tup_del)::int as rows
      from pg_stat_xact_user_tables where schemaname in ('events', 'queue', 'webhooks')`);
    return rows;
  };
  return await sql.begin(async (sql) => {
    const before = await touched(sql);
    await call(sql);
    return await touched(sql) - before;
  });
}

type Change = (sql: Sql, webhookId: string) => Promise<string | null>;

async function errorOf(rows: PromiseLike<readonly { error: string | null }[]>): Promise<string | null> {
  return (await first(rows)).error;
}

const disable: Change = async (sql, webhookId) =>
  await errorOf(sql<{ error: string | null }[]>`
    select api.patch_admin_webhooks(
      ${await createAdmin(
    sql,
  )}, 'request', ${webhookId}, 'a reason', p_is_enabled => false) ->> 'error' as error`);

const remove: Change = async (sql, webhookId) =>
  await errorOf(sql<{ error: string | null }[]>`
    select api.delete_admin_webhooks(${await createAdmin(
    sql,
  )}, 'request', ${webhookId}, 'a reason') ->> 'error' as error`);

/** It answers 410. */
const answerGone: Change = async (sql, webhookId) => {
  const deliveryId = await tell(sql, webhookId);
  const outcome = await attempt(sql, deliveryId, { status: 410 });
  assert.equal(await endOf(sql, deliveryId), dropped, "it is dropped itself, though it came last");
  return outcome === "disabled" ? null : outcome;
};

/** What the operator is answered who enables it. */
async function enable(webhookId: string): Promise<unknown> {
  const { answer } = await first(sql<{ answer: { error?: string; details?: unknown } }[]>`
    select api.patch_admin_webhooks(
      ${await createAdmin(sql)}, 'request', ${webhookId}, 'a reason', p_is_enabled => true) as answer`);
  return answer.error === undefined ? "enabled" : { error: answer.error, details: answer.details };
}

Deno.test("to disable or delete a webhook touches a bounded number of rows, though 30,000 wait for it; and so when it disables itself", async (test) => {
  for (const [name, change] of Object.entries({ disable, remove, answerGone })) {
    await test.step(name, async () => {
      const small = await addWebhookWith(few);
      const large = await addWebhookWith(backlog);
      await sql`analyze events.log, events.deliveries, queue.tasks`;
      const costs: number[] = [];
      for (const webhookId of [small, large]) {
        costs.push(await rowsTouched(async (sql) => assert.equal(await change(sql, webhookId), null)));
      }
      console.log(`${name}: ${costs[0]} rows for ${few} that wait, ${costs[1]} for ${backlog}`);
      const [ofFew = NaN, ofBacklog = NaN] = costs;
      // What depends on the plan is less than that.
      assert(ofBacklog <= 2 * ofFew, `${ofBacklog} rows, and ${ofFew} with ${few} that wait`);
      await sql`truncate events.log, events.deliveries, queue.tasks`;
      await sql`delete from webhooks.webhooks`;
    });
  }
});

Deno.test("nothing more is sent from the moment its webhook is disabled or deleted, and the tick drops what waits", async (test) => {
  for (const [name, change] of Object.entries({ disable, remove, answerGone })) {
    await test.step(name, async () => {
      const webhookId = await addWebhookWith(few);
      const other = await tell(sql, await addWebhook(sql));
      assert.equal(await change(sql, webhookId), null);
      await publish(sql, "video.started", null);
      // Whatever is still there, a worker sends nothing of it.
      const [waits] = await sql<{ id: string }[]>`
        select d.id from events.deliveries as d where d.target = ${webhookId} and d.outcome is null limit 1`;
      assert(waits !== undefined);
      await sql`update queue.tasks set run_at = core.now() where subject = ${waits.id}`;
      const [task] = await claimTasks(sql, 1, waits.id);
      assert(task !== undefined);
      assert.equal(task.facts, null);
      assert.equal(await finish(sql, task, { isAsked: false }), "dropped");
      if (name === "remove") {
        const { webhooks } = await first(sql`
          select api.get_admin_webhooks(${await createAdmin(sql)}) #> '{data,webhooks}' as webhooks`);
        assert(!JSON.stringify(webhooks).includes(webhookId));
      }
      while (await runTask(sql, "drop_deliveries") > 0);
      const count = few + (name === "answerGone" ? 1 : 0);
      assert.deepEqual(await stateOf(webhookId), { deliveries: { [dropped]: count }, tasks: 0 });
      assert.equal(await endOf(sql, other), null, "what others are to be told waits as before");
      await sql`truncate events.log, events.deliveries`;
    });
  }
});

Deno.test("a webhook is enabled again once all that waited is dropped, and hears what happens from then on", async () => {
  const webhookId = await addWebhookWith(ofTwoTicks);
  assert.equal(await disable(sql, webhookId), null);
  assert.deepEqual(await enable(webhookId), { error: "ERR_4009", details: { status: "dropping" } });
  assert.equal((await webhookOf(sql, webhookId)).is_enabled, false);
  while (await runTask(sql, "drop_deliveries") > 0);
  assert.equal(await enable(webhookId), "enabled");
  await publish(sql, "video.started", null);
  await advance(3_700_000);
  assert.equal(await runTask(sql, "drop_deliveries"), 0);
  const state = await stateOf(webhookId);
  assert.deepEqual(state, { deliveries: { [dropped]: ofTwoTicks, open: 1 }, tasks: 1 });
  assert.equal((await claimTasks(sql, 100)).length, 1);
});

Deno.test("what was told to a webhook while it was being disabled is dropped by the tick, or by who enables it", async () => {
  for (const by of ["the tick", "who enables it"]) {
    const webhookId = await addWebhook(sql, ["video.started"]);
    await using others = manyConnections(database);
    await others.begin(async (publisher) => {
      await publish(publisher, "video.started", null);
      assert.equal(await disable(sql, webhookId), null);
    });
    assert.deepEqual(await stateOf(webhookId), { deliveries: { open: 1 }, tasks: 1 });
    if (by === "the tick") await runTask(sql, "drop_deliveries");
    assert.equal(await enable(webhookId), "enabled");
    assert.deepEqual(await stateOf(webhookId), { deliveries: { [dropped]: 1 }, tasks: 0 }, by);
    await sql`delete from events.log`;
    await sql`delete from webhooks.webhooks`;
  }
});

Deno.test("a tick that meets a webhook while it is enabled again drops nothing that it is told from then on", async () => {
  const webhookId = await addWebhook(sql);
  assert.equal(await disable(sql, webhookId), null);
  await using others = manyConnections(database);
  let tick: Promise<unknown> | undefined;
  let deliveryId = "";
  await others.begin(async (operator) => {
    await operator`select webhooks.change(${webhookId}, null, null, true)`;
    deliveryId = await tell(operator, webhookId);
    tick = others`select webhooks.drop_waiting(${webhookId})`.then(() => {});
    await untilBlocked(sql);
  });
  await tick;
  assert.equal(await endOf(sql, deliveryId), null);
  assert.equal(await attempt(sql, deliveryId), "delivered");
});
