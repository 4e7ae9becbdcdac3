/** Subscriptions over HTTP, with a store that renews them by its clock. */
import assert from "node:assert/strict";
import * as z from "zod";
import type { Deed } from "../../local/simulators/app-store/deeds.ts";
import { shared } from "../shared.ts";
import { bodyOf } from "./support/answer.ts";
import { startBackend } from "./support/backend.ts";
import {
  createCustomer,
  creditsOf,
  type Customer,
  letTimePass,
  present,
  purchasesOf,
  untilDone,
  untilTold,
} from "./support/shop.ts";

const backend = shared(startBackend);
const hour = 60 * 60_000;
const day = 24 * hour;

Deno.test.beforeEach(async () => {
  await backend.stack.simulators.appStore.control.reset();
  await backend.database.sql`
    insert into purchases.products (product_id, kind, name, description, credits, trial_credits)
    values ('level_1', 'subscription', 'Level 1', '', 100, 20), ('level_2', 'subscription', 'Level 2', '', 300, 60)
    on conflict do nothing`;
});

/** A customer with a first period, or a trial. */
async function subscribe(customer: Customer, more: Partial<Extract<Deed, { deed: "subscribe" }>> = {}) {
  const done = await backend.stack.simulators.appStore.do({
    deed: "subscribe",
    productId: "level_1",
    appAccountToken: customer.appAccountToken,
    account: customer.appAccountToken,
    ...more,
  });
  assert(done.transactionId !== null && done.signed !== null);
  return { ...done, transactionId: done.transactionId, signed: done.signed };
}

async function does(what: Deed): Promise<void> {
  await backend.stack.simulators.appStore.do(what);
  await untilTold(backend);
}

const profile = z.object({
  subscription: z.nullable(z.object({
    product_id: z.string(),
    status: z.string(),
    renews_at: z.nullable(z.string()),
    expires_at: z.string(),
  })),
});

/** What `user-profile` and `purchases` show, which is the same: level and status, and whether it renews. */
async function subscriptionOf(customer: Customer): Promise<string | null> {
  const { subscription } = bodyOf(await customer.call("user-profile"), 200, profile);
  const page = bodyOf(await customer.call("purchases"), 200, profile);
  assert.deepEqual(page.subscription, subscription);
  if (subscription === null) return null;
  const { product_id, status, renews_at } = subscription;
  return `${product_id} ${status}${renews_at === null ? "" : " renews"}`;
}

async function transactions() {
  return (await backend.stack.simulators.appStore.control.report()).transactions;
}

Deno.test("a subscription from its trial to its end, as the app sees it, with periods that the store renews by itself", async () => {
  const customer = await createCustomer(backend);
  assert.equal(await subscriptionOf(customer), null);
  const { transactionId: subscription, signed } = await subscribe(customer, {
    trial: true,
    periodMilliseconds: 30 * day,
  });
  await untilTold(backend);
  assert.equal((await present(customer, signed)).status, 200);
  assert.deepEqual([(await creditsOf(customer)).credits_remaining, await subscriptionOf(customer)], [
    20,
    "level_1 active renews",
  ]);
  await letTimePass(backend, 30 * day + hour);
  await untilTold(backend);
  assert.equal((await creditsOf(customer)).credits_remaining, 120);
  await does({ deed: "upgrade", subscription, productId: "level_2" });
  // A quarter of a percent of the period is over: its share, rounded down, is no credit.
  assert.deepEqual([(await creditsOf(customer)).credits_remaining, await subscriptionOf(customer)], [
    320,
    "level_2 active renews",
  ]);
  await does({ deed: "downgrade", subscription, productId: "level_1" });
  assert.equal(await subscriptionOf(customer), "level_2 active renews");
  await letTimePass(backend, 30 * day + hour);
  await untilTold(backend);
  assert.equal(await subscriptionOf(customer), "level_1 active renews");
  // The trial's and the first period's have expired; the last one's have three days left.
  assert.equal((await creditsOf(customer)).credits_remaining, 400);
  await does({ deed: "lapse", subscription, graceDays: 16 });
  assert.equal(await subscriptionOf(customer), "level_1 in_grace");
  await letTimePass(backend, 16 * day + hour);
  await untilTold(backend);
  assert.equal(await subscriptionOf(customer), "level_1 in_billing_retry");
  await does({ deed: "recover", subscription });
  assert.equal(await subscriptionOf(customer), "level_1 active renews");
  await does({ deed: "cancel", subscription });
  assert.equal(await subscriptionOf(customer), "level_1 active");
  await does({ deed: "expire", subscription });
  assert.equal(await subscriptionOf(customer), "level_1 expired");
  const statuses = (await purchasesOf(customer)).map((each) =>
    `${each.product_id} ${each.status} ${each.credits_added}`
  );
  assert.deepEqual(statuses, [
    "level_1 credited 100",
    "level_1 credited 100",
    "level_2 credited 300",
    "level_1 partially_refunded 100",
    "level_1 credited 20",
  ]);
  await backend.proveLedger();
});

Deno.test("Apple's API away for a day around a renewal, and its notifications lost: nothing is lost, nothing comes twice", async () => {
  const { appStore } = backend.stack.simulators;
  // One opens the app meanwhile, one does not, and one's period is refunded.
  const customers = [
    await createCustomer(backend),
    await createCustomer(backend),
    await createCustomer(backend),
  ];
  for (const customer of customers) await subscribe(customer, { periodMilliseconds: 30 * day });
  await untilTold(backend);
  await backend.database.sql`select purchases.ask_for_history()`;
  await untilDone(backend, "read_notification_history");
  await letTimePass(backend, 29 * day + 12 * hour);
  await appStore.control.rules({ for: "api", effect: "down", times: null });
  await appStore.control.rules(...Array.from({ length: 4 }, () => ({
    for: "notification" as const,
    delivery: "lost" as const,
  })));
  await letTimePass(backend, 12 * hour + 60_000);
  const renewed = async (customer: Customer) =>
    (await transactions()).find((each) =>
      each.appAccountToken === customer.appAccountToken && each.transactionReason === "RENEWAL"
    );
  const periods = await Promise.all(customers.map(renewed));
  assert(periods.every((period) => period !== undefined), "the store has renewed all");
  const [, , refunded] = periods;
  await appStore.do({ deed: "refund", transactionId: refunded?.transactionId ?? "" });
  for (let hours = 0; hours < 12; hours++) {
    await letTimePass(backend, hour);
    await backend.stack.tick();
  }
  for (const customer of customers) assert.equal((await creditsOf(customer)).credits_remaining, 100);
  const [active] = customers;
  assert(active !== undefined);
  const { signed } = await appStore.do({ deed: "present", transactionId: periods[0]?.transactionId ?? "" });
  assert.equal((await present(active, signed ?? "")).status, 200, "its signature is enough");
  assert.equal((await creditsOf(active)).credits_remaining, 200);

  await appStore.control.reset();
  await letTimePass(backend, hour);
  await backend.database.sql`select purchases.ask_for_history()`;
  await untilDone(backend, "read_notification_history");
  await letTimePass(backend, hour);
  await backend.stack.tick();
  const ends = await Promise.all(customers.map(async (customer) => [
    (await creditsOf(customer)).credits_remaining,
    (await creditsOf(customer)).credits_owed,
    await subscriptionOf(customer),
  ]));
  assert.deepEqual(ends, [
    [200, 0, "level_1 active renews"],
    [200, 0, "level_1 active renews"],
    [100, 0, "level_1 revoked"],
  ]);
  // All of it again changes nothing.
  await backend.database.sql`delete from purchases.history_reads`;
  await backend.database.sql`select purchases.ask_for_history()`;
  await untilDone(backend, "read_notification_history");
  await letTimePass(backend, hour);
  await backend.stack.tick();
  for (const [index, customer] of customers.entries()) {
    assert.equal((await creditsOf(customer)).credits_remaining, ends[index]?.[0]);
  }
  await backend.proveLedger();
});
