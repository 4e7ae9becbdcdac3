import assert from "node:assert/strict";
import { testDatabase } from "../harness.ts";
import {
  add,
  balancesOf,
  closeAccount,
  deduct,
  first,
  openAccount,
  type Sql,
  systemBalances,
  violations,
} from "../support/ledger.ts";

async function reverseTo(sql: Sql, transferId: string | undefined, amount: number): Promise<void> {
  await sql`select credits.reverse_to(${transferId ?? null}, ${amount})`;
}

async function net(sql: Sql, userId: string): Promise<number> {
  const { available, owed } = await balancesOf(sql, userId);
  assert(available === 0 || owed === 0);
  return available - owed;
}

Deno.test("whatever was taken back before, so much is taken back now, however often it is said", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const sequences = [
    [50, 100],
    [50, 0, 50],
    [100, 0, 100, 0],
    [30, 60, 90, 60, 30, 0],
    [90, 10, 90, 10, 45],
    [1, 100, 99, 100],
  ];
  for (const spent of [0, 40, 100]) {
    for (const amounts of sequences) {
      const userId = await openAccount(sql);
      const { transfer_id } = await add(sql, userId, 100, { kind: "purchase" });
      if (spent > 0) await deduct(sql, userId, spent);
      for (const amount of amounts) {
        for (let said = 0; said < 2; said++) {
          await reverseTo(sql, transfer_id, amount);
          assert.equal(await net(sql, userId), 100 - spent - amount, `${spent} spent, ${amounts}: ${amount}`);
        }
        const { purchases = 0 } = await systemBalances(sql, userId);
        assert.equal(purchases, amount - 100);
      }
    }
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("what is given back stands where it was taken from, and the purchase's own lot gives first", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const userId = await openAccount(sql);
  await add(sql, userId, 5, { expiresInHours: 10 });
  const { transfer_id } = await add(sql, userId, 10, { kind: "purchase" });
  await add(sql, userId, 7);
  const lots = async () => (await balancesOf(sql, userId)).lots.map(({ remaining }) => remaining);
  await reverseTo(sql, transfer_id, 4);
  assert.deepEqual(await lots(), [5, 6, 7]);
  await reverseTo(sql, transfer_id, 10);
  assert.deepEqual(await lots(), [5, 7]);
  await reverseTo(sql, transfer_id, 4);
  assert.deepEqual(await lots(), [5, 6, 7]);
  // Of a reversal that was too much, all is given back and the rest is taken anew.
  await reverseTo(sql, transfer_id, 1);
  assert.deepEqual(await lots(), [5, 9, 7]);
  await deduct(sql, userId, 12);
  await reverseTo(sql, transfer_id, 10);
  assert.deepEqual(await lots(), [], "what its own lot has no more, the others give");
});

Deno.test("a refund of an account that was closed is owed, and given back it is forfeited", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const userId = await openAccount(sql);
  const { transfer_id } = await add(sql, userId, 10, { kind: "purchase" });
  await closeAccount(sql, userId);
  await reverseTo(sql, transfer_id, 10);
  assert.equal(await net(sql, userId), -10);
  await reverseTo(sql, transfer_id, 0);
  assert.equal(await net(sql, userId), 0);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("only a purchase is taken back so, and no more than it brought", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const userId = await openAccount(sql);
  const bought = await add(sql, userId, 10, { kind: "purchase" });
  const granted = await add(sql, userId, 10);
  for (
    const [transferId, amount] of [[granted.transfer_id, 1], [bought.transfer_id, 11], [
      bought.transfer_id,
      -1,
    ]] as const
  ) {
    await assert.rejects(reverseTo(sql, transferId, amount), { code: "22023" });
  }
  const { count } = await first(sql<{ count: number }[]>`
    select count(*)::integer as count from credits.transfers as t where t.kind = 'reversal'`);
  assert.equal(count, 0);
});
