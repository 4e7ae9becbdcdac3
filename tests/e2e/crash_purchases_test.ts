/**
 * A crash at every step of a purchase, of which the quick tests run a sample: it is presented, Apple asks how much was used,
 * takes it back, and its history is read; and of a subscription, which is restored, upgraded and renewed. As in crash_test.ts,
 * the functions are killed before and after each of their calls.
 */
import assert from "node:assert/strict";
import { Profile } from "../../supabase/functions/_shared/accounts/contract.ts";
import { CreditedPurchase } from "../../supabase/functions/_shared/purchases/contract.ts";
import { bodyOf, errorOf } from "./support/answer.ts";
import {
  backend,
  call,
  calls,
  isTrue,
  restart,
  type Run,
  tick,
  until,
  untilQuiet,
} from "./support/crash-steps.ts";
import { assertSurvivesCrashes, procedure } from "./support/crash-points.ts";
import type { Point } from "./support/port-calls.ts";

const store = () => backend.stack.simulators.appStore;

async function playPurchase(target: Point | null): Promise<{ run: Run; transactionId: string }> {
  const { sql } = backend.database;
  const run = await newRun();
  const changed = await run.guest.call("user-profile", {
    method: "PATCH",
    body: { shares_consumption: true },
  });
  const { app_account_token } = bodyOf(changed, 200, Profile);
  // The history is one page, however long ago the store began.
  await sql`
    insert into purchases.history_reads as h (environment, read_until)
    select e, core.now() from unnest(enum_range(null::purchases.environment)) as e
    on conflict (environment) do update set read_until = excluded.read_until`;
  await untilQuiet();
  calls.reset(target, restart);

  const bought = await store().do({
    deed: "buy",
    productId: "credits_60",
    appAccountToken: app_account_token,
  });
  const { transactionId } = bought;
  assert(transactionId !== null);
  const presented = await call(run, "purchases", { body: { signed_transaction: bought.signed } });
  assert.equal(bodyOf(presented, 200, CreditedPurchase).credits_added, 60);

  await store().do({ deed: "request_refund", transactionId });
  await until("Apple's question is heard", () =>
    isTrue(sql`
    select from purchases.notifications as n
    where n.transaction_id = ${transactionId} and n.type = 'CONSUMPTION_REQUEST' and n.handled_at is not null`));
  await tick();
  await until("it is answered", () =>
    isTrue(sql`
    select from purchases.notifications as n where n.transaction_id = ${transactionId} and n.answered_at is not null`));
  await store().do({ deed: "refund", transactionId, percentage: 50_000 });
  await store().do({ deed: "refund", transactionId });
  await until("both refunds are heard", () =>
    isTrue(sql`
    select from purchases.notifications as n
    where n.transaction_id = ${transactionId} and n.type = 'REFUND' and n.handled_at is not null
    having count(*) = 2`));
  await sql`select purchases.ask_for_history()`;
  await tick();
  await until("nothing is left to do", () =>
    isTrue(sql`
    select where not exists (select from queue.tasks)
      and not exists (select from purchases.notifications as n where n.handled_at is null)`));
  await untilQuiet();
  return { run, transactionId };
}

/** Credited once, taken back in full, and answered as it was. */
async function provePurchase({ run, transactionId }: { run: Run; transactionId: string }): Promise<void> {
  assert.deepEqual(await movedOf(run), ["purchase 60", "reversal 60"]);
  assert.equal(await backend.balanceOf(run.guest), 0);
  const { consumptions } = await store().control.report();
  const told = consumptions.filter((each) => each.transactionId === transactionId);
  // Once more after a crash that came before it was written down, and the same.
  assert(told.length >= 1 && told.length <= 2, `Apple was told ${told.length} times`);
  assert.equal(new Set(told.map(({ body }) => JSON.stringify(body))).size, 1);
  await backend.proveLedger();
}

/** What was moved of a guest's, by kind. */
async function movedOf({ guest }: Run): Promise<string[]> {
  const transfers = await backend.database.sql<{ kind: string; amount: number }[]>`
    select t.kind, sum(t.amount)::integer as amount from credits.transfers as t where t.owner_id = ${guest.id}
    group by t.kind order by t.kind`;
  return transfers.map(({ kind, amount }) => `${kind} ${amount}`);
}

async function newRun(): Promise<Run> {
  return { guest: await backend.signIn(), prompt: "", jobId: "" };
}

interface Restored {
  readonly owner: Run;
  readonly other: Run;
}

async function playSubscription(target: Point | null): Promise<Restored> {
  const { sql } = backend.database;
  const [owner, other] = [await newRun(), await newRun()];
  const { app_account_token } = bodyOf(await owner.guest.call("user-profile"), 200, Profile);
  await untilQuiet();
  calls.reset(target, restart);

  const begun = await store().do({
    deed: "subscribe",
    productId: "plus_monthly",
    appAccountToken: app_account_token,
    account: app_account_token,
  });
  const { transactionId: subscription } = begun;
  assert(subscription !== null);
  const signed = { body: { signed_transaction: begun.signed } };
  assert.equal(bodyOf(await call(owner, "purchases", signed), 200, CreditedPurchase).credits_added, 40);
  assert.deepEqual(errorOf(await call(other, "purchases", signed), "ERR_4016").details, {
    reason: "other_account",
  });
  for (const [deed, periods] of [["upgrade", 2], ["renew", 3]] as const) {
    await store().do(
      deed === "upgrade" ? { deed, subscription, productId: "pro_monthly" } : { deed, subscription },
    );
    await until(`the ${deed} is credited`, () =>
      isTrue(sql`
      select from purchases.transactions as t
      where t.original_transaction_id = ${subscription} and t.credited_at is not null
      having count(*) = ${periods}`));
  }
  await tick();
  await until("nothing is left to do", () =>
    isTrue(sql`
    select where not exists (select from queue.tasks)
      and not exists (select from purchases.notifications as n where n.handled_at is null)`));
  await untilQuiet();
  return { owner, other };
}

/** The periods after it was restored are the other's, each once, and what was left of the first is taken of the owner's. */
async function proveSubscription({ owner, other }: Restored): Promise<void> {
  assert.deepEqual(await movedOf(owner), ["purchase 40", "reversal 40"]);
  assert.deepEqual(await movedOf(other), ["purchase 200"]);
  await backend.proveLedger();
}

Deno.test("a purchase that is presented, asked about and refunded survives a crash at every step", () =>
  assertSurvivesCrashes(
    playPurchase,
    provePurchase,
    [
      "post_purchases",
      "app_store_notifications",
      "load_consumption",
      "finish_consumption",
      "record_notification_history",
      "finish_notification_history",
    ].map(procedure),
  ));

Deno.test("a subscription that another guest restores, and that is upgraded and renewed, survives a crash at every step", () =>
  assertSurvivesCrashes(
    playSubscription,
    proveSubscription,
    ["post_purchases", "app_store_notifications"].map(procedure),
  ));
