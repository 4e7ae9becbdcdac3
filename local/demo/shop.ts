/** What a guest buys in the demo: credits, which they spend, get refunded and buy again, and a subscription. */
import { strict as assert } from "node:assert";
import type { Kinora } from "../../client/src/kinora.ts";
import type { Stack } from "../stack.ts";
import { creditsWhen, step, watch } from "./steps.ts";

interface Before {
  readonly profile: { readonly app_account_token: string };
  /** Credits. */
  readonly left: number;
  /** Of a video. */
  readonly request: { readonly model_id: string; readonly prompt: string };
}

/** Gives what can be spent at the end. */
export async function playShop(
  kinora: Kinora,
  stack: Stack,
  { profile, left, request }: Before,
): Promise<{ credits_remaining: number }> {
  const store = stack.simulators.appStore;
  const pack = { productId: "credits_10", appAccountToken: profile.app_account_token };
  const purchase = await step(
    "buy credits",
    "what StoreKit gives the app",
    async () => {
      const { signed, transactionId } = await store.do({ deed: "buy", ...pack });
      assert(transactionId);
      const purchase = await kinora.purchases.present({
        signed: signed ?? "",
        finish: () => Promise.resolve(),
      });
      assert(purchase);
      return { ...purchase, transactionId };
    },
    ({ credits_added, credits_remaining }) => `${credits_added} credits, ${credits_remaining} left`,
  );
  assert.equal(purchase.credits_remaining, left + 10);

  const spent = await step(
    "spend them",
    "three more videos",
    async () => {
      const jobs = await Promise.all([1, 2, 3].map(() => kinora.generate(request)));
      const ends = await Promise.all(jobs.map(({ job_id }) => watch(kinora, job_id)));
      for (const { last } of ends) assert.equal(last.status, "completed");
      return await kinora.credits();
    },
    ({ credits_remaining }) => `completed, ${credits_remaining} credits left`,
  );
  const refunded = await step(
    "refund",
    "Apple gives the money back, and tells us",
    async () => {
      await store.do({ deed: "refund", transactionId: purchase.transactionId });
      return await creditsWhen(kinora, ({ credits_owed }) => credits_owed > 0);
    },
    ({ credits_remaining, credits_owed }) =>
      `${credits_remaining} credits left, ${credits_owed} owed: they were spent`,
  );
  assert.deepEqual(
    [refunded.credits_remaining, refunded.credits_owed],
    [0, 10 - spent.credits_remaining],
  );
  const again = await step(
    "buy again",
    "the app is closed: only Apple tells us",
    async () => {
      await store.do({ deed: "buy", ...pack });
      return await creditsWhen(kinora, ({ credits_owed }) => credits_owed === 0);
    },
    ({ credits_remaining }) => `the debt is paid first, ${credits_remaining} credits left`,
  );
  assert.equal(again.credits_remaining, 10 - refunded.credits_owed);

  const subscribed = await step(
    "subscribe",
    "and go to a higher level at once",
    async () => {
      const appAccountToken = profile.app_account_token;
      const { transactionId } = await store.do({
        deed: "subscribe",
        productId: "plus_monthly",
        appAccountToken,
      });
      assert(transactionId);
      const before = await creditsWhen(kinora, (now) => now.credits_remaining > again.credits_remaining);
      await store.do({ deed: "upgrade", subscription: transactionId, productId: "pro_monthly" });
      return await creditsWhen(kinora, (now) => now.credits_remaining > before.credits_remaining);
    },
    ({ credits_remaining }) =>
      `the rest of the first period is taken back, ${credits_remaining} credits left`,
  );
  assert.equal(subscribed.credits_remaining, again.credits_remaining + 100);
  return subscribed;
}
