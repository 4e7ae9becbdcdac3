/**
 * One dead server among twenty. Workers take turns as they do on the platform, and what they come to is counted and not
 * timed: in each turn a worker fills its ten places, a server that is well has answered by the next one, and one that is
 * stalled keeps its place for ten.
 */
import assert from "node:assert/strict";
import { runs } from "../../runs.ts";
import { publish } from "../support/events.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { claimTasks, type Task } from "../support/generation.ts";
import { first } from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { addWebhook, finish } from "../support/webhooks.ts";

const database = sharedDatabase(stillDatabase);
const { sql, advance } = database;
Deno.test.afterEach(async () => {
  await sql`delete from queue.tasks`;
  await sql`delete from events.subscriptions as s where s.channel = 'webhook'`;
  await sql`delete from webhooks.webhooks`;
});

/** To twenty servers each: 10,000 messages in the long tests. */
const events = runs(6, 500);
const placesOfWorker = 10;
/** A second each: an attempt that is stalled ends after 10 s. */
const turnsOfStalled = 10;

/** How many turns so many workers take until the nineteen that are well have all that they are to hear. */
async function turnsUntilTold(workers: number, isOneStalled: boolean): Promise<number> {
  const well = await Promise.all(Array.from({ length: 19 }, () => addWebhook(sql, ["video.started"])));
  const stalled = await addWebhook(sql, isOneStalled ? ["video.started"] : ["account.closed"]);
  for (let event = 0; event < events; event++) await publish(sql, "video.started", null);
  const inHand = Array.from({ length: workers }, (): { task: Task; until: number }[] => []);
  let told = 0;
  let turn = 0;
  for (; told < events * well.length; turn++) {
    assert(turn < 20 * events + 100, `${told} are told after ${turn} turns`);
    for (const places of inHand) {
      for (const task of await claimTasks(sql, placesOfWorker - places.length)) {
        const { lane } = await first(sql<{ lane: string }[]>`
          select t.lane from queue.tasks as t where t.id = ${task.task_id}`);
        places.push({ task, until: lane === stalled ? turn + turnsOfStalled : turn });
      }
    }
    for (const places of inHand) {
      for (const { task, until } of places.splice(0)) {
        if (until > turn) {
          places.push({ task, until });
          // As the worker does every 4 s.
          await sql`select api.renew_tasks(${[task.task_id]}, ${[task.attempt]})`;
        } else if (until === turn && await isOf(task, stalled)) {
          assert.equal(await finish(sql, task, { status: null }), "waiting");
        } else {
          assert.equal(await finish(sql, task), "delivered");
          told += 1;
        }
      }
    }
    await advance(1_000);
  }
  return turn;
}

async function isOf({ subject }: Task, webhookId: string): Promise<boolean> {
  const rows =
    await sql`select from events.deliveries as d where d.id = ${subject} and d.target = ${webhookId}`;
  return rows.length > 0;
}

Deno.test("nineteen servers hear as soon beside one that is dead as without it", async () => {
  // The tick wakes a worker every 5 s while something is due, and each takes tasks for 25 s.
  const without = await turnsUntilTold(5, false);
  await sql`delete from queue.tasks`;
  await sql`delete from events.subscriptions as s where s.channel = 'webhook'`;
  await sql`delete from webhooks.webhooks`;
  assert.equal(await turnsUntilTold(5, true), without);
});

Deno.test("a single worker loses the two places that the dead one keeps, and no more", async () => {
  const turns = await turnsUntilTold(1, true);
  const places = placesOfWorker - 2;
  assert(turns <= Math.ceil(19 * events / places) + turnsOfStalled, `${turns} turns`);
});
