import assert from "node:assert/strict";
import { testDatabase } from "../harness.ts";
import { claimErasure, closeAccount, eraseAccount, tablesWith, untilErasable } from "../support/accounts.ts";
import { balancesOf, first, violations } from "../support/ledger.ts";
import {
  createBuyer,
  notificationOf,
  notify,
  outcomeOf,
  present,
  refunded,
  sellPack,
  stored,
  transactionOf,
} from "../support/purchases.ts";

Deno.test("of an erased account the sale stays and the person goes; a refund still finds the ledger, and nobody else the purchase", async () => {
  await using database = await testDatabase();
  const { sql, advance } = database;
  await sellPack(sql);
  const owner = await createBuyer(database);
  const other = await createBuyer(database);
  const bought = transactionOf({ app_account_token: owner.token, app_transaction_id: "704000000000000042" });
  const unnamed = transactionOf();
  for (const each of [bought, unnamed]) {
    await present(sql, owner.userId, each);
    await notify(sql, notificationOf("ONE_TIME_CHARGE", each));
  }
  await closeAccount(sql, owner.userId);
  await advance(untilErasable);
  const erasure = await claimErasure(sql, owner.userId);
  assert(erasure);
  assert.equal(await eraseAccount(sql, erasure), "erased");

  assert.deepEqual(await tablesWith(database, "704000000000000042"), []);
  // The tombstone has it, so that a purchase that names it is known to be a closed account's.
  assert.deepEqual(await tablesWith(database, owner.token), ["accounts.users"]);
  const sales = await sql<{ sold: string; purchases: number }[]>`
    select s.sold::text, s.purchases::integer from ops.sales as s`;
  assert.deepEqual(sales.map(({ sold, purchases }) => [Number(sold), purchases]), [[19.98, 2]]);

  for (const each of [bought, unnamed]) {
    assert.equal(outcomeOf(await present(sql, other.userId, each)), "other_account");
  }
  await notify(sql, notificationOf("REFUND", refunded(bought, 100, "2026-11-25T12:00:00.000Z")));
  assert.equal((await stored(sql, bought)).reversed, 100);
  const { owed } = await balancesOf(sql, owner.userId);
  assert.equal(owed, 100, "what was forfeited with the account is not there to be taken");
  assert.deepEqual(await violations(sql), []);
  const { handled } = await first(sql<{ handled: boolean }[]>`
    select bool_and(n.handled_at is not null) as handled from purchases.notifications as n`);
  assert(handled);
});
