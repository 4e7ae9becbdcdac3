import assert from "node:assert/strict";
import { testDatabase } from "../harness.ts";
import { claimTasks, type Task } from "../support/generation.ts";
import { add, first, type Sql } from "../support/ledger.ts";
import {
  createBuyer,
  makeVideo,
  notificationOf,
  notify,
  present,
  refunded,
  sellPack,
  transactionOf,
} from "../support/purchases.ts";

interface Loaded {
  state: string;
  body: {
    consumptionPercentage: number;
    deliveryStatus: string;
    refundPreference: string;
    sampleContentProvided: boolean;
  } | null;
}

/** Apple asks; gives the task that answers. */
async function ask(sql: Sql, transaction: ReturnType<typeof transactionOf>, signedAt: Date): Promise<Task> {
  const changes = { signed_at: signedAt.toISOString(), consumption_request_reason: "UNINTENDED_PURCHASE" };
  await notify(sql, notificationOf("CONSUMPTION_REQUEST", transaction, changes));
  const { id } = await first(sql<{ id: string }[]>`
    select t.id from purchases.transactions as t where t.transaction_id = ${transaction.transaction_id}`);
  const [task] = await claimTasks(sql, 1, id);
  assert(task?.kind === "answer_consumption");
  return task;
}

async function load(sql: Sql, { subject }: Task): Promise<Loaded> {
  const { data } = await first(sql<{ data: Loaded }[]>`
    select api.load_consumption(${subject}) -> 'data' as data`);
  return data;
}

Deno.test("what Apple is told is exactly what the ledger drew from the purchase for videos that were delivered", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellPack(sql);
  const cases: [
    used: readonly [price: number, end: "completed" | "failed"][],
    percentage: number,
    rest: string[],
  ][] = [
    [[], 0, ["DELIVERED", "GRANT_FULL"]],
    [[[7, "completed"]], 7_000, ["DELIVERED", "GRANT_PRORATED"]],
    [[[33, "completed"], [20, "failed"]], 33_000, ["DELIVERED", "GRANT_PRORATED"]],
    [[[20, "failed"]], 0, ["UNDELIVERED_SERVER_OUTAGE", "GRANT_FULL"]],
    [[[60, "completed"], [40, "completed"]], 100_000, ["DELIVERED", "DECLINE"]],
  ];
  for (const [used, percentage, [delivery, preference]] of cases) {
    const { userId } = await createBuyer(database);
    await sql`update accounts.users set shares_consumption = true where id = ${userId}`;
    const bought = transactionOf();
    await present(sql, userId, bought);
    for (const [price, end] of used) await makeVideo(sql, userId, price, end);
    const task = await ask(sql, bought, await database.now());
    const { state, body } = await load(sql, task);
    // Only so many are at work at once.
    await sql`select api.finish_consumption(${task.task_id}, ${task.attempt}, ${task.subject})`;
    assert.equal(state, "due");
    assert.deepEqual(body, {
      customerConsented: true,
      consumptionPercentage: percentage,
      deliveryStatus: delivery,
      refundPreference: preference,
      sampleContentProvided: false,
    });
  }
});

Deno.test("credits of other lots do not count, thirds are rounded down, and what expired first is spent first", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellPack(sql, 3);
  const { userId } = await createBuyer(database);
  await sql`update accounts.users set shares_consumption = true where id = ${userId}`;
  await sql`insert into devices.grants (user_id, granted_at) values (${userId}, core.now())`;
  await add(sql, userId, 5, { expiresInHours: 1 });
  const bought = transactionOf();
  await present(sql, userId, bought);
  await add(sql, userId, 100);
  await makeVideo(sql, userId, 6);
  const { body } = await load(sql, await ask(sql, bought, await database.now()));
  assert.deepEqual([body?.consumptionPercentage, body?.refundPreference, body?.sampleContentProvided], [
    33_333,
    "GRANT_PRORATED",
    true,
  ]);
});

Deno.test("what a refund gave back and a video then took of it counts as the purchase's", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellPack(sql);
  const { userId } = await createBuyer(database);
  await sql`update accounts.users set shares_consumption = true where id = ${userId}`;
  const bought = transactionOf();
  await present(sql, userId, bought);
  await makeVideo(sql, userId, 60);
  await notify(sql, notificationOf("REFUND", refunded(bought, 100, "2026-11-21T00:00:00.000Z")));
  // Another purchase pays what is owed, and the refund is undone: what was paid comes back as a lot of the first.
  await present(sql, userId, transactionOf());
  await notify(sql, notificationOf("REFUND_REVERSED", { ...bought, signed_at: "2026-11-22T00:00:00.000Z" }));
  await sql`update accounts.users set shares_consumption = true where id = ${userId}`;
  await makeVideo(sql, userId, 40);
  const { body } = await load(sql, await ask(sql, bought, await database.now()));
  assert.equal(body?.consumptionPercentage, 100_000);
});

Deno.test("without the user's consent, after 12 hours, and once it is answered, Apple is told nothing", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellPack(sql);
  const { userId } = await createBuyer(database);
  const bought = transactionOf();
  await present(sql, userId, bought);
  const askedAt = await database.now();
  const task = await ask(sql, bought, askedAt);
  assert.deepEqual(await load(sql, task).then(({ state, body }) => [state, body]), ["silent", null]);
  await sql`select api.patch_user_profile(${userId}, '{"shares_consumption": true}')`;
  assert.equal((await load(sql, task)).state, "due");
  await database.advance(11 * 3_600_000);
  assert.equal((await load(sql, task)).state, "due", "six hours of an API that is down leave time");
  await database.advance(3_600_000);
  assert.equal((await load(sql, task)).state, "late");

  const again = transactionOf();
  await present(sql, userId, again);
  const other = await ask(sql, again, await database.now());
  const finish = async () =>
    (await first(sql<{ finished: boolean }[]>`
      select (api.finish_consumption(${other.task_id}, ${other.attempt}, ${other.subject}, '{"told": 1}')
        #>> '{data,finished}')::boolean as finished`)).finished;
  assert.equal(await finish(), true);
  assert.equal(await finish(), false);
  assert.deepEqual(await load(sql, other).then(({ state, body }) => [state, body]), ["answered", null]);
  await sql`select api.delete_user_profile(${userId})`;
  assert.equal((await load(sql, task)).state, "silent", "a closed account shares nothing");
});
