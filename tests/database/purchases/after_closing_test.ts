/** What Apple tells about a purchase whose account is closed, or erased. */
import assert from "node:assert/strict";
import { claimErasure, closeAccount, eraseAccount, tablesWith, untilErasable } from "../support/accounts.ts";
import { typesOf } from "../support/events.ts";
import { balancesOf, violations } from "../support/ledger.ts";
import {
  type Buyer,
  createBuyer,
  notificationOf,
  notify,
  outcomeOf,
  present,
  refunded,
  sellPack,
  setFlag,
  signedAgain,
  stored,
  transactionOf,
} from "../support/purchases.ts";
import { runTask } from "../support/scheduled-tasks.ts";
import { AppleSubscription } from "../support/subscription-store.ts";
import { sellLevels } from "../support/subscriptions.ts";
import { type TestDatabase, testDatabase } from "../harness.ts";

const appAccount = "704000000000007f3a";

async function erase(database: TestDatabase, { userId }: Buyer): Promise<void> {
  await closeAccount(database.sql, userId);
  await database.advance(untilErasable);
  const task = await claimErasure(database.sql, userId);
  assert(task);
  assert.equal(await eraseAccount(database.sql, task), "erased");
}

Deno.test("a refund and its reversal find the purchase of a closed and erased account, and bring nobody anything", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellPack(sql);
  const buyer = await createBuyer(database);
  const bought = transactionOf({ app_account_token: buyer.token, app_transaction_id: appAccount });
  await present(sql, buyer.userId, bought);
  await erase(database, buyer);
  await notify(sql, notificationOf("REFUND", refunded(bought, 50, "2026-11-21T12:00:00.000Z")));
  assert.equal((await stored(sql, bought)).reversed, 50);
  assert.equal((await balancesOf(sql, buyer.userId)).owed, 50);
  assert.deepEqual(await typesOf(sql, buyer.userId), []);
  await notify(sql, notificationOf("REFUND_REVERSED", signedAgain(bought, "2026-11-22T12:00:00.000Z")));
  const { available, owed } = await balancesOf(sql, buyer.userId);
  assert.deepEqual([available, owed, (await stored(sql, bought)).reversed], [0, 0, 0]);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("what Apple tells after an erasure leaves no word about the person", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellPack(sql);
  const buyer = await createBuyer(database);
  const bought = transactionOf({ app_account_token: buyer.token, app_transaction_id: appAccount });
  await present(sql, buyer.userId, bought);
  await erase(database, buyer);
  assert.deepEqual(await tablesWith(database, appAccount), []);
  await notify(sql, notificationOf("REFUND", refunded(bought, 100, "2026-11-21T12:00:00.000Z")));
  // Also of one that nobody had heard of before, and that the tick handles.
  const late = transactionOf({ app_account_token: buyer.token, app_transaction_id: appAccount });
  const page = sql.json([{ ...notificationOf("ONE_TIME_CHARGE", late) }]);
  await sql`select api.record_notification_history('production', ${page})`;
  await runTask(sql, "handle_notifications");
  assert.equal((await stored(sql, late)).reason, "closed_account");
  assert.deepEqual(await tablesWith(database, appAccount), []);
  // That names the tombstone, and nobody.
  assert.deepEqual(await tablesWith(database, buyer.token), ["accounts.users", "purchases.transactions"]);
});

Deno.test("a renewal after an erasure leaves no word about the person, and whoever restores it is known by their own", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellLevels(sql);
  const buyer = await createBuyer(database);
  const startedAt = (await database.now()).getTime();
  const apple = new AppleSubscription({ token: buyer.token, app: appAccount, now: () => startedAt });
  await notify(sql, apple.subscribe("basic"));
  assert.deepEqual(await tablesWith(database, appAccount), [
    "purchases.notifications",
    "purchases.transactions",
  ]);
  await erase(database, buyer);
  await notify(sql, apple.renew());
  assert.deepEqual(
    { ...await stored(sql, apple.current) },
    { owner_id: buyer.userId, reason: "closed_account", credits: null, reversed: 0 },
  );
  assert.deepEqual(await tablesWith(database, appAccount), []);
  assert.deepEqual(await tablesWith(database, buyer.token), ["accounts.users"]);
  // Told again, and by somebody who has it from then on.
  await notify(sql, apple.cancel());
  assert.deepEqual(await tablesWith(database, appAccount), []);
  const other = await createBuyer(database);
  assert.equal(outcomeOf(await present(sql, other.userId, apple.current)), "credited");
  assert.deepEqual(await tablesWith(database, appAccount), ["purchases.transactions"]);
  assert.deepEqual(await tablesWith(database, buyer.token), ["accounts.users"]);
  await erase(database, other);
  assert.deepEqual(await tablesWith(database, appAccount), []);
});

Deno.test("a refund that waits while purchases are switched off is not forgotten by an erasure", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellPack(sql);
  const buyer = await createBuyer(database);
  const bought = transactionOf({ app_account_token: buyer.token, app_transaction_id: appAccount });
  await present(sql, buyer.userId, bought);
  await setFlag(sql, "purchases", false);
  await notify(sql, notificationOf("REFUND", refunded(bought, 100, "2026-11-21T12:00:00.000Z")));
  await erase(database, buyer);
  await setFlag(sql, "purchases", true);
  await runTask(sql, "handle_notifications");
  assert.equal((await stored(sql, bought)).reversed, 100);
  assert.deepEqual(await tablesWith(database, appAccount), []);
  assert.deepEqual(await tablesWith(database, buyer.token), ["accounts.users"]);
});

Deno.test("an account closes whatever is left in it, also more than one transfer holds", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellPack(sql, 1_000_000);
  const buyer = await createBuyer(database);
  for (let count = 0; count < 2; count++) {
    await present(sql, buyer.userId, transactionOf({ app_account_token: buyer.token, quantity: 1_000 }));
  }
  assert.equal((await balancesOf(sql, buyer.userId)).available, 2_000_000_000);
  await erase(database, buyer);
  assert.equal((await balancesOf(sql, buyer.userId)).available, 0);
  assert.deepEqual(await violations(sql), []);
});
