import assert from "node:assert/strict";
import { add, closeAccount, deduct, first, openAccount, reverse, violations } from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const database = sharedDatabase();
const { sql } = database;

/** The most that one transfer moves. */
const most = 1_000_000_000;

async function buy(user: string, amount: number): Promise<string> {
  return (await add(sql, user, amount, { kind: "purchase" })).transfer_id ?? "";
}

/** Buys so often, spends it, and has each refunded: the refunds. */
async function owe(user: string, amounts: number[]): Promise<(string | undefined)[]> {
  const bought = [];
  for (const amount of amounts) bought.push(await buy(user, amount));
  for (const amount of amounts) await deduct(sql, user, amount);
  const refunds = [];
  for (const transferId of bought) refunds.push((await reverse(sql, transferId)).transfer_id);
  return refunds;
}

/** More than an integer, so not as balancesOf has them. */
async function sums(user: string): Promise<{ available: number; owed: number; lots: number }> {
  return await first(sql<{ available: number; owed: number; lots: number }[]>`
    select a.balance::float8 as available, credits.owed(a.owner_id)::float8 as owed,
      (select sum(l.remaining)::float8 from credits.lots as l where l.account_id = a.id) as lots
    from credits.accounts as a where a.owner_id = ${user} and a.kind = 'available'`);
}

async function transfersOf(user: string): Promise<number> {
  const { count } = await first(sql<{ count: number }[]>`
    select count(*)::integer as count from credits.transfers as t where t.owner_id = ${user}`);
  return count;
}

Deno.test("however many payments paid a debt, what they were is put back in one transfer", async () => {
  for (const payments of [25, 200]) {
    let user = await openAccount(sql);
    const [refund] = await owe(user, [10_000]);
    for (let payment = 0; payment < payments; payment++) await add(sql, user, 3);
    // In an heir's account each lot has another behind it.
    const heir = await openAccount(sql);
    await sql`select credits.merge(${user}, ${heir})`;
    user = heir;
    await add(sql, user, 10_000);
    const before = await transfersOf(user);
    await reverse(sql, refund);
    // Put back, and the debt that is none any more.
    assert.equal(await transfersOf(user) - before, 2);
    assert.deepEqual(await sums(user), {
      available: 10_000 + 3 * payments,
      owed: 0,
      lots: 10_000 + 3 * payments,
    });
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("a debt that is larger than a transfer is paid, put back and forfeited in several", async () => {
  // The debt first, and the debt of a guest whose heir can pay it.
  for (const isGuest of [false, true]) {
    for (const amounts of [[most, most], [most, 7, most], [600_000_000, 600_000_000, 600_000_000]]) {
      const debt = amounts.reduce((sum, amount) => sum + amount, 0);
      let user = await openAccount(sql);
      const refunds = await owe(user, amounts);
      const payer = isGuest ? await openAccount(sql) : user;
      for (let bought = 0; bought < 3; bought++) await buy(payer, most);
      if (isGuest) await sql`select credits.merge(${user}, ${payer})`;
      user = payer;
      const left = 3 * most - debt;
      assert.deepEqual(await sums(user), { available: left, owed: 0, lots: left });
      for (const refund of refunds) await reverse(sql, refund);
      assert.deepEqual(await sums(user), { available: 3 * most, owed: 0, lots: 3 * most });
      await closeAccount(sql, user);
      assert.deepEqual(await sums(user), { available: 0, owed: 0, lots: 0 });
    }
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("what follows from other transfers has no reverse of its own", async () => {
  const user = await openAccount(sql);
  const [refund] = await owe(user, [10]);
  await buy(user, 10);
  await reverse(sql, refund);
  const period = (await add(sql, user, 5, { kind: "purchase", expiresInHours: 1 })).transfer_id ?? "";
  await database.advance(2 * 60 * 60 * 1000);
  await sql`select credits.reverse_to(${period}, 5)`;
  const derived = await sql<{ id: string }[]>`
    select t.id
    from credits.transfers as t
    join credits.accounts as f on f.id = t.from_account_id
    join credits.accounts as d on d.id = t.to_account_id
    where t.owner_id = ${user} and t.kind = 'reversal' and d.kind = 'available' and f.kind in ('owed', 'breakage')`;
  assert.equal(derived.length, 2);
  for (const { id } of derived) await assert.rejects(reverse(sql, id), /a reversal cannot be reversed/);
  assert.deepEqual(await violations(sql), []);
});
