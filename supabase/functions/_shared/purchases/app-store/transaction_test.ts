import assert from "node:assert/strict";
import apple from "../../testing/app-store/apple-fixtures.json" with { type: "json" };
import {
  bundleId,
  notificationPayload,
  signedAt,
  testAppStore,
  transactionPayload,
  trusting,
} from "../../testing/app-store/signed-data.ts";
import { readTransaction, type StoreTransaction } from "./transaction.ts";

const store = await testAppStore();

async function read(changes: Record<string, unknown> = {}, configuration = store.configuration) {
  return await readTransaction(await store.sign(transactionPayload(changes)), configuration, signedAt);
}

async function transaction(changes: Record<string, unknown> = {}): Promise<StoreTransaction> {
  const answer = await read(changes);
  assert("transaction" in answer, JSON.stringify(answer));
  return answer.transaction;
}

Deno.test("a consumable is told in our words", async () => {
  assert.deepEqual(await transaction(), {
    transaction_id: "2000000900000001",
    original_transaction_id: "2000000900000001",
    product_id: "credits_100",
    kind: "consumable",
    quantity: 1,
    app_account_token: null,
    environment: "production",
    purchased_at: "2026-11-20T11:59:55.000Z",
    expires_at: null,
    signed_at: "2026-11-20T12:00:00.000Z",
    revoked_at: null,
    revocation_reason: null,
    revocation_type: null,
    revocation_percentage: null,
    is_family_shared: false,
    is_upgraded: false,
    is_free_trial: false,
    is_renewal: false,
    price_milliunits: 4990,
    currency: "USD",
    app_transaction_id: "704000000000000001",
  });
});

Deno.test("a subscription's period is told with its end, and as free where it cost nothing", async () => {
  const period = {
    type: "Auto-Renewable Subscription",
    originalTransactionId: "2000000900000000",
    expiresDate: Date.parse("2026-12-20T12:00:00Z"),
    quantity: 3,
  };
  const { kind, original_transaction_id, expires_at, quantity, is_free_trial } = await transaction(period);
  assert.deepEqual(
    { kind, original_transaction_id, expires_at, quantity, is_free_trial },
    {
      kind: "subscription",
      original_transaction_id: "2000000900000000",
      expires_at: "2026-12-20T12:00:00.000Z",
      quantity: 1,
      is_free_trial: false,
    },
  );
  const free = {
    "a trial": { offerType: 1, offerDiscountType: "FREE_TRIAL", price: 0 },
    "an offer for nothing": { offerType: 3, price: 0 },
  };
  for (const [name, offer] of Object.entries(free)) {
    assert.equal((await transaction({ ...period, ...offer })).is_free_trial, true, name);
    assert.equal((await transaction(offer)).is_free_trial, false, `${name} of a consumable`);
  }
  const reasons = { RENEWAL: true, PURCHASE: false };
  for (const [transactionReason, isRenewal] of Object.entries(reasons)) {
    assert.equal(
      (await transaction({ ...period, transactionReason })).is_renewal,
      isRenewal,
      transactionReason,
    );
  }
  assert.equal(
    (await transaction({ ...period, offerType: 2, offerDiscountType: "PAY_AS_YOU_GO" })).is_free_trial,
    false,
  );
});

Deno.test("what Apple took back is told with its share and its reason", async () => {
  const revocationDate = Date.parse("2026-11-21T00:00:00Z");
  const cases = [
    [{ revocationDate, revocationReason: 1 }, ["2026-11-21T00:00:00.000Z", 1, null, null]],
    [{ revocationDate, revocationReason: 0, revocationType: "REFUND_FULL", revocationPercentage: 100_000 }, [
      "2026-11-21T00:00:00.000Z",
      0,
      "full",
      100_000,
    ]],
    [{ revocationDate, revocationType: "REFUND_PRORATED", revocationPercentage: 33_333 }, [
      "2026-11-21T00:00:00.000Z",
      null,
      "prorated",
      33_333,
    ]],
    [{ revocationDate, revocationType: "FAMILY_REVOKE" }, [
      "2026-11-21T00:00:00.000Z",
      null,
      "family_revoke",
      null,
    ]],
    // What Apple may say one day must not hide that it was taken back.
    [{ revocationDate, revocationType: "SOMETHING_NEW", revocationPercentage: 100_001 }, [
      "2026-11-21T00:00:00.000Z",
      null,
      null,
      null,
    ]],
    [{ revocationDate, revocationType: "REFUND_IN_PARTS", revocationPercentage: 40_000 }, [
      "2026-11-21T00:00:00.000Z",
      null,
      "prorated",
      40_000,
    ]],
    [{ revocationDate, revocationPercentage: 40_000 }, [
      "2026-11-21T00:00:00.000Z",
      null,
      "prorated",
      40_000,
    ]],
    // Nor must a date of another form: it counts from when Apple signed it.
    ...["2026-11-21T00:00:00Z", -1, 1e15, {}].map((odd) =>
      [{ revocationDate: odd, revocationType: "REFUND_FULL" }, [
        "2026-11-20T12:00:00.000Z",
        null,
        "full",
        null,
      ]] as const
    ),
    [{ revocationDate: null }, [null, null, null, null]],
  ] as const;
  for (const [changes, expected] of cases) {
    const { revoked_at, revocation_reason, revocation_type, revocation_percentage } = await transaction(
      changes,
    );
    assert.deepEqual([revoked_at, revocation_reason, revocation_type, revocation_percentage], expected);
  }
});

Deno.test("owner, family, upgrade and environment are told", async () => {
  const token = "7E3FB20B-4CDB-47CC-936D-99D65F608138";
  assert.equal((await transaction({ appAccountToken: token })).app_account_token, token.toLowerCase());
  assert.equal((await transaction({ inAppOwnershipType: "FAMILY_SHARED" })).is_family_shared, true);
  assert.equal((await transaction({ isUpgraded: true })).is_upgraded, true);
  assert.equal((await transaction({ environment: "Sandbox" })).environment, "sandbox");
  assert.equal((await transaction({ quantity: 7 })).quantity, 7);
  assert.equal((await transaction({ type: "Non-Consumable" })).kind, "other");
  assert.equal(
    (await transaction({ originalTransactionId: undefined })).original_transaction_id,
    "2000000900000001",
  );
});

Deno.test("a field that is not as it must be is as if it were not there", async () => {
  const odd = {
    appAccountToken: "nobody",
    price: -1,
    currency: "dollars",
    quantity: 0,
    appTransactionId: "a/b",
    offerType: "1",
  };
  const { app_account_token, price_milliunits, currency, quantity, app_transaction_id } = await transaction(
    odd,
  );
  assert.deepEqual([app_account_token, price_milliunits, currency, quantity, app_transaction_id], [
    null,
    null,
    null,
    1,
    null,
  ]);
});

Deno.test("what the database could not read is not told to it: years of five digits, and numbers of more than 32 bits", async () => {
  const last = Date.parse("9999-12-31T23:59:59.999Z");
  assert.equal((await transaction({ expiresDate: last })).expires_at, "9999-12-31T23:59:59.999Z");
  const later = { expiresDate: last + 1, revocationDate: 8.64e15, revocationReason: 2 ** 31 };
  const { expires_at, revoked_at, revocation_reason } = await transaction(later);
  assert.deepEqual([expires_at, revoked_at, revocation_reason], [null, "2026-11-20T12:00:00.000Z", null]);
  assert.deepEqual(await read({ purchaseDate: last + 1 }), { refusal: "not_a_transaction" });
  for (const type of ["constructor", "__proto__", "toString"]) {
    assert.equal((await transaction({ type, revocationType: type })).kind, "other");
  }
});

Deno.test("what is signed and is no transaction of ours is refused with its reason", async () => {
  const cases: [string, Record<string, unknown>, string][] = [
    ["another app", { bundleId: "com.example.other" }, "wrong_app"],
    ["another app with our name as its beginning", { bundleId: `${bundleId}.x` }, "wrong_app"],
    ["Xcode", { environment: "Xcode" }, "wrong_environment"],
    ["tests", { environment: "LocalTesting" }, "wrong_environment"],
    ["an unknown environment", { environment: "Staging" }, "not_a_transaction"],
    ["no id", { transactionId: undefined }, "not_a_transaction"],
    ["an id that is no id", { transactionId: "../1" }, "not_a_transaction"],
    ["no product", { productId: "" }, "not_a_transaction"],
    ["no time", { purchaseDate: "yesterday" }, "not_a_transaction"],
    ["no type", { type: undefined }, "not_a_transaction"],
  ];
  for (const [name, changes, refusal] of cases) assert.deepEqual(await read(changes), { refusal }, name);
  const notification = await store.sign(notificationPayload());
  assert.deepEqual(await readTransaction(notification, store.configuration, signedAt), {
    refusal: "not_a_transaction",
  });
  const other = await testAppStore();
  const forged = await other.sign(transactionPayload());
  assert.deepEqual(await readTransaction(forged, store.configuration, signedAt), {
    refusal: "invalid_signature",
  });
});

Deno.test("Apple's published transaction is signed and says too little; Xcode's is one, where it counts", async () => {
  const published = { ...trusting(apple.testRoot), bundleId: "com.example" };
  assert.deepEqual(await readTransaction(apple.signed.transactionInfo, published, signedAt), {
    refusal: "not_a_transaction",
  });
  const local = {
    ...published,
    bundleId: "com.example.naturelab.backyardbirds.example",
    acceptsUnsigned: true,
  };
  const answer = await readTransaction(apple.xcode.transaction, local, signedAt);
  assert("transaction" in answer);
  const { transaction_id, kind, environment, purchased_at, is_free_trial } = answer.transaction;
  assert.deepEqual({ transaction_id, kind, environment, purchased_at, is_free_trial }, {
    transaction_id: "0",
    kind: "subscription",
    environment: "sandbox",
    purchased_at: "2023-10-19T01:45:36.049Z",
    is_free_trial: false,
  });
});
