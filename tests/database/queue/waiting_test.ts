/** How long tasks wait for a worker: what tells the operator that none comes by. */
import assert from "node:assert/strict";
import type { TestDatabase } from "../harness.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { claimTasks, type Task } from "../support/generation.ts";
import { first } from "../support/ledger.ts";
import { addTasks, renew, setKind } from "../support/tasks.ts";

const second = 1000;

/** In seconds, as the alert and `health` have it; the longest of all kinds, as the operator's view has them, is the same. */
async function oldestDue({ sql }: TestDatabase): Promise<number> {
  const { all, longest } = await first(sql<{ all: number; longest: number }[]>`
    select extract(epoch from queue.oldest_due())::float as all,
      (select max(q.oldest_due_seconds) from ops.queue_now as q) as longest`);
  assert.equal(longest, all);
  return all;
}

/** A receiver with more to tell than it takes, of whom two attempts are at work at most. */
async function slowReceiver(): Promise<TestDatabase> {
  const database = await stillDatabase();
  await setKind(database.sql, "deliver_webhook", {
    concurrency: 5,
    laneConcurrency: 2,
    base: 100,
    lease: 15,
  });
  await addTasks(database.sql, "deliver_webhook", 60, { lane: "slow" });
  return database;
}

/** How the attempts of a receiver end that makes us wait for it. */
const ends: Record<string, (database: TestDatabase, task: Task) => Promise<unknown>> = {
  stalled: ({ sql }, { task_id, attempt }) =>
    sql`select api.retry_task(${task_id}, ${attempt}, 'no answer in 10 s')`,
  slow: ({ sql }, { task_id, attempt }) => sql`select queue.finish(${task_id}, ${attempt})`,
};

for (const [name, end] of Object.entries(ends)) {
  Deno.test(`while a ${name} receiver is at its bound nothing waits for a worker, nor between two claims`, async () => {
    await using database = await slowReceiver();
    const { sql, advance } = database;
    for (let round = 0; round < 20; round++) {
      const tasks = await claimTasks(sql);
      assert.equal(tasks.length, 2);
      await advance(10 * second);
      assert.equal(await oldestDue(database), 0, "both are at work");
      for (const task of tasks) {
        await end(database, task);
        // Until the worker comes again, some seconds later: it was there, and could take no more.
        assert((await oldestDue(database)) <= 10);
      }
      await advance(5 * second);
      assert((await oldestDue(database)) <= 15);
    }
  });

  Deno.test(`behind a ${name} receiver a dead worker is seen, and so is a task of any other lane or kind`, async () => {
    await using database = await slowReceiver();
    const { sql, advance } = database;
    for (const task of await claimTasks(sql)) {
      await advance(5 * second);
      await end(database, task);
    }
    await claimTasks(sql);
    await addTasks(sql, "deliver_webhook", 1, { lane: "other" });
    await advance(14 * second);
    assert.equal(await oldestDue(database), 14, "the other lane has room");
    await sql`delete from queue.tasks where lane = 'other'`;
    assert.equal(await oldestDue(database), 0);
    await addTasks(sql, "poll", 1);
    // The leases end, and nobody comes.
    await advance(286 * second);
    assert.equal(await oldestDue(database), 300);
    await sql`delete from queue.tasks where kind = 'poll'`;
    assert.equal(await oldestDue(database), 300, "since the lane was seen full");
  });
}

Deno.test("while somebody sweeps a lane away a claim has what it claims, and notes the lane no more", async () => {
  await using database = await slowReceiver();
  const { sql } = database;
  for (const task of await claimTasks(sql)) await ends.slow?.(database, task);
  await database.advance(5 * second);
  const claimed = await sql.begin(async (sweeping) => {
    await sweeping`delete from queue.lanes`;
    return await claimTasks(sql);
  });
  assert.equal(claimed.length, 2);
  assert.deepEqual(await renew(sql, claimed), [true, true]);
  assert.deepEqual([...await sql`select from queue.lanes`], []);
});

Deno.test("what waits because its kind is at its bound waits for a worker: the operator may give it more", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await setKind(sql, "cancel", { concurrency: 2, timeout: 600 });
  await addTasks(sql, "cancel", 3);
  const tasks = await claimTasks(sql);
  assert.equal(tasks.length, 2);
  for (let minute = 0; minute < 2; minute++) {
    await advance(50 * second);
    assert.deepEqual(await renew(sql, tasks), [true, true]);
  }
  assert.equal(await oldestDue(database), 100);
});

Deno.test("lanes without a bound wait like any other task", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await setKind(sql, "poll", { concurrency: 3 });
  await addTasks(sql, "poll", 5, { lane: "a" });
  assert.equal((await claimTasks(sql)).length, 3);
  await advance(30 * second);
  assert.equal(await oldestDue(database), 30);
});
