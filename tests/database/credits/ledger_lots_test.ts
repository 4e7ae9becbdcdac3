import assert from "node:assert/strict";
import {
  add,
  balancesOf,
  capture,
  closeAccount,
  deduct,
  first,
  hold,
  openAccount,
  release,
  reverse,
  type Sql,
  systemBalances,
  violations,
} from "../support/ledger.ts";
import { acceptJob, settle } from "../support/jobs.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { runTask } from "../support/scheduled-tasks.ts";

const database = sharedDatabase();
const { sql, advance, now } = database;

const hour = 60 * 60 * 1000;

/** Asserts that the books are right. Some tests hold credits without a job, which is a violation that they mean. */
async function assertProved(sql: Sql): Promise<void> {
  assert.deepEqual((await violations(sql)).filter((found) => !found.startsWith("escrow_without_job ")), []);
}

/** What is left of each lot, in spending order. */
async function remaining(sql: Sql, userId: string): Promise<number[]> {
  return (await balancesOf(sql, userId)).lots.map((lot) => lot.remaining);
}

Deno.test("lots are spent by expiry, then age", async () => {
  const user = await openAccount(sql);
  // Named by the order in which they must go; added in another.
  await add(sql, user, 6);
  await add(sql, user, 7);
  await add(sql, user, 5, { expiresInHours: 48 });
  await add(sql, user, 3, { expiresInHours: 24 });
  await add(sql, user, 2, { expiresInHours: 12 });
  await add(sql, user, 1, { expiresInHours: 6 });
  assert.deepEqual(await remaining(sql, user), [1, 2, 3, 5, 6, 7]);

  const job = crypto.randomUUID();
  await hold(sql, user, 4, job);
  assert.deepEqual(await remaining(sql, user), [2, 5, 6, 7]);
  await deduct(sql, user, 8);
  assert.deepEqual(await remaining(sql, user), [5, 7]);
  await deduct(sql, user, 12);
  assert.deepEqual(await remaining(sql, user), []);
});

Deno.test("a release returns to its lots", async () => {
  const user = await openAccount(sql);
  await add(sql, user, 3, { expiresInHours: 24 });
  await add(sql, user, 5);
  const before = await balancesOf(sql, user);
  const job = crypto.randomUUID();
  await hold(sql, user, 4, job);
  assert.deepEqual(await remaining(sql, user), [4]);
  assert.deepEqual(await systemBalances(sql, user), { grants: -8, escrow: 4 });
  assert.equal((await release(sql, job)).amount, 4);
  assert.deepEqual(await balancesOf(sql, user), before);
  assert.deepEqual(await systemBalances(sql, user), { grants: -8 });
});

Deno.test("a capture makes revenue of all that was held", async () => {
  const user = await openAccount(sql);
  await add(sql, user, 5, { kind: "purchase" });
  const job = crypto.randomUUID();
  await hold(sql, user, 4, job);
  assert.equal((await capture(sql, job)).amount, 4);
  assert.deepEqual(await systemBalances(sql, user), { purchases: -5, revenue: 4 });
  assert.deepEqual(await release(sql, job), { error: "already_ended" });
  assert.deepEqual(await systemBalances(sql, user), { purchases: -5, revenue: 4 });
});

Deno.test("a hold without a job of its own is ended by nobody", async () => {
  await assert.rejects(capture(database.sql, crypto.randomUUID()), { code: "P0002" });
  await assert.rejects(release(database.sql, crypto.randomUUID()), { code: "P0002" });
  await assert.rejects(
    database.sql`select credits.end_hold(${crypto.randomUUID()}, 'refund')`,
    { code: "22023", message: /not by refund$/ },
  );
});

Deno.test("what is expired cannot be spent, whether or not the sweep was there", async () => {
  const user = await openAccount(sql);
  await add(sql, user, 5, { expiresInHours: 1 });
  await add(sql, user, 2);
  await advance(hour);
  assert.deepEqual(await hold(sql, user, 3, crypto.randomUUID()), {
    error: "insufficient_credits",
    current_credits: 2,
  });
  assert.equal((await hold(sql, user, 2, crypto.randomUUID())).credits_remaining, 0);
});

Deno.test("what expires is booked as breakage", async () => {
  const user = await openAccount(sql);
  await add(sql, user, 5, { expiresInHours: 1 });
  await add(sql, user, 7, { expiresInHours: 3 });
  await deduct(sql, user, 2);
  await advance(2 * hour);
  await runTask(sql, "expire_credits");
  assert.deepEqual(await remaining(sql, user), [7]);
  assert.deepEqual(await systemBalances(sql, user), { grants: -10, breakage: 3 });
  await advance(2 * hour);
  await runTask(sql, "expire_credits");
  assert.deepEqual(await systemBalances(sql, user), { grants: -10, breakage: 10 });
  await assertProved(sql);
});

Deno.test("a lot cannot expire before it is made", async () => {
  const user = await openAccount(database.sql);
  await assert.rejects(add(database.sql, user, 5, { expiresInHours: 0 }), { code: "22023" });
});

Deno.test("a lot that expired while held lives 24 hours more, and can do so again", async () => {
  const user = await openAccount(sql);
  await add(sql, user, 10, { expiresInHours: 1 });
  const [one, two] = [crypto.randomUUID(), crypto.randomUUID()];
  await hold(sql, user, 4, one);
  await hold(sql, user, 3, two);

  await advance(2 * hour);
  await release(sql, one);
  const revived = await balancesOf(sql, user);
  // The 3 that nobody held are gone.
  assert.deepEqual(revived.lots.map((lot) => lot.remaining), [4]);
  const expiresAt = revived.lots[0]?.expires_at?.getTime() ?? 0;
  assert.ok(Math.abs(expiresAt - (await now()).getTime() - 24 * hour) < hour / 60);

  await advance(23 * hour);
  assert.equal((await hold(sql, user, 1, crypto.randomUUID())).credits_remaining, 3);
  await advance(2 * hour);
  await release(sql, two);
  assert.deepEqual(await remaining(sql, user), [3]);
  await advance(25 * hour);
  await runTask(sql, "expire_credits");
  assert.deepEqual(await remaining(sql, user), []);
  assert.deepEqual(await systemBalances(sql, user), { grants: -10, breakage: 9, escrow: 1 });
});

Deno.test("a reversal takes what is left of its lot, then from other lots, and owes the rest", async () => {
  const user = await openAccount(sql);
  const purchase = await add(sql, user, 10, { kind: "purchase" });
  await add(sql, user, 3);
  // The purchase is older, so it is spent first.
  await deduct(sql, user, 4);
  assert.deepEqual(await remaining(sql, user), [6, 3]);
  await add(sql, user, 2, { expiresInHours: 1 });

  const reversal = await reverse(sql, purchase.transfer_id);
  assert.equal(reversal.credits_remaining, 1);
  assert.equal(reversal.credits_owed, 0);
  // Its own 6, then 2 and 2 in spending order.
  assert.deepEqual(await remaining(sql, user), [1]);

  const grant = await add(sql, user, 8);
  await deduct(sql, user, 7);
  const owing = await reverse(sql, grant.transfer_id);
  assert.equal(owing.credits_remaining, 0);
  assert.equal(owing.credits_owed, 6);
  assert.deepEqual(await balancesOf(sql, user), { available: 0, owed: 6, lots: [] });
  await assertProved(sql);
});

Deno.test("debt is paid first, by whatever adds credits, releases too", async () => {
  const user = await openAccount(sql);
  const purchase = await add(sql, user, 20, { kind: "purchase" });
  const [released, captured] = [
    await acceptJob(sql, user, { price: 5 }),
    await acceptJob(sql, user, { price: 15 }),
  ];
  assert.equal((await reverse(sql, purchase.transfer_id)).credits_owed, 20);

  await settle(sql, released, "failed");
  assert.deepEqual(await balancesOf(sql, user), { available: 0, owed: 15, lots: [] });
  assert.equal((await add(sql, user, 4, { kind: "refund" })).credits_remaining, 0);
  assert.equal((await add(sql, user, 2, { kind: "adjustment" })).credits_remaining, 0);
  assert.equal((await balancesOf(sql, user)).owed, 9);
  assert.deepEqual(await deduct(sql, user, 1), { error: "insufficient_credits", current_credits: 0 });
  assert.equal((await add(sql, user, 12)).credits_remaining, 3);
  assert.deepEqual((await balancesOf(sql, user)).owed, 0);
  await sql`update videos.jobs set status = 'processing' where id = ${captured}`;
  await settle(sql, captured, "completed");
  await assertProved(sql);
});

Deno.test("a reversal of a reversal gives back exactly what it took", async () => {
  const user = await openAccount(sql);
  const purchase = await add(sql, user, 10, { kind: "purchase" });
  await deduct(sql, user, 4);
  await add(sql, user, 3, { expiresInHours: 1 });
  const before = await balancesOf(sql, user);

  const reversal = await reverse(sql, purchase.transfer_id);
  assert.deepEqual(await balancesOf(sql, user), { available: 0, owed: 1, lots: [] });
  const undone = await reverse(sql, reversal.transfer_id);
  assert.deepEqual({ ...undone, transfer_id: undefined }, {
    transfer_id: undefined,
    credits_remaining: 9,
    credits_owed: 0,
  });
  assert.deepEqual(await balancesOf(sql, user), before);
  assert.deepEqual(await systemBalances(sql, user), { purchases: -10, grants: 1 });
  await assertProved(sql);
});

Deno.test("a reversed purchase, whose lot a release has filled again, comes back as what has paid for it", async () => {
  const user = await openAccount(sql);
  const purchase = await add(sql, user, 10, { kind: "purchase", expiresInHours: 100 });
  const job = await acceptJob(sql, user, { price: 10 });
  const reversal = await reverse(sql, purchase.transfer_id);
  await add(sql, user, 10);
  await settle(sql, job, "failed");
  assert.deepEqual(await remaining(sql, user), [10]);

  assert.equal((await reverse(sql, reversal.transfer_id)).credits_remaining, 20);
  const { lots } = await balancesOf(sql, user);
  assert.deepEqual(lots.map(({ expires_at, remaining }) => [expires_at !== null, remaining]), [
    [true, 10],
    [false, 10],
  ]);
  await assertProved(sql);
});

Deno.test("either transfer of a reversal leads to it, and it is undone once", async () => {
  const user = await openAccount(sql);
  const purchase = await add(sql, user, 10, { kind: "purchase" });
  await deduct(sql, user, 4);
  const reversal = await reverse(sql, purchase.transfer_id);
  const burned = { error: "already_reversed" };
  assert.deepEqual(await reverse(sql, purchase.transfer_id, "again"), burned);
  assert.deepEqual(await reverse(sql, purchase.transfer_id, "again"), burned);

  const { owed } = await first(sql<{ owed: string }[]>`
    select t.id as owed from credits.transfers as t
    join credits.accounts as a on a.id = t.from_account_id and a.kind = 'owed' and a.owner_id = ${user}`);
  const undone = await reverse(sql, owed);
  assert.equal(undone.credits_remaining, 6);
  for (const transferId of [reversal.transfer_id, owed, undone.transfer_id, purchase.transfer_id]) {
    assert.deepEqual(await reverse(sql, transferId), burned);
  }
  await assertProved(sql);
});

Deno.test("a closed account forfeits what it has, and what comes later after its debt", async () => {
  const user = await openAccount(sql);
  const purchase = await add(sql, user, 10, { kind: "purchase" });
  const job = await acceptJob(sql, user, { price: 6 });
  assert.deepEqual(await closeAccount(sql, user), { forfeited: 4 });
  assert.equal((await reverse(sql, purchase.transfer_id)).credits_owed, 10);

  await settle(sql, job, "cancelled");
  assert.equal((await balancesOf(sql, user)).owed, 4);
  assert.equal((await add(sql, user, 5)).credits_remaining, 0);
  assert.deepEqual(await balancesOf(sql, user), { available: 0, owed: 0, lots: [] });
  assert.deepEqual(await deduct(sql, user, 1), { error: "insufficient_credits", current_credits: 0 });
  assert.deepEqual(await systemBalances(sql, user), { grants: -5, forfeited: 5 });
  await assertProved(sql);
});

Deno.test("what lives longer has back all that expired of it, once, also what was taken back and given back meanwhile", async () => {
  const user = await openAccount(sql);
  const { transfer_id: purchase = "" } = await add(sql, user, 3, { kind: "purchase", expiresInHours: 1 });
  await advance(2 * hour);
  const { transfer_id: reversal = "" } = await reverse(sql, purchase, crypto.randomUUID());
  // It pays the debt that the reversal left, which the undoing gives back, for 24 hours.
  await add(sql, user, 3);
  await reverse(sql, reversal, crypto.randomUUID());
  await advance(25 * hour);
  for (let said = 0; said < 2; said++) {
    await sql`select credits.extend(${purchase}, core.now() + interval '1 hour')`;
    const { available, lots } = await balancesOf(sql, user);
    assert.deepEqual([available, lots.map((lot) => lot.remaining)], [6, [3, 3]]);
  }
  await assertProved(sql);
});
