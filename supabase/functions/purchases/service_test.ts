import assert from "node:assert/strict";
import { AppError } from "../_shared/errors/app-error.ts";
import { errorCodes } from "../_shared/errors/error-codes.ts";
import { purchaseRefusals } from "../_shared/purchases/contract.ts";
import { serveWithAppStore } from "../_shared/testing/app-store/server.ts";
import { bundleId, testAppStore, transactionPayload } from "../_shared/testing/app-store/signed-data.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { sessionId, userId } from "../_shared/testing/tokens.ts";
import endpoint from "./index.ts";
import type { PurchasesPage } from "./schema.ts";
import { listPurchases, presentPurchase } from "./service.ts";

const store = await testAppStore();

const credited = {
  transaction_id: "2000000900000001",
  product_id: "credits_100",
  status: "credited",
  credits_added: 100,
  credits_remaining: 106,
  expires_at: null,
} as const;

/** The service before a store that the configuration trusts, unless `appStore` is another. */
function setting(appStore = store.configuration as typeof store.configuration | null) {
  const { database, calls } = fakeDatabase({ post_purchases: () => credited });
  const context = testContext("user", { database });
  return { context: { ...context, config: { ...context.config, appStore } }, calls };
}

Deno.test("what Apple's signature proves is one call, in our words, for the caller", async () => {
  const { context, calls } = setting();
  const token = "0f0b4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10";
  const signed_transaction = await store.sign(transactionPayload({ appAccountToken: token.toUpperCase() }));
  assert.deepEqual(await presentPurchase({ signed_transaction }, context), { status: 200, body: credited });
  assert.equal(calls.length, 1);
  const [call] = calls;
  assert(call?.name === "post_purchases");
  assert.equal(call.args["p_user_id"], userId);
  const transaction = call.args["p_transaction"] as Record<string, unknown>;
  assert.deepEqual(
    [transaction["transaction_id"], transaction["app_account_token"], transaction["environment"]],
    ["2000000900000001", token, "production"],
  );
});

Deno.test("what is not proved to be ours is ERR_4016 with the reason, and the database does not hear of it", async () => {
  const stranger = await testAppStore();
  const refused: [string, string][] = [
    ["invalid_signature", "not a jws"],
    ["invalid_signature", "a.b.c"],
    ["invalid_signature", await stranger.sign(transactionPayload())],
    ["wrong_app", await store.sign(transactionPayload({ bundleId: "com.example.another" }))],
    ["wrong_environment", await store.sign(transactionPayload({ environment: "Xcode" }))],
    ["wrong_environment", await store.sign(transactionPayload({ environment: "LocalTesting" }))],
    ["not_a_transaction", await store.sign({ bundleId, environment: "Production" })],
  ];
  for (const [reason, signed_transaction] of refused) {
    const { context, calls } = setting();
    await assert.rejects(
      presentPurchase({ signed_transaction }, context),
      (error) => error instanceof AppError && error.code === "ERR_4016" && error.details["reason"] === reason,
      reason,
    );
    assert.deepEqual(calls, []);
  }
});

Deno.test("where nothing says which app is ours, purchases are off", async () => {
  const { context, calls } = setting(null);
  await assert.rejects(presentPurchase({ signed_transaction: "a.b.c" }, context), { code: "ERR_6004" });
  assert.deepEqual(calls, []);
});

Deno.test("the procedure's refusals reach the client with their reasons", async () => {
  assert(errorCodes.ERR_4016.details.includes("reason"));
  const signed_transaction = await store.sign(transactionPayload());
  for (const reason of purchaseRefusals) {
    const { server } = await serveWithAppStore(endpoint.operations, store, {
      post_purchases: () => ({ error: "ERR_4016", details: { reason } }),
    });
    const answer = await server.send({ path: "purchases", method: "POST", json: { signed_transaction } });
    const { error } = await answer.json();
    assert.deepEqual([answer.status, error.code, error.details], [422, "ERR_4016", { reason }]);
  }
});

const page: PurchasesPage = {
  purchases: [{
    transaction_id: "2000000900000001",
    product_id: "credits_100",
    status: "partially_refunded",
    credits_added: 100,
    purchased_at: "2026-11-20T12:00:00.000Z",
    expires_at: null,
  }],
  subscription: {
    product_id: "plus",
    status: "in_grace",
    renews_at: null,
    expires_at: "2026-12-06T12:00:00.000Z",
  },
  next: { purchased_at: "2026-11-20T12:00:00+00:00", id: "0190a000-0000-7000-8000-0000000000aa" },
};

Deno.test("purchases are told page by page, and the cursor leads to the next", async () => {
  const { database, calls } = fakeDatabase({ get_purchases: () => page });
  const context = testContext("user", { database });
  const { body } = await listPurchases({ limit: 1 }, context);
  assert.deepEqual([body?.purchases, body?.subscription], [page.purchases, page.subscription]);
  const cursor = body?.next_cursor;
  assert(cursor);
  await listPurchases({ limit: 2, cursor }, context);
  assert.deepEqual(calls.map(({ args }) => args), [
    { p_user_id: userId, p_session_id: sessionId, p_limit: 1, p_after: null },
    { p_user_id: userId, p_session_id: sessionId, p_limit: 2, p_after: page.next },
  ]);
});
