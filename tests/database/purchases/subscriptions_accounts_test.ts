import assert from "node:assert/strict";
import { testDatabase } from "../harness.ts";
import { claimErasure, closeAccount, eraseAccount, untilErasable } from "../support/accounts.ts";
import { balancesOf, first, type Sql, violations } from "../support/ledger.ts";
import { createHeir, mergeGuest, signedInGuest } from "../support/merging.ts";
import { makeVideo, notify, outcomeOf, present } from "../support/purchases.ts";
import { AppleSubscription, day } from "../support/subscription-store.ts";
import { sellLevels } from "../support/subscriptions.ts";

async function tokenOf(sql: Sql, userId: string): Promise<string> {
  const { token } = await first(sql<{ token: string }[]>`
    select u.app_account_token as token from accounts.users as u where u.id = ${userId}`);
  return token;
}

async function subscriptionOf(sql: Sql, userId: string): Promise<string | undefined> {
  const { status } = await first(sql<{ status: string }[]>`
    select purchases.subscription_of(${userId}) ->> 'status' as status`);
  return status;
}

Deno.test("a guest's subscription is their heir's: the periods to come, and what is taken back of those before", async () => {
  await using database = await testDatabase();
  const { sql, advance } = database;
  await sellLevels(sql);
  const guest = await signedInGuest(database, 0);
  const { now: startedAt } = await first(sql<{ now: Date }[]>`select core.now() as now`);
  let now = startedAt.getTime();
  const apple = new AppleSubscription({ token: await tokenOf(sql, guest.id), now: () => now });
  await notify(sql, apple.subscribe("basic"));
  const heir = await createHeir(sql);
  assert.equal((await mergeGuest(sql, heir, guest)).error, undefined);
  assert.equal(await subscriptionOf(sql, heir), "active");
  assert.equal((await balancesOf(sql, heir)).available, 100);
  // It goes on naming the guest, and whoever presents it, it is the heir's.
  now += 15 * day;
  await advance(15 * day);
  await notify(sql, apple.upgrade("plus"));
  assert.equal((await balancesOf(sql, heir)).available, 350);
  assert.equal(outcomeOf(await present(sql, heir, apple.current)), "already_credited");
  const other = await signedInGuest(database, 0);
  assert.equal(outcomeOf(await present(sql, other.id, apple.current)), "other_account");
  assert.equal(await subscriptionOf(sql, other.id), null, "an heir has an identity: nothing moves");
  // The rest of the guest's period expires with the heir, and comes back for grace and for a refund.
  now += 31 * day;
  await advance(31 * day);
  await notify(sql, apple.fail(16));
  const [lot] = (await balancesOf(sql, heir)).lots;
  assert.equal(lot?.expires_at?.getTime(), startedAt.getTime() + 61 * day);
  await notify(sql, apple.refund(100, 1));
  assert.deepEqual([(await balancesOf(sql, heir)).available, (await balancesOf(sql, heir)).owed], [0, 0]);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("what had expired before a merge comes back to the heir, where Apple's grace is told late", async () => {
  await using database = await testDatabase();
  const { sql, advance } = database;
  await sellLevels(sql);
  const guest = await signedInGuest(database, 0);
  const { now: startedAt } = await first(sql<{ now: Date }[]>`select core.now() as now`);
  let now = startedAt.getTime();
  const apple = new AppleSubscription({ token: await tokenOf(sql, guest.id), now: () => now });
  await notify(sql, apple.subscribe("basic"));
  now += 34 * day;
  await advance(34 * day);
  await sql`select credits.lock_account(${guest.id})`;
  assert.equal((await balancesOf(sql, guest.id)).available, 0);
  const heir = await createHeir(sql);
  assert.equal((await mergeGuest(sql, heir, guest)).error, undefined);
  const failed = apple.fail(16);
  await notify(sql, failed);
  assert.equal((await balancesOf(sql, heir)).available, 100);
  await notify(sql, { ...failed, notification_id: crypto.randomUUID() });
  assert.equal((await balancesOf(sql, heir)).available, 100, "once");
  await notify(sql, apple.refund(100));
  assert.deepEqual([(await balancesOf(sql, heir)).available, (await balancesOf(sql, heir)).owed], [0, 0]);
  assert.deepEqual(await violations(sql), []);
});

for (const leaves of ["abandons", "closes"] as const) {
  for (const upgrades of [1, 2]) {
    const name =
      `a loop of upgrades earns nothing for whoever ${leaves} each account, after ${upgrades} in it`;
    Deno.test(name, async () => {
      await using database = await testDatabase();
      const { sql } = database;
      await sellLevels(sql);
      let owner = await signedInGuest(database, 0);
      let now = (await database.now()).getTime() - 10 * day;
      const apple = new AppleSubscription({ token: await tokenOf(sql, owner.id), now: () => now });
      await notify(sql, apple.subscribe("basic"));
      const owners = [owner.id];
      let spent = 0;
      for (let round = 0; round < 4; round++) {
        const { available } = await balancesOf(sql, owner.id);
        spent += available;
        if (available > 0) await makeVideo(sql, owner.id, available);
        if (leaves === "closes") await closeAccount(sql, owner.id);
        owner = await signedInGuest(database, 0);
        owners.push(owner.id);
        await present(sql, owner.id, apple.current);
        for (let upgrade = 0; upgrade < upgrades; upgrade++) {
          now += 60_000;
          await notify(sql, apple.upgrade((round * upgrades + upgrade) % 2 === 0 ? "other" : "basic"));
        }
      }
      const { available } = await balancesOf(sql, owner.id);
      // One price was paid, but for some minutes.
      assert(spent + available <= 100, `${spent} + ${available}`);
      assert.deepEqual(await violations(sql), []);
    });
  }
}

Deno.test("erasing leaves of a subscription what names nobody, and its renewals still find the closed account", async () => {
  await using database = await testDatabase();
  const { sql, advance } = database;
  await sellLevels(sql);
  const { id: userId } = await signedInGuest(database, 0);
  const token = await tokenOf(sql, userId);
  const { now: startedAt } = await first(sql<{ now: Date }[]>`select core.now() as now`);
  const apple = new AppleSubscription({ token, now: () => startedAt.getTime() });
  await notify(sql, apple.subscribe("basic"));
  await closeAccount(sql, userId);
  await advance(untilErasable);
  const task = await claimErasure(sql, userId);
  assert(task);
  assert.equal(await eraseAccount(sql, task), "erased");
  const [row] = await sql`select s.owner_id from purchases.subscriptions as s`;
  assert.equal(row?.owner_id, userId, "the tombstone's id");
  const kept = await sql<{ text: string }[]>`select t::text as text from purchases.transactions as t`;
  assert(kept.every(({ text }) => !text.includes(token)));
  await notify(sql, apple.renew());
  const reasons = await sql<{ reason: string | null }[]>`
    select t.reason from purchases.transactions as t order by t.purchased_at`;
  assert.deepEqual(reasons.map(({ reason }) => reason), [null, "closed_account"]);
  // Its customer is somebody new, and restores it: what was not credited to anybody is theirs.
  const other = await signedInGuest(database, 0);
  await present(sql, other.id, apple.current);
  assert.equal((await balancesOf(sql, other.id)).available, 100);
  assert.deepEqual(await violations(sql), []);
});
