/** A merge against what Apple tells at the same moment: nobody waits in a circle, and nobody escapes. */
import assert from "node:assert/strict";
import { testDatabase } from "../harness.ts";
import { untilBlocked } from "../support/connections.ts";
import { balancesOf, first, type Sql, violations } from "../support/ledger.ts";
import { createHeir, mergeGuest, signedInGuest } from "../support/merging.ts";
import { notificationOf, notify, outcomeOf, present, sellPack, transactionOf } from "../support/purchases.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { AppleSubscription, day } from "../support/subscription-store.ts";
import { sellLevels } from "../support/subscriptions.ts";

const database = sharedDatabase(async () => {
  const opened = await testDatabase();
  await sellLevels(opened.sql);
  await sellPack(opened.sql);
  return opened;
});
const { sql } = database;

async function subscriptionOwner(
  { original_transaction_id }: { original_transaction_id: string },
): Promise<string | null> {
  const { owner_id } = await first(sql<{ owner_id: string | null }[]>`
    select s.owner_id from purchases.subscriptions as s where s.original_transaction_id = ${original_transaction_id}`);
  return owner_id;
}

/** Has two calls wait for an account, one behind the other, and gives what both come to once it is free. */
async function oneBehindTheOther<One, Other>(
  userId: string,
  one: () => Promise<One>,
  other: () => Promise<Other>,
): Promise<[One, Other]> {
  const calls = await sql.begin(async (holder) => {
    await holder`select credits.lock_account(${userId})`;
    const first = one();
    first.catch(() => {});
    await untilBlocked(sql);
    const second = other();
    second.catch(() => {});
    await untilBlocked(sql, 2);
    return { first, second };
  });
  return await Promise.all([calls.first, calls.second]);
}

/** A subscription that a guest bought so many days ago, and Apple has told of. */
async function subscribed(token: string, daysAgo = 15) {
  const clock = { now: (await database.now()).getTime() - daysAgo * day };
  const apple = new AppleSubscription({ token, now: () => clock.now });
  await notify(sql, apple.subscribe("basic"));
  return { apple, wait: (days: number) => clock.now += days * day };
}

Deno.test("a merge and what Apple tells of the guest's renewal come one after the other, and not in a circle", async () => {
  for (const isFirst of [true, false]) {
    const [guest, heir] = [await signedInGuest(database, 0), await createHeir(sql)];
    const { apple } = await subscribed(await tokenOf(guest.id));
    const told = apple.cancel();
    const merging = (): Promise<unknown> => mergeGuest(sql, heir, guest);
    const telling = (): Promise<unknown> => notify(sql, told);
    const [one, other] = isFirst ? [merging, telling] : [telling, merging];
    await oneBehindTheOther(guest.id, one, other);
    assert.equal(await subscriptionOwner(apple.current), heir);
    assert.equal((await balancesOf(sql, heir)).available, 100);
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("a merge and what Apple tells of periods of both come one after the other, whatever their ids", async () => {
  for (const isHeirLower of [true, false]) {
    let [guest, heir] = [await signedInGuest(database, 0), await createHeir(sql)];
    while ((heir < guest.id) !== isHeirLower) {
      [guest, heir] = [await signedInGuest(database, 0), await createHeir(sql)];
    }
    const { apple, wait } = await subscribed(await tokenOf(guest.id));
    await present(sql, heir, apple.current);
    wait(15);
    await notify(sql, apple.upgrade("plus"));
    assert.equal((await balancesOf(sql, heir)).available, 300);
    const told = apple.cancel();
    await oneBehindTheOther(guest.id, () => mergeGuest(sql, heir, guest), () => notify(sql, told));
    assert.equal((await balancesOf(sql, heir)).available, 350);
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("a merge and a refund of the guest's period, whose subscription the heir has restored, come one after the other", async () => {
  for (const isFirst of [true, false]) {
    const [guest, heir] = [await signedInGuest(database, 0), await createHeir(sql)];
    const { apple, wait } = await subscribed(await tokenOf(guest.id));
    await present(sql, heir, apple.current);
    wait(15);
    await notify(sql, apple.upgrade("plus"));
    const told = apple.refund(100, 0);
    const merging = (): Promise<unknown> => mergeGuest(sql, heir, guest);
    const telling = (): Promise<unknown> => notify(sql, told);
    const [one, other] = isFirst ? [merging, telling] : [telling, merging];
    await oneBehindTheOther(guest.id, one, other);
    assert.equal((await balancesOf(sql, heir)).available, 300);
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("a guest who is found again and what Apple tells of periods of both come one after the other, whoever is older", async () => {
  for (const isFoundOlder of [true, false]) {
    const guests = [await signedInGuest(database, 0), await signedInGuest(database, 0)] as const;
    const [found, caller] = isFoundOlder ? guests : [guests[1], guests[0]];
    const app = sql.json({ environment: "production", app_transaction_id: crypto.randomUUID() });
    await sql`select api.begin_device_check(${found.id}, '192.0.2.1', p_app_transaction => ${app})`;
    await sql`
      update auth.sessions set created_at = now() - interval '90 days', refreshed_at = now() - interval '8 days'
      where user_id = ${found.id}`;
    const { apple, wait } = await subscribed(await tokenOf(found.id));
    await present(sql, caller.id, apple.current);
    wait(15);
    await notify(sql, apple.upgrade("plus"));
    const told = apple.cancel();
    const [{ answer }] = await oneBehindTheOther(
      found.id,
      () =>
        first(
          sql<{ answer: { error?: string } }[]>`select api.recover_guest(${caller.id}, ${app}) as answer`,
        ),
      () => notify(sql, told),
    );
    assert.equal(answer.error, undefined);
    assert.equal((await balancesOf(sql, caller.id)).available, 350);
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("a subscription that a guest restores while they become somebody is that somebody's", async () => {
  for (let round = 0; round < 4; round++) {
    const [owner, guest] = [await signedInGuest(database, 0), await signedInGuest(database, 0)];
    const heir = await createHeir(sql);
    const { apple } = await subscribed(await tokenOf(owner.id));
    const { presented, merged } = await sql.begin(async (holder) => {
      await holder`select credits.lock_account(${owner.id})`;
      const presented = present(sql, guest.id, apple.current);
      await untilBlocked(sql);
      const merged = mergeGuest(sql, heir, guest);
      await Promise.race([untilBlocked(sql, 2), merged]);
      return { presented, merged };
    });
    await presented;
    assert.equal((await merged).error, undefined);
    assert.equal(await subscriptionOwner(apple.current), heir);
  }
});

Deno.test("whoever is suspended while they become somebody does not get away, whichever comes first", async () => {
  const buyer = async (app_transaction_id: string) => {
    const guest = await signedInGuest(database, 0);
    await present(sql, guest.id, transactionOf({ app_transaction_id }));
    return guest;
  };
  const rescind = (database: Sql, app_transaction_id: string) =>
    notify(database, notificationOf("RESCIND_CONSENT", null, { app_data: { app_transaction_id } }));
  const isBanned = async (userId: string) =>
    (await first(
      sql<{ is_banned: boolean }[]>`select u.is_banned from accounts.users as u where u.id = ${userId}`,
    )).is_banned;

  const [lost, heir] = [await buyer("704000000000000017"), await createHeir(sql)];
  const merging = await sql.begin(async (suspending) => {
    await rescind(suspending, "704000000000000017");
    const merging = mergeGuest(sql, heir, lost);
    merging.catch(() => {});
    await untilBlocked(sql);
    return { merging };
  });
  await assert.rejects(merging.merging, { code: "40001" }, "the caller tries again");
  assert.notEqual((await mergeGuest(sql, heir, lost)).error, undefined);
  assert.equal((await balancesOf(sql, heir)).available, 0);

  const guest = await buyer("704000000000000018");
  const telling = await sql.begin(async (transaction) => {
    assert.equal((await mergeGuest(transaction, heir, guest)).error, undefined);
    const telling = rescind(sql, "704000000000000018");
    await untilBlocked(sql);
    return { telling };
  });
  assert.equal(await telling.telling, "handled");
  assert.deepEqual([await isBanned(heir), await isBanned(guest.id)], [true, false]);
  assert.equal(outcomeOf(await present(sql, heir, transactionOf())), "ERR_4017");
});

async function tokenOf(userId: string): Promise<string> {
  const { token } = await first(sql<{ token: string }[]>`
    select u.app_account_token as token from accounts.users as u where u.id = ${userId}`);
  return token;
}
