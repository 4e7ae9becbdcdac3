import assert from "node:assert/strict";
import fc from "fast-check";
import {
  add,
  type AddOptions,
  balancesOf,
  deduct,
  first,
  hold,
  openAccount,
  release,
  reverse,
  systemBalances,
  violations,
} from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { propertyOptions } from "../../runs.ts";

const database = sharedDatabase();
const { sql, advance, now } = database;

const hour = 60 * 60 * 1000;

/** Asserts that the books are right. Some tests hold credits without a job, which is a violation that they mean. */
async function assertProved(): Promise<void> {
  assert.deepEqual((await violations(sql)).filter((found) => !found.startsWith("escrow_without_job ")), []);
}

/** Something bought; the transfer's id. */
async function buy(user: string, amount: number, options: AddOptions = {}): Promise<string> {
  const { transfer_id = "" } = await add(sql, user, amount, { kind: "purchase", ...options });
  return transfer_id;
}

/** Something bought for ten hours, and spent. */
async function buySpent(
  user: string,
  amount: number,
  options: AddOptions = { expiresInHours: 10 },
): Promise<string> {
  const bought = await buy(user, amount, options);
  await deduct(sql, user, amount);
  return bought;
}

async function refund(transferId: string): Promise<string> {
  const { transfer_id = "" } = await reverse(sql, transferId);
  return transfer_id;
}

/** What a user has, in spending order: `[hours until it ends, credits]`. */
async function lotsOf(user: string): Promise<[number | null, number][]> {
  const at = (await now()).getTime();
  const { lots } = await balancesOf(sql, user);
  return lots.map((lot) => [
    lot.expires_at === null ? null : Math.round((lot.expires_at.getTime() - at) / hour),
    lot.remaining,
  ]);
}

Deno.test("what paid a debt comes back with the end that it had, when the refund is undone", async () => {
  for (const payer of [{}, { expiresInHours: 5 }, { expiresInHours: 1_000 }] as const) {
    const user = await openAccount(sql);
    const refunded = await refund(await buySpent(user, 10));
    await buy(user, 15, payer);
    const end = payer.expiresInHours ?? null;
    assert.deepEqual(await lotsOf(user), [[end, 5]]);

    const outcome = await reverse(sql, refunded);
    assert.deepEqual([outcome.credits_remaining, outcome.credits_owed], [15, 0]);
    assert.deepEqual(await lotsOf(user), [[end, 15]]);
    assert.deepEqual(await reverse(sql, refunded), { error: "already_reversed" });
    assert.deepEqual(await lotsOf(user), [[end, 15]]);
    assert.deepEqual(await systemBalances(sql, user), { purchases: -25, grants: 10 });
  }
  await assertProved();
});

Deno.test("of several that paid, each has back what it paid", async () => {
  const user = await openAccount(sql);
  const refunded = await refund(await buySpent(user, 10));
  await buy(user, 2, { expiresInHours: 100 });
  await add(sql, user, 3, { expiresInHours: 50 });
  await add(sql, user, 4, { kind: "refund" });
  await buy(user, 4);
  await reverse(sql, refunded);
  assert.deepEqual(await lotsOf(user), [[50, 3], [100, 2], [null, 4], [null, 4]]);
  await assertProved();
});

Deno.test("what a failed video paid a debt with comes back as what it held", async () => {
  const user = await openAccount(sql);
  await buy(user, 10);
  const job = crypto.randomUUID();
  await hold(sql, user, 10, job);
  const refunded = await refund(await buySpent(user, 8));
  await release(sql, job);
  assert.deepEqual(await lotsOf(user), [[null, 2]]);
  await reverse(sql, refunded);
  assert.deepEqual(await lotsOf(user), [[null, 10]]);
  await assertProved();
});

Deno.test("of several debts, what is undone brings back what would be spent last, and all of them all", async () => {
  for (const order of [[0, 1, 2], [2, 1, 0], [1, 0, 2], [2, 0, 1]]) {
    const user = await openAccount(sql);
    const spent = [await buySpent(user, 5), await buySpent(user, 5), await buySpent(user, 5)];
    const refunded: string[] = [];
    for (const [place, payer] of [{ expiresInHours: 20 }, {}, { expiresInHours: 40 }].entries()) {
      refunded.push(await refund(spent[place] ?? ""));
      await buy(user, 5, payer);
    }
    const back: [number | null, number][][] = [];
    for (const place of order) {
      await reverse(sql, refunded[place]);
      back.push(await lotsOf(user));
    }
    assert.deepEqual(back, [[[null, 5]], [[40, 5], [null, 5]], [[20, 5], [40, 5], [null, 5]]]);
  }
  await assertProved();
});

Deno.test("a debt that is not paid yet is forgiven, and a refund undone pays the others", async () => {
  const user = await openAccount(sql);
  const [one, other] = [await buySpent(user, 10), await buySpent(user, 10)];
  const refunded = [await refund(one), await refund(other)];
  await buy(user, 14);
  assert.equal((await reverse(sql, refunded[0])).credits_owed, 0);
  assert.deepEqual(await lotsOf(user), [[null, 4]]);
  await reverse(sql, refunded[1]);
  assert.deepEqual(await lotsOf(user), [[null, 14]]);
  await assertProved();
});

Deno.test("what a refund took of other lots is theirs again, also of those that were refunded meanwhile", async () => {
  // Whether the lot of the other is there before the refund, or comes after it and pays the debt.
  for (const isBefore of [true, false]) {
    const user = await openAccount(sql);
    const spent = await buySpent(user, 10);
    let refunded = isBefore ? "" : await refund(spent);
    const payer = await buy(user, 10, { expiresInHours: 30 });
    if (isBefore) refunded = await refund(spent);
    // Nobody has what the payer brought any more; its own refund takes what is for ever.
    await buy(user, 10);
    const payerRefunded = await refund(payer);
    assert.deepEqual(await balancesOf(sql, user), { available: 0, owed: 0, lots: [] });

    // What is refunded has nothing: what paid in its place comes back.
    await reverse(sql, refunded);
    assert.deepEqual(await lotsOf(user), [[null, 10]]);
    await reverse(sql, payerRefunded);
    assert.deepEqual(await lotsOf(user), [[30, 10], [null, 10]]);
  }
  await assertProved();
});

Deno.test("a payer that is refunded in part gives what is left of it, then what it paid, and has both back", async () => {
  const user = await openAccount(sql);
  const refunded = await refund(await buySpent(user, 6));
  const payer = await buy(user, 10, { expiresInHours: 30 });
  for (
    const [amount, lots, owed] of [[3, [[30, 1]], 0], [7, [], 3], [10, [], 6], [2, [[30, 2]], 0]] as const
  ) {
    await sql`select credits.reverse_to(${payer}, ${amount})`;
    assert.deepEqual([await lotsOf(user), (await balancesOf(sql, user)).owed], [lots, owed]);
  }
  await reverse(sql, refunded);
  assert.deepEqual(await lotsOf(user), [[30, 8]]);
  await sql`select credits.reverse_to(${payer}, 0)`;
  assert.deepEqual(await lotsOf(user), [[30, 10]]);
  await assertProved();
});

Deno.test("a refund that is undone in part gives back so much of what paid", async () => {
  const user = await openAccount(sql);
  const bought = await buySpent(user, 10);
  await sql`select credits.reverse_to(${bought}, 10)`;
  await buy(user, 4, { expiresInHours: 20 });
  await buy(user, 6);
  for (const [amount, lots] of [[6, [[null, 4]]], [4, [[null, 6]]], [0, [[20, 4], [null, 6]]]] as const) {
    await sql`select credits.reverse_to(${bought}, ${amount})`;
    assert.deepEqual(await lotsOf(user), lots);
  }
  await assertProved();
});

Deno.test("what paid and would be over by now lives for 24 hours more, and comes back after what still lives", async () => {
  const user = await openAccount(sql);
  const [one, other] = [await buySpent(user, 5), await buySpent(user, 5)];
  const refunded = [await refund(one), await refund(other)];
  await buy(user, 5, { expiresInHours: 20 });
  await buy(user, 5, { expiresInHours: 100 });
  await advance(30 * hour);
  await reverse(sql, refunded[0]);
  assert.deepEqual(await lotsOf(user), [[70, 5]]);
  await reverse(sql, refunded[1]);
  assert.deepEqual(await lotsOf(user), [[24, 5], [70, 5]]);
  await assertProved();
});

Deno.test("a grace that is told of what paid counts when it comes back", async () => {
  const user = await openAccount(sql);
  const refunded = await refund(await buySpent(user, 5));
  const payer = await buy(user, 5, { expiresInHours: 20 });
  const { until } = await first(sql<{ until: Date }[]>`select core.now() + interval '90 hours' as until`);
  await sql`select credits.extend(${payer}, ${until})`;
  await reverse(sql, refunded);
  assert.deepEqual(await lotsOf(user), [[90, 5]]);
  await assertProved();
});

Deno.test("what a guest paid comes back to whom they became, who may never have owed anything", async () => {
  const merge = (guest: string, heir: string) => sql`select credits.merge(${guest}, ${heir})`;
  const [guest, between, heir] = [await openAccount(sql), await openAccount(sql), await openAccount(sql)];
  const refunded = await refund(await buySpent(guest, 10));
  const payer = await buy(guest, 4, { expiresInHours: 50 });
  await buy(guest, 6);
  await merge(guest, between);
  await merge(between, heir);
  assert.deepEqual(await balancesOf(sql, heir), { available: 0, owed: 0, lots: [] });
  // What the payer paid is taken of it, wherever its account went.
  const payerRefunded = await refund(payer);
  assert.equal((await balancesOf(sql, heir)).owed, 4);
  await reverse(sql, payerRefunded);
  await reverse(sql, refunded);
  assert.deepEqual(await lotsOf(heir), [[50, 4], [null, 6]]);
  await sql`select credits.reverse_to(${payer}, 4)`;
  assert.deepEqual(await lotsOf(heir), [[null, 6]]);
  await assertProved();
});

Deno.test("a payer that is refunded after it came back gives its own, and nothing of it counts as spent", async () => {
  const user = await openAccount(sql);
  const refunded = await refund(await buySpent(user, 10));
  const payer = await buy(user, 10, { expiresInHours: 50 });
  await buy(user, 10);
  await reverse(sql, refunded);
  const unspent = async () =>
    (await first(sql<{ unspent: number }[]>`select purchases.unspent_of(${payer})::integer as unspent`))
      .unspent;
  assert.equal(await unspent(), 10);
  await sql`select credits.reverse_to(${payer}, 10)`;
  assert.deepEqual(await lotsOf(user), [[null, 10]]);
  assert.equal(await unspent(), 10);
  await assertProved();
});

Deno.test("a video that fails after the refund of what it held costs no other credits, as one that fails before it", async () => {
  for (const held of [{ expiresInHours: 10 }, { expiresInHours: 100 }, {}]) {
    for (const payer of [{}, { expiresInHours: 50 }]) {
      for (const share of [4, 10]) {
        for (const mergesWhen of ["never", "before", "between"]) {
          const ends = [];
          for (const failsFirst of [true, false]) {
            let user = await openAccount(sql);
            const become = async (when: string) => {
              if (when !== mergesWhen) return;
              const heir = await openAccount(sql);
              await sql`select credits.merge(${user}, ${heir})`;
              user = heir;
            };
            const bought = await buy(user, 10, held);
            const job = crypto.randomUUID();
            await hold(sql, user, 10, job);
            await buy(user, 10, payer);
            await become("before");
            if (failsFirst) await release(sql, job);
            await sql`select credits.reverse_to(${bought}, ${share})`;
            await become("between");
            if (!failsFirst) await release(sql, job);
            const after = await lotsOf(user);
            assert.equal((await balancesOf(sql, user)).owed, 0);
            await sql`select credits.reverse_to(${bought}, 0)`;
            ends.push([after, await lotsOf(user)]);
          }
          assert.deepEqual(ends[1], ends[0]);
        }
      }
    }
  }
  await assertProved();
});

/** Things that were bought: so many are spent at first, and each may be refunded, at last before the one with that number. */
const life = fc.record({
  spent: fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 3 }),
  bought: fc.array(
    fc.record({
      amount: fc.integer({ min: 1, max: 9 }),
      expiresInHours: fc.option(fc.integer({ min: 20, max: 22 })),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  refunds: fc.array(fc.record({ which: fc.nat({ max: 6 }), after: fc.nat({ max: 4 }) }), { maxLength: 7 }),
  undone: fc.array(fc.nat({ max: 6 }), { minLength: 7, maxLength: 7 }),
  mergeAfter: fc.nat({ max: 6 }),
});

Deno.test("whoever has all refunds undone has what they would have had without any, in whatever order", async () => {
  await fc.assert(
    fc.asyncProperty(life, async ({ spent, bought, refunds, undone, mergeAfter }) => {
      let user = await openAccount(sql);
      const known: string[] = [];
      const refunded = new Map<number, string>();
      const refundAfter = async (place: number) => {
        for (const { which, after } of refunds) {
          const transferId = known[which % Math.max(1, known.length)];
          if (after !== place || transferId === undefined || refunded.has(known.indexOf(transferId))) {
            continue;
          }
          refunded.set(known.indexOf(transferId), await refund(transferId));
        }
        if (mergeAfter !== place) return;
        const heir = await openAccount(sql);
        await sql`select credits.merge(${user}, ${heir})`;
        user = heir;
      };
      for (const amount of spent) known.push(await buySpent(user, amount, {}));
      await refundAfter(0);
      for (const [place, { amount, expiresInHours }] of bought.entries()) {
        known.push(await buy(user, amount, expiresInHours === null ? {} : { expiresInHours }));
        await refundAfter(place + 1);
      }
      const inOrder = [...refunded.keys()].sort((one, other) => (undone[one] ?? 0) - (undone[other] ?? 0));
      for (const which of inOrder) await reverse(sql, refunded.get(which));

      const never = Number.MAX_SAFE_INTEGER;
      const expected = bought.map((each): [number | null, number] => [each.expiresInHours, each.amount])
        .sort(([one], [other]) => (one ?? never) - (other ?? never));
      assert.deepEqual(await lotsOf(user), expected);
      assert.equal((await balancesOf(sql, user)).owed, 0);
    }),
    propertyOptions(15, 1_000),
  );
  await assertProved();
});
