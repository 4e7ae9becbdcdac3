import assert from "node:assert/strict";
import apple from "../../testing/app-store/apple-fixtures.json" with { type: "json" };
import {
  appAppleId,
  bundleId,
  notificationPayload,
  signedAt,
  testAppStore,
  transactionPayload,
  trusting,
} from "../../testing/app-store/signed-data.ts";
import { readNotification, type StoreNotification } from "./notification.ts";

const store = await testAppStore();
const other = await testAppStore();

const renewalPayload = (changes: Record<string, unknown> = {}) => ({
  originalTransactionId: "2000000900000000",
  productId: "monthly",
  autoRenewProductId: "yearly",
  autoRenewStatus: 1,
  expirationIntent: 2,
  isInBillingRetryPeriod: true,
  gracePeriodExpiresDate: Date.parse("2026-12-26T12:00:00Z"),
  renewalDate: Date.parse("2026-12-20T12:00:00Z"),
  environment: "Production",
  signedDate: signedAt.getTime(),
  ...changes,
});

async function read(payload: Record<string, unknown>, configuration = store.configuration) {
  return await readNotification(await store.sign(payload), configuration, signedAt);
}

async function notification(payload: Record<string, unknown>): Promise<StoreNotification> {
  const answer = await read(payload);
  assert("notification" in answer, JSON.stringify(answer));
  return answer.notification;
}

Deno.test("a notification is told in our words, with the transaction that it is about", async () => {
  const signedTransactionInfo = await store.sign(transactionPayload());
  const { transaction, ...rest } = await notification(
    notificationPayload({ data: { signedTransactionInfo } }),
  );
  assert.deepEqual(rest, {
    notification_id: "002e14d5-51f5-4503-b5a8-c3a1af68eb20",
    type: "ONE_TIME_CHARGE",
    subtype: null,
    environment: "production",
    signed_at: "2026-11-20T12:00:00.000Z",
    renewal: null,
    consumption_request_reason: null,
    app_data: null,
  });
  assert.equal(transaction?.transaction_id, "2000000900000001");
});

Deno.test("a renewal is told with what comes next", async () => {
  const data = { signedRenewalInfo: await store.sign(renewalPayload()) };
  const payload = notificationPayload({
    notificationType: "DID_FAIL_TO_RENEW",
    subtype: "GRACE_PERIOD",
    data,
  });
  const { type, subtype, renewal } = await notification(payload);
  assert.deepEqual([type, subtype], ["DID_FAIL_TO_RENEW", "GRACE_PERIOD"]);
  assert.deepEqual(renewal, {
    original_transaction_id: "2000000900000000",
    product_id: "monthly",
    auto_renew_product_id: "yearly",
    auto_renew_status: "on",
    expiration_intent: 2,
    grace_period_expires_at: "2026-12-26T12:00:00.000Z",
    is_in_billing_retry: true,
    renewal_at: "2026-12-20T12:00:00.000Z",
    environment: "production",
    signed_at: "2026-11-20T12:00:00.000Z",
  });
  const off = {
    signedRenewalInfo: await store.sign(
      renewalPayload({ autoRenewStatus: 0, isInBillingRetryPeriod: undefined }),
    ),
  };
  const ended = await notification(notificationPayload({ notificationType: "EXPIRED", data: off }));
  assert.deepEqual([ended.renewal?.auto_renew_status, ended.renewal?.is_in_billing_retry], ["off", false]);
});

Deno.test("why a refund is asked for is told", async () => {
  const data = {
    consumptionRequestReason: "UNINTENDED_PURCHASE",
    signedTransactionInfo: await store.sign(transactionPayload()),
  };
  const { consumption_request_reason } = await notification(
    notificationPayload({ notificationType: "CONSUMPTION_REQUEST", data }),
  );
  assert.equal(consumption_request_reason, "UNINTENDED_PURCHASE");
});

Deno.test("a consent that was taken back names the app account", async () => {
  const appTransaction = {
    appTransactionId: "704000000000000001",
    bundleId,
    appAppleId,
    receiptType: "Production",
    receiptCreationDate: signedAt.getTime(),
  };
  const appData = { bundleId, appAppleId, environment: "Production" };
  const withoutData = { ...notificationPayload({ notificationType: "RESCIND_CONSENT" }), data: undefined };
  const signed = { ...appData, signedAppTransactionInfo: await store.sign(appTransaction) };
  assert.deepEqual((await notification({ ...withoutData, appData: signed })).app_data, {
    app_transaction_id: "704000000000000001",
  });
  assert.deepEqual((await notification({ ...withoutData, appData })).app_data, { app_transaction_id: null });
  const foreign = {
    "another store's": await other.sign(appTransaction),
    "another app's": await store.sign({ ...appTransaction, bundleId: "com.example.other" }),
    "another app's of our name": await store.sign({ ...appTransaction, appAppleId: 1 }),
  };
  for (const [name, signedAppTransactionInfo] of Object.entries(foreign)) {
    assert(
      "refusal" in await read({ ...withoutData, appData: { ...appData, signedAppTransactionInfo } }),
      name,
    );
  }
});

Deno.test("types that nobody knows yet are read as far as they are known", async () => {
  const data = { signedTransactionInfo: await store.sign(transactionPayload()), somethingNew: { deep: [1] } };
  const unknown = await notification(
    notificationPayload({ notificationType: "BRAND_NEW_2", subtype: "NEW", data }),
  );
  assert.deepEqual([unknown.type, unknown.subtype, unknown.transaction?.kind], [
    "BRAND_NEW_2",
    "NEW",
    "consumable",
  ]);
  // Signed by Apple, and in a form that is not known here: the notification is not lost for it.
  const odd = await notification(
    notificationPayload({ data: { signedTransactionInfo: await store.sign({ new: true }) } }),
  );
  assert.equal(odd.transaction, null);
});

Deno.test("a part that nobody knows yet says whose it is, and every part must be ours", async () => {
  const bare = { ...notificationPayload({ notificationType: "BRAND_NEW" }), data: undefined };
  const ours = { bundleId, appAppleId, environment: "Production", somethingNew: 1 };
  assert.equal((await notification({ ...bare, newData: ours })).type, "BRAND_NEW");
  const foreign = { ...ours, bundleId: "com.example.other" };
  assert.deepEqual(await read({ ...bare, newData: foreign }), { refusal: "wrong_app" });
  assert.deepEqual(await read({ ...notificationPayload(), newData: foreign }), { refusal: "wrong_app" });
  assert.deepEqual(await read({ ...bare, newData: { appAppleId } }), { refusal: "wrong_app" });
});

Deno.test("summaries and external purchases are ours by what they name", async () => {
  const bare = {
    ...notificationPayload({ notificationType: "RENEWAL_EXTENSION", subtype: "SUMMARY" }),
    data: undefined,
  };
  const summary = { bundleId, appAppleId, environment: "Sandbox", succeededCount: 5 };
  assert.equal((await notification({ ...bare, summary })).environment, "sandbox");
  for (const [externalPurchaseId, environment] of [["SANDBOX_1", "sandbox"], ["b2158121", "production"]]) {
    const externalPurchaseToken = { bundleId, appAppleId, externalPurchaseId };
    const told = await notification({
      ...bare,
      notificationType: "EXTERNAL_PURCHASE_TOKEN",
      externalPurchaseToken,
    });
    assert.equal(told.environment, environment);
  }
  assert.deepEqual(await read(bare), { refusal: "wrong_app" }, "one that names nobody");
});

Deno.test("a notification that is not ours is refused with its reason", async () => {
  const cases: [string, Record<string, unknown>, string][] = [
    ["another app", { bundleId: "com.example.other" }, "wrong_app"],
    ["another app of our name", { appAppleId: 1 }, "wrong_app"],
    ["no Apple id in production", { appAppleId: undefined }, "wrong_app"],
    ["Xcode", { environment: "Xcode" }, "wrong_environment"],
    ["tests", { environment: "LocalTesting" }, "wrong_environment"],
    ["another app's transaction", {
      signedTransactionInfo: await store.sign(transactionPayload({ bundleId: "com.example.other" })),
    }, "wrong_app"],
    [
      "a forged transaction",
      { signedTransactionInfo: await other.sign(transactionPayload()) },
      "invalid_signature",
    ],
    ["a forged renewal", { signedRenewalInfo: await other.sign(renewalPayload()) }, "invalid_signature"],
    ["Xcode's transaction", { signedTransactionInfo: apple.xcode.transaction }, "wrong_environment"],
    ["a transaction of another environment", {
      signedTransactionInfo: await store.sign(transactionPayload({ environment: "Sandbox" })),
    }, "wrong_environment"],
    ["a renewal of another environment", {
      signedRenewalInfo: await store.sign(renewalPayload({ environment: "Sandbox" })),
    }, "wrong_environment"],
  ];
  for (const [name, data, refusal] of cases) {
    assert.deepEqual(await read(notificationPayload({ data })), { refusal }, name);
  }
  const transaction = await store.sign(transactionPayload());
  assert.deepEqual(await readNotification(transaction, store.configuration, signedAt), {
    refusal: "not_a_transaction",
  });
  const forged = await other.sign(notificationPayload());
  assert.deepEqual(await readNotification(forged, store.configuration, signedAt), {
    refusal: "invalid_signature",
  });
});

Deno.test("the sandbox need not name the app's id", async () => {
  const payload = notificationPayload({ data: { environment: "Sandbox", appAppleId: undefined } });
  assert.equal((await notification(payload)).environment, "sandbox");
});

Deno.test("Apple's published notifications are read as ours or as another app's", async () => {
  const published = { ...trusting(apple.testRoot), bundleId: "com.example" };
  const answer = await readNotification(apple.signed.testNotification, published, signedAt);
  assert("notification" in answer);
  const { type, environment, notification_id, signed_at } = answer.notification;
  assert.deepEqual([type, environment, notification_id, signed_at], [
    "TEST",
    "sandbox",
    "9ad56bd2-0bc6-42e0-af24-fd996d87a1e6",
    "2023-04-12T15:45:24.000Z",
  ]);
  for (
    const [name, refusal] of [["testNotification", "wrong_app"], [
      "missingX5CHeaderClaim",
      "invalid_signature",
    ]] as const
  ) {
    assert.deepEqual(await readNotification(apple.signed[name], trusting(apple.testRoot), signedAt), {
      refusal,
    }, name);
  }
  // It names no environment either, so that it is nobody's.
  assert("refusal" in await readNotification(apple.signed.wrongBundleId, published, signedAt));
});
