import assert from "node:assert/strict";
import { testDatabase } from "../harness.ts";
import { manyConnections, times } from "../support/connections.ts";
import { add, balancesOf, deduct, first, rolledBack, systemBalances, violations } from "../support/ledger.ts";
import {
  createBuyer,
  makeVideo,
  notificationOf,
  notify,
  outcomeOf,
  present,
  refunded,
  sellPack,
  signedAgain,
  stored,
  transactionOf,
} from "../support/purchases.ts";
import { runTask } from "../support/scheduled-tasks.ts";

const day = 86_400_000;
const small = "com.example.app.credits.30";
const inSandbox = { environment: "sandbox", product_id: small } as const;

Deno.test("what App Review buys is credited and pays for videos, with the settings of production", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellPack(sql, 30, small);
  const { userId, token } = await createBuyer(database);
  const bought = transactionOf({ ...inSandbox, app_account_token: token });
  assert.equal(outcomeOf(await present(sql, userId, bought)), "credited");
  await makeVideo(sql, userId, 4);
  assert.equal((await balancesOf(sql, userId)).available, 26);
  const sales = () => sql`select from ops.sales`;
  assert.equal((await sales()).length, 0, "nobody has paid");
  // The same number in production is another purchase.
  assert.equal(outcomeOf(await present(sql, userId, { ...bought, environment: "production" })), "credited");
  assert.equal((await sales()).length, 1);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("a user gets 100 of the sandbox in any day, exactly, whatever comes at once; the rest follows by itself", async () => {
  await using database = await testDatabase();
  await using sql = manyConnections(database);
  await sellPack(sql, 30, small);
  const { userId } = await createBuyer(database);
  const bought = Array.from({ length: 12 }, () => transactionOf(inSandbox));
  const answers = await times(12, (index) => present(sql, userId, bought[index] ?? transactionOf()));
  const outcomes = answers.map(outcomeOf);
  assert.deepEqual(outcomes.toSorted(), [
    ...Array.from({ length: 9 }, () => "ERR_4004"),
    ...Array.from({ length: 3 }, () => "credited"),
  ]);
  const refused = answers.find(({ error }) => error === "ERR_4004");
  assert.equal(refused?.details?.policy, "sandbox_credits");
  const wait = refused?.details?.retry_after ?? 0;
  assert(wait > 0 && wait <= 86_400, String(wait));
  assert.equal((await balancesOf(sql, userId)).available, 90);

  const alerts = await sql`select from ops.open_alerts as a where a.rule = 'purchase_sandbox_limit'`;
  assert.equal(alerts.length, 1, "App Review may be waiting");
  // A smaller one still fits, in the same window.
  await sellPack(sql, 10, "com.example.app.credits.10");
  const tenth = transactionOf({ environment: "sandbox", product_id: "com.example.app.credits.10" });
  assert.equal(outcomeOf(await present(sql, userId, tenth)), "credited");
  await runTask(sql, "credit_purchases");
  assert.equal((await balancesOf(sql, userId)).available, 100);
  for (let days = 1; days <= 3; days++) {
    await database.advance(day + 1_000);
    await runTask(sql, "credit_purchases");
    assert.equal((await balancesOf(sql, userId)).available, 100 + 90 * days);
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("all users together get 500 of the sandbox in any day, exactly, also by notifications", async () => {
  await using database = await testDatabase();
  await using sql = manyConnections(database);
  await sellPack(sql, 30, small);
  const buyers = await times(20, () => createBuyer(database));
  await times(20, async (index) => {
    const buyer = buyers[index];
    assert(buyer);
    const bought = transactionOf({ ...inSandbox, app_account_token: buyer.token });
    if (index % 2 === 0) await notify(sql, notificationOf("ONE_TIME_CHARGE", bought));
    else await present(sql, buyer.userId, bought);
  });
  const { given, waiting } = await first(sql<{ given: number; waiting: number }[]>`
    select sum(t.credits)::integer as given, count(*) filter (where t.reason = 'sandbox_limit')::integer as waiting
    from purchases.transactions as t`);
  assert.deepEqual([given, waiting], [480, 4]);
});

Deno.test("a limit of the sandbox that is broken gives nothing, and keeps what was bought", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellPack(sql, 30, small);
  const { userId } = await createBuyer(database);
  for (const policy of ["sandbox_credits", "sandbox_credits_global"]) {
    await rolledBack(sql, async (sql) => {
      await sql`delete from guard.policies where name = ${policy}`;
      const bought = transactionOf(inSandbox);
      assert.equal(outcomeOf(await present(sql, userId, bought)), "ERR_6001");
      assert.equal((await stored(sql, bought)).reason, "sandbox_limit");
    });
  }
});

Deno.test("credits of the sandbox pay no debt, and their refund leaves none", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellPack(sql, 30, small);
  const { userId, token } = await createBuyer(database);
  // A debt of money: 30 bought, spent, and refunded.
  const real = transactionOf({ product_id: small, app_account_token: token });
  await present(sql, userId, real);
  await deduct(sql, userId, 30);
  await notify(sql, notificationOf("REFUND", refunded(real, 100, "2026-11-21T12:00:00.000Z")));
  assert.deepEqual((({ available, owed }) => [available, owed])(await balancesOf(sql, userId)), [0, 30]);

  const test = transactionOf({ ...inSandbox, app_account_token: token });
  const { data } = await present(sql, userId, test);
  assert.equal(data?.credits_remaining, 30);
  assert.deepEqual((({ available, owed }) => [available, owed])(await balancesOf(sql, userId)), [30, 30]);
  // What comes back to its lot pays nothing either.
  await makeVideo(sql, userId, 4, "failed");
  assert.deepEqual((({ available, owed }) => [available, owed])(await balancesOf(sql, userId)), [30, 30]);
  await makeVideo(sql, userId, 4);
  const back = refunded(test, 100, "2026-11-22T12:00:00.000Z");
  await notify(sql, notificationOf("REFUND", back));
  await notify(sql, notificationOf("REFUND", { ...back, signed_at: "2026-11-22T12:00:01.000Z" }));
  assert.deepEqual((({ available, owed }) => [available, owed])(await balancesOf(sql, userId)), [0, 30]);
  // Undone, exactly what was taken is back.
  await notify(sql, notificationOf("REFUND_REVERSED", signedAgain(test, "2026-11-23T12:00:00.000Z")));
  assert.deepEqual((({ available, owed }) => [available, owed])(await balancesOf(sql, userId)), [26, 30]);
  // Real credits pay the debt, and a refund of real money does not reach those of the sandbox.
  await add(sql, userId, 10);
  assert.deepEqual((({ available, owed }) => [available, owed])(await balancesOf(sql, userId)), [26, 20]);
  // 30 were sold and refunded; those of the sandbox were never sold.
  assert.deepEqual(await systemBalances(sql, userId), { grants: 20, revenue: 4, sandbox: -30 });
  assert.deepEqual(await violations(sql), []);
});
