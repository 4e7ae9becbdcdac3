/** Purchases while Apple's own API is slow, down, refuses our key or limits us. */
import assert from "node:assert/strict";
import type { AppStoreRule } from "../../local/simulators/app-store/rules.ts";
import { shared } from "../shared.ts";
import { eventually } from "./eventually.ts";
import { startBackend } from "./support/backend.ts";
import {
  buy,
  createCustomer,
  creditsOf,
  letTimePass,
  present,
  sellPack,
  untilDone,
  untilTold,
} from "./support/shop.ts";
import { ended, generate, priceOfKling } from "./support/videos.ts";

const backend = shared(startBackend);
const hour = 60 * 60_000;

type Effect = Extract<AppStoreRule, { for: "api" }>["effect"];
const effects: readonly Effect[] = [
  "down",
  "slow",
  "rate_limited",
  "server_error",
  "unauthorized",
  "gateway",
  "garbage",
];

/** How Apple's API answers from now on, whatever it is asked. */
async function appleIs(effect: Effect, milliseconds = 60_000): Promise<void> {
  await backend.stack.simulators.appStore.control.rules({ for: "api", effect, times: null, milliseconds });
}

Deno.test.beforeEach(async () => {
  await sellPack(backend);
  await backend.stack.simulators.appStore.control.reset();
});

Deno.test("a purchase is credited by its signature alone, however Apple's API is", async () => {
  for (const effect of effects) {
    await backend.stack.simulators.appStore.control.reset();
    await appleIs(effect);
    // The client comes first; Apple tells it later.
    await backend.stack.simulators.appStore.control.rules({ for: "notification", milliseconds: hour });
    const customer = await createCustomer(backend);
    const { signed } = await buy(backend, customer);
    const answer = await present(customer, signed);
    assert.equal(answer.status, 200, effect);
    assert.equal((await creditsOf(customer)).credits_remaining, 100, effect);
    const { requests } = await backend.stack.simulators.appStore.control.report();
    assert.deepEqual(requests, [], "and Apple is asked nothing");
  }
  await backend.stack.simulators.appStore.control.elapse(hour);
  await untilTold(backend);
});

Deno.test("so is one that only Apple tells, and its refund is taken back", async () => {
  for (const effect of effects) {
    await appleIs(effect);
    const customer = await createCustomer(backend);
    const { transactionId } = await buy(backend, customer);
    await untilTold(backend);
    assert.equal((await creditsOf(customer)).credits_remaining, 100, effect);
    await backend.stack.simulators.appStore.do({ deed: "refund", transactionId });
    await untilTold(backend);
    const { credits_remaining, credits_owed } = await creditsOf(customer);
    assert.deepEqual([credits_remaining, credits_owed], [0, 0], effect);
    await backend.stack.simulators.appStore.control.reset();
  }
});

Deno.test("a question about consumption is answered within its 12 hours, although Apple was away for six", async () => {
  for (const effect of ["down", "rate_limited", "server_error"] as const) {
    await backend.stack.simulators.appStore.control.reset();
    const customer = await createCustomer(backend);
    assert.equal(
      (await customer.call("user-profile", { method: "PATCH", body: { shares_consumption: true } })).status,
      200,
    );
    const { transactionId } = await buy(backend, customer);
    await untilTold(backend);
    const { job_id: jobId } = await generate(customer);
    assert.equal((await ended(backend, customer, jobId)).status, "completed");
    await appleIs(effect, hour);
    await backend.stack.simulators.appStore.do({ deed: "request_refund", transactionId });
    await untilTold(backend);
    for (let hours = 0; hours < 6; hours++) {
      await tried(hours + 1);
      const { requests } = await backend.stack.simulators.appStore.control.report();
      assert(requests.length > hours, "Apple was asked each time");
      await letTimePass(backend, hour);
    }
    const before = await backend.stack.simulators.appStore.control.report();
    assert(before.requests.length > 0, "Apple was asked");
    const about = (report: typeof before) =>
      report.consumptions.filter((each) => each.transactionId === transactionId);
    assert.deepEqual(about(before), []);
    await backend.stack.simulators.appStore.control.reset();
    await untilAnswered();
    const [answer, ...more] = about(await backend.stack.simulators.appStore.control.report());
    assert.deepEqual(more, [], "once");
    assert.equal(answer?.inTime, true, effect);
    assert.deepEqual(answer?.body, {
      customerConsented: true,
      consumptionPercentage: priceOfKling * 1_000,
      deliveryStatus: "DELIVERED",
      refundPreference: "GRANT_PRORATED",
      sampleContentProvided: false,
    });
  }
});

/**
 * Has the worker try the open question until it was tried so often: the first time it may have done so by itself. No attempt
 * is under way then, whose pause would know nothing of time that passes.
 */
async function tried(times: number): Promise<void> {
  await eventually(`the question was tried ${times} times`, async () => {
    const [open] = await backend.database.sql<{ attempts: number; isLeased: boolean }[]>`
      select t.attempts, t.leased_until is not null as "isLeased"
      from queue.tasks as t where t.kind = 'answer_consumption'`;
    if (open !== undefined && open.attempts >= times && !open.isLeased) return true;
    await backend.stack.tick();
    return undefined;
  });
}

/** Lets hours pass until the question is answered: an attempt that was under way while one passed begins its pause after it. */
async function untilAnswered(): Promise<void> {
  await eventually("the question is answered", async () => {
    const [open] = await backend.database.sql<{ waits: boolean }[]>`
      select t.leased_until is null and t.run_at > core.now() as waits
      from queue.tasks as t where t.kind = 'answer_consumption'`;
    if (open === undefined) return true;
    if (open.waits) await letTimePass(backend, hour);
    await backend.stack.tick();
    return undefined;
  });
}

Deno.test("who has not agreed is not told about", async () => {
  const customer = await createCustomer(backend);
  const { transactionId } = await buy(backend, customer);
  await backend.stack.simulators.appStore.do({ deed: "request_refund", transactionId });
  await untilTold(backend);
  await untilDone(backend, "answer_consumption");
  const { consumptions, requests } = await backend.stack.simulators.appStore.control.report();
  assert.deepEqual(consumptions.filter((each) => each.transactionId === transactionId), []);
  assert.deepEqual(requests.filter(({ operation }) => operation === "consumption"), []);
});

Deno.test("what is forged, another app's or another environment's is refused and leaves no trace", async () => {
  const customer = await createCustomer(backend);
  for (const delivery of ["forged", "other_app", "other_environment"] as const) {
    await backend.stack.simulators.appStore.control.rules({ for: "notification", delivery });
    const { notificationId, transactionId } = await buy(backend, customer);
    await untilTold(backend);
    const { deliveries } = await backend.stack.simulators.appStore.control.report();
    assert.equal(deliveries.find(({ requestId }) => requestId === notificationId)?.lastStatus, 401, delivery);
    assert.deepEqual(
      [
        ...await backend.database.sql`
        select from purchases.notifications as n where n.notification_id = ${notificationId}`,
      ],
      [],
    );
    assert.deepEqual(
      [
        ...await backend.database
          .sql`select from purchases.transactions as t where t.transaction_id = ${transactionId}`,
      ],
      [],
    );
  }
  assert.equal((await creditsOf(customer)).credits_remaining, 0);
});
