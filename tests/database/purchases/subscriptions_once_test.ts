import assert from "node:assert/strict";
import fc from "fast-check";
import { propertyOptions } from "../../runs.ts";
import { testDatabase } from "../harness.ts";
import { manyConnections, times } from "../support/connections.ts";
import { freezeClock } from "../support/frozen-clock.ts";
import { typesOf } from "../support/events.ts";
import { balancesOf, first, type Sql, violations } from "../support/ledger.ts";
import { createBuyer, notify, outcomeOf, present, sellPack, setFlag } from "../support/purchases.ts";
import { runTask } from "../support/scheduled-tasks.ts";
import { AppleSubscription, day, periodDays } from "../support/subscription-store.ts";
import { sellLevels } from "../support/subscriptions.ts";

async function nowOf(sql: Sql): Promise<number> {
  const { now } = await first(sql<{ now: Date }[]>`select core.now() as now`);
  return now.getTime();
}

async function periodsCreditedTo(sql: Sql, userId: string): Promise<number> {
  const { count } = await first(sql<{ count: number }[]>`
    select count(*)::integer as count from credits.transfers as t where t.owner_id = ${userId} and t.kind = 'purchase'`);
  return count;
}

Deno.test("a period is credited once, whatever tells of it, all at once and in any mixture", async () => {
  await using database = await testDatabase();
  await using sql = manyConnections(database);
  await sellLevels(sql);
  for (const isNamed of [true, false]) {
    const { userId, token } = await createBuyer(database);
    const now = await nowOf(sql);
    const apple = new AppleSubscription({ token: isNamed ? token : null, now: () => now - day });
    const message = apple.subscribe("basic");
    const answers = await times(48, async (index) => {
      if (index % 3 === 0) return await notify(sql, { ...message, notification_id: crypto.randomUUID() });
      if (index % 3 === 1) return outcomeOf(await present(sql, userId, apple.current));
      await sql`select api.record_notification_history('production', ${
        sql.json([{ ...message, notification_id: crypto.randomUUID() }])
      })`;
      return "stored";
    });
    assert(answers.every((answer) => answer !== undefined));
    assert(answers.filter((answer) => answer === "credited").length <= 1);
    await runTask(sql, "handle_notifications");
    assert.equal(await periodsCreditedTo(sql, userId), 1);
    assert.equal((await balancesOf(sql, userId)).available, 100);
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("of two who restore one subscription at once, one has its periods to come, and each is told truly", async () => {
  await using database = await testDatabase();
  await using sql = manyConnections(database);
  await sellLevels(sql);
  for (let round = 0; round < 4; round++) {
    const [owner, one, two] = [
      await createBuyer(database),
      await createBuyer(database),
      await createBuyer(database),
    ];
    let now = await nowOf(sql) - day;
    const apple = new AppleSubscription({ token: owner.token, now: () => now });
    await notify(sql, apple.subscribe("basic"));
    // Those who restore for good are no guests: who of them is first keeps it.
    for (const { userId } of [one, two]) {
      await sql`update auth.users set is_anonymous = false where id = ${userId}`;
    }
    const outcomes = await times(16, async (index) => {
      return outcomeOf(await present(sql, (index % 2 === 0 ? one : two).userId, apple.current));
    });
    assert(outcomes.every((outcome) => outcome === "other_account"));
    now += day;
    await notify(sql, apple.upgrade("plus"));
    const credited = await Promise.all([one, two].map(({ userId }) => periodsCreditedTo(sql, userId)));
    assert.deepEqual(credited.sort(), [0, 1]);
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("however somebody goes from level to level, they keep what they paid for the time, and not a credit more", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const clock = await freezeClock(database);
  await sellLevels(sql);
  await fc.assert(
    fc.asyncProperty(
      // Seconds between two upgrades: also a loop of hundreds in a day, each of which would round up.
      fc.array(fc.integer({ min: 1, max: 200_000 }), { minLength: 1, maxLength: 12, size: "max" }),
      fc.integer({ min: 0, max: 100 }),
      async (pauses, spent) => {
        const { userId, token } = await createBuyer(database);
        let now = await nowOf(sql);
        const startedAt = now;
        const apple = new AppleSubscription({ token, now: () => now });
        await notify(sql, apple.subscribe("basic"));
        if (spent > 0) await sql`select credits.deduct(${userId}, ${spent}, ${crypto.randomUUID()})`;
        for (const [index, seconds] of pauses.entries()) {
          now += seconds * 1_000;
          await clock.advance(seconds * 1_000);
          await notify(sql, apple.upgrade(index % 2 === 0 ? "other" : "basic"));
        }
        const { available, owed } = await balancesOf(sql, userId);
        // The last period is whole; the time before it is worth so many, of 100 for a month.
        const used = 100 * (now - startedAt) / (periodDays * day);
        assert(
          available - owed <= 100 + used - spent,
          `${available} - ${owed} after ${used}, ${spent} spent`,
        );
        // And nobody loses more than a credit with each.
        assert(available - owed > 100 + used - spent - pauses.length - 1);
      },
    ),
    propertyOptions(5, 200),
  );
  assert.deepEqual(await violations(sql), []);
});

Deno.test("a trial pays once: not again by another subscription, nor by one that was told before", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellLevels(sql);
  const { userId, token } = await createBuyer(database);
  const now = await nowOf(sql);
  const balances = [];
  // The same customer with three Apple Accounts.
  for (let account = 0; account < 3; account++) {
    const apple = new AppleSubscription({ token, now: () => now });
    const message = apple.subscribe("basic", "trial");
    await present(sql, userId, apple.current);
    await notify(sql, message);
    balances.push((await balancesOf(sql, userId)).available);
  }
  assert.deepEqual(balances, [20, 20, 20]);
  const told = (await typesOf(sql, userId)).filter((type) => type.startsWith("purchase."));
  assert.deepEqual(
    told,
    ["purchase.credited"],
    "a trial that brought nothing was told as credits that have arrived",
  );
});

Deno.test("periods that wait for the operator are credited by themselves, once their product is there", async () => {
  await using database = await testDatabase();
  const { sql, advance } = database;
  const { userId, token } = await createBuyer(database);
  const now = await nowOf(sql);
  const apple = new AppleSubscription({ token, now: () => now });
  await notify(sql, apple.subscribe("basic"));
  assert.equal(outcomeOf(await present(sql, userId, apple.current)), "unknown_product");
  // One of that name that is no subscription is not it.
  await sellPack(sql, 5, "basic");
  await runTask(sql, "credit_purchases");
  assert.equal((await balancesOf(sql, userId)).available, 0);
  await sql`delete from purchases.products`;
  await sellLevels(sql);
  await setFlag(sql, "purchases", false);
  await advance(60_000);
  await runTask(sql, "credit_purchases");
  assert.equal((await balancesOf(sql, userId)).available, 0);
  await setFlag(sql, "purchases", true);
  await advance(60_000);
  await runTask(sql, "credit_purchases");
  assert.equal((await balancesOf(sql, userId)).available, 100);
  assert.equal(outcomeOf(await present(sql, userId, apple.current)), "already_credited");
});

Deno.test("in the sandbox a period counts in what it gives a day, and its upgrade leaves no debt", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellLevels(sql);
  await sql`update purchases.products set credits = 50 where product_id = 'other'`;
  const { userId, token } = await createBuyer(database);
  let now = await nowOf(sql);
  const apple = new AppleSubscription({ token, now: () => now });
  const inSandbox = <Message extends ReturnType<AppleSubscription["renew"]>>(message: Message): Message => ({
    ...message,
    environment: "sandbox",
    transaction: message.transaction && { ...message.transaction, environment: "sandbox" },
    renewal: message.renewal && { ...message.renewal, environment: "sandbox" },
  });
  await notify(sql, inSandbox(apple.subscribe("other")));
  await sql`select credits.deduct(${userId}, 50, 'spent')`;
  now += 1_000;
  await notify(sql, inSandbox(apple.upgrade("plus")));
  // 300 more than the 100 of a day: it waits.
  const { available, owed } = await balancesOf(sql, userId);
  assert.deepEqual([available, owed], [0, 0]);
  assert.deepEqual(await violations(sql), []);
});
