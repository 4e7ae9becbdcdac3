/** Purchases as apps and Apple make them, over HTTP, against the simulated App Store. */
import assert from "node:assert/strict";
import { CreditsResponse } from "../../supabase/functions/credits/schema.ts";
import { DeviceCheckResponse } from "../../supabase/functions/device-check/schema.ts";
import { Profile } from "../../supabase/functions/_shared/accounts/contract.ts";
import { CreditedPurchase } from "../../supabase/functions/_shared/purchases/contract.ts";
import { ProductsResponse } from "../../supabase/functions/products/schema.ts";
import { PurchasesResponse } from "../../supabase/functions/purchases/schema.ts";
import { deviceToken } from "../../local/simulators/device-check/device-check.ts";
import { shared } from "../shared.ts";
import { eventually } from "./eventually.ts";
import { bodyOf, errorOf } from "./support/answer.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { generate, priceOfKling } from "./support/videos.ts";

const backend = shared(startBackend);
const store = () => backend.stack.simulators.appStore;

async function tokenOf(guest: Guest): Promise<string> {
  return bodyOf(await guest.call("user-profile"), 200, Profile).app_account_token;
}

/** A pack for somebody who is named, or for whoever presents it. */
async function buy(guest: Guest | null, more: { productId?: string; environment?: "Sandbox" } = {}) {
  const appAccountToken = guest === null ? null : await tokenOf(guest);
  const { transactionId, signed } = await store().do({
    deed: "buy",
    productId: "credits_60",
    appAccountToken,
    ...more,
  });
  assert(transactionId !== null && signed !== null);
  return { transactionId, signed };
}

const present = (guest: Guest, signed: string | null) =>
  guest.call("purchases", { body: { signed_transaction: signed } });

/** What they have, less what they owe; without a request, which would count in a limit. */
async function netOf({ id }: Guest): Promise<number> {
  const [row] = await backend.database.sql<{ net: number }[]>`
    select coalesce(sum(case a.kind when 'owed' then -a.balance else a.balance end), 0)::integer as net
    from credits.accounts as a where a.owner_id = ${id}`;
  return row?.net ?? 0;
}

async function untilNet(guest: Guest, net: number): Promise<void> {
  await eventually(`${guest.id} has ${net}`, async () => await netOf(guest) === net || undefined);
}

async function creditsOf(guest: Guest) {
  const { credits_remaining, credits_owed } = bodyOf(await guest.call("credits"), 200, CreditsResponse);
  return { credits_remaining, credits_owed };
}

Deno.test("an app shows what is sold, buys with its user's token, and sees the credits and the purchase", async () => {
  const guest = await backend.signIn();
  const { products } = bodyOf(await guest.call("products"), 200, ProductsResponse);
  assert.deepEqual(products.map(({ product_id, credits }) => [product_id, credits]), [
    ["credits_10", 10],
    ["credits_30", 30],
    ["credits_60", 60],
    ["plus_monthly", 40],
    ["pro_monthly", 100],
  ]);
  const body = { device_token: deviceToken(crypto.randomUUID()) };
  const checked = bodyOf(await guest.call("device-check", { body }), 200, DeviceCheckResponse);
  assert.equal(checked.app_account_token, await tokenOf(guest), "the same wherever it is told");

  const { transactionId, signed } = await buy(guest);
  const { status: _, ...credited } = bodyOf(await present(guest, signed), 200, CreditedPurchase);
  assert.deepEqual(credited, {
    transaction_id: transactionId,
    product_id: "credits_60",
    credits_added: 60,
    credits_remaining: 60 + checked.credits_remaining,
    expires_at: null,
  });
  assert.equal(bodyOf(await present(guest, signed), 200, CreditedPurchase).status, "already_credited");
  const { purchases } = bodyOf(await guest.call("purchases"), 200, PurchasesResponse);
  assert.deepEqual(
    purchases.map(({ transaction_id, status, credits_added }) => [transaction_id, status, credits_added]),
    [
      [transactionId, "credited", 60],
    ],
  );
  const other = await backend.signIn();
  assert.deepEqual(errorOf(await present(other, signed), "ERR_4016").details, { reason: "other_account" });
  await backend.proveLedger();
});

Deno.test("a user who never opens the app again has the credits all the same", async () => {
  const guest = await backend.signIn();
  await buy(guest, { productId: "credits_30" });
  await untilNet(guest, 30);
});

Deno.test("spent and refunded, the credits are owed; what comes next pays, and an undone refund gives them back", async () => {
  const guest = await backend.signIn();
  const { transactionId, signed } = await buy(guest, { productId: "credits_10" });
  bodyOf(await present(guest, signed), 200, CreditedPurchase);
  await generate(guest);
  await generate(guest);
  await store().do({ deed: "refund", transactionId });
  await untilNet(guest, -8);
  assert.deepEqual(await creditsOf(guest), { credits_remaining: 0, credits_owed: 8 });
  assert.equal(priceOfKling, 4);
  const { signed: anew } = await store().do({ deed: "present", transactionId });
  assert.deepEqual(errorOf(await present(guest, anew), "ERR_4016").details, { reason: "revoked" });
  const [purchase] = bodyOf(await guest.call("purchases"), 200, PurchasesResponse).purchases;
  assert.equal(purchase?.status, "refunded");

  await buy(guest, { productId: "credits_30" });
  await untilNet(guest, 22);
  await store().do({ deed: "reverse", transactionId });
  await untilNet(guest, 32);
  await backend.proveLedger();
});

Deno.test("App Review buys in the sandbox with the settings of production, and no more than a day's share", async () => {
  const guest = await backend.signIn();
  for (const productId of ["credits_10", "credits_30", "credits_60"]) {
    const { signed } = await buy(guest, { productId, environment: "Sandbox" });
    bodyOf(await present(guest, signed), 200, CreditedPurchase);
  }
  assert.equal((await creditsOf(guest)).credits_remaining, 100);
  const { signed } = await buy(guest, { productId: "credits_10", environment: "Sandbox" });
  const refused = await present(guest, signed);
  assert.partialDeepStrictEqual(errorOf(refused, "ERR_4004").details, { policy: "sandbox_credits" });
  // The limit is the sandbox' alone: an isolate that remembers it refuses no purchase for money.
  const real = await buy(guest, { productId: "credits_10" });
  bodyOf(await present(guest, real.signed), 200, CreditedPurchase);
  await generate(guest);
});

Deno.test("Apple is told how much was used, where the user agreed to that", async () => {
  for (const agrees of [true, false]) {
    const guest = await backend.signIn();
    const { transactionId, signed } = await buy(guest, { productId: "credits_10" });
    bodyOf(await present(guest, signed), 200, CreditedPurchase);
    if (agrees) {
      const changed = await guest.call("user-profile", {
        method: "PATCH",
        body: { shares_consumption: true },
      });
      assert.equal(bodyOf(changed, 200, Profile).shares_consumption, true);
    }
    await store().do({ deed: "request_refund", transactionId });
    await eventually("the request is dealt with", async () => {
      await backend.stack.tick();
      const rows = await backend.database.sql`
        select from purchases.notifications as n
        where n.transaction_id = ${transactionId} and n.type = 'CONSUMPTION_REQUEST'
          and not exists (select from queue.tasks as t where t.kind = 'answer_consumption')`;
      return rows.length > 0 || undefined;
    });
    const { consumptions } = await store().control.report();
    const told = consumptions.filter((each) => each.transactionId === transactionId);
    assert.deepEqual(
      told.map(({ body, inTime }) => [body.consumptionPercentage, body.refundPreference, inTime]),
      agrees ? [[0, "GRANT_FULL", true]] : [],
    );
  }
});
