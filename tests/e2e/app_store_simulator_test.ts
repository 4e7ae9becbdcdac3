/** The simulated App Store against what reads Apple's data and asks Apple's API. */
import assert from "node:assert/strict";
import { newDeviceCheckKey } from "../../local/simulators/device-check/device-check.ts";
import {
  type AppStoreOptions,
  type AppStoreRule,
  type AppStoreSimulator,
  startAppStoreSimulator,
} from "../../local/simulators/app-store/app-store.ts";
import type { Deed } from "../../local/simulators/app-store/deeds.ts";
import { readAppTransaction } from "../../supabase/functions/_shared/purchases/app-store/app-transaction.ts";
import { readNotification } from "../../supabase/functions/_shared/purchases/app-store/notification.ts";
import {
  type AppStoreApi,
  appStoreApi,
  type ConsumptionRequest,
} from "../../supabase/functions/_shared/purchases/app-store/server-api.ts";
import { readTransaction } from "../../supabase/functions/_shared/purchases/app-store/transaction.ts";
import { createAuthority } from "../../supabase/functions/_shared/testing/app-store/authority.ts";
import {
  appAppleId,
  bundleId,
  trusting,
} from "../../supabase/functions/_shared/testing/app-store/signed-data.ts";
import { startLoopbackServer } from "../../local/simulators/engine/loopback-server.ts";
import { eventually } from "./eventually.ts";

const key = await newDeviceCheckKey();
const account = { issuerId: "57246542-96fe-1a63-e053-0824d011072a", keyId: "KEY1234567" };
const authority = await createAuthority();
const hour = 60 * 60_000;

async function startStore(options: Partial<AppStoreOptions> = {}): Promise<AppStoreSimulator> {
  const whole = { bundleId, appAppleId, authority, account: { ...account, publicKey: key.publicKey } };
  return await startAppStoreSimulator({ ...whole, ...options });
}

function apiOf(
  store: AppStoreSimulator,
  changes: Partial<Parameters<typeof appStoreApi>[0]["config"]> = {},
): AppStoreApi {
  const urls = { production: store.url, sandbox: store.sandboxUrl };
  return appStoreApi({
    config: { bundleId, ...account, privateKey: key.privateKey, urls, ...changes },
    fetch,
  });
}

/** Who hears the store, and answers with the status that is set. */
async function startListener() {
  const heard: string[] = [];
  const listener = { status: 200, heard, url: "" };
  const server = await startLoopbackServer(0, async (request) => {
    const body: { signedPayload: string } = await request.json();
    heard.push(body.signedPayload);
    return new Response(null, { status: listener.status });
  });
  return Object.assign(listener, {
    url: server.url,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  });
}

const trusted = (store: AppStoreSimulator) => trusting(store.rootCertificate);

async function notificationOf(store: AppStoreSimulator, signedPayload: string) {
  const answer = await readNotification(signedPayload, trusted(store), new Date());
  assert("notification" in answer, JSON.stringify(answer));
  return answer.notification;
}

async function transactionOf(store: AppStoreSimulator, signed: string | null) {
  const answer = await readTransaction(signed ?? "", trusted(store), new Date());
  assert("transaction" in answer, JSON.stringify(answer));
  return answer.transaction;
}

/** All that has been told, in the order of Apple's history. */
async function history(store: AppStoreSimulator, environment: "production" | "sandbox" = "production") {
  const from = new Date(Date.now() - hour);
  const to = new Date(Date.now() + 1_000 * hour);
  const payloads: string[] = [];
  let token: string | null = null;
  do {
    const page: Awaited<ReturnType<AppStoreApi["notificationHistory"]>> = await apiOf(store)
      .notificationHistory(environment, { from, to }, token);
    assert("signedPayloads" in page, JSON.stringify(page));
    payloads.push(...page.signedPayloads);
    token = page.nextToken;
  } while (token !== null);
  return await Promise.all(payloads.map((payload) => notificationOf(store, payload)));
}

Deno.test("what a customer buys is signed as Apple signs it, and told", async () => {
  await using store = await startStore();
  await using listener = await startListener();
  store.notify(listener.url);
  const appAccountToken = crypto.randomUUID();
  const bought = await store.do({ deed: "buy", productId: "credits_100", quantity: 2, appAccountToken });
  const transaction = await transactionOf(store, bought.signed);
  assert.equal(transaction.transaction_id, bought.transactionId);
  assert.deepEqual(
    [
      transaction.product_id,
      transaction.kind,
      transaction.quantity,
      transaction.app_account_token,
      transaction.environment,
    ],
    ["credits_100", "consumable", 2, appAccountToken, "production"],
  );
  const payload = await eventually("the notification", () => listener.heard[0]);
  const notification = await notificationOf(store, payload);
  assert.deepEqual([notification.notification_id, notification.type], [
    bought.notificationId,
    "ONE_TIME_CHARGE",
  ]);
  assert.equal(notification.transaction?.transaction_id, bought.transactionId);
  assert(
    (notification.transaction?.signed_at ?? "") > transaction.signed_at,
    "each signature has its own time",
  );
});

Deno.test("each deed leaves the transaction as Apple would, and is told by Apple's name", async () => {
  await using store = await startStore();
  const buy = async (more: Partial<Extract<Deed, { deed: "buy" }>> = {}) => {
    const { transactionId } = await store.do({ deed: "buy", productId: "credits_100", ...more });
    assert(transactionId);
    return transactionId;
  };
  const id = await buy();
  const shared = await buy({ familyShared: true, environment: "Sandbox" });
  const steps: [Deed, string, unknown[]][] = [
    [{ deed: "refund", transactionId: id, percentage: 25_000, reason: 1 }, "REFUND", ["prorated", 25_000, 1]],
    [{ deed: "refund", transactionId: id }, "REFUND", ["full", 100_000, 0]],
    [{ deed: "reverse", transactionId: id }, "REFUND_REVERSED", [null, null, null]],
    [{ deed: "request_refund", transactionId: id, reason: "OTHER" }, "CONSUMPTION_REQUEST", [
      null,
      null,
      null,
    ]],
    [{ deed: "decline", transactionId: id }, "REFUND_DECLINED", [null, null, null]],
    [{ deed: "revoke", transactionId: shared }, "REVOKE", ["family_revoke", null, 0]],
    [{ deed: "notify", type: "BRAND_NEW", subtype: "ODD", transactionId: id }, "BRAND_NEW", [
      null,
      null,
      null,
    ]],
  ];
  for (const [deed, type, expected] of steps) {
    const { notificationId, signed } = await store.do(deed);
    const environment = deed.deed === "revoke" ? "sandbox" : "production";
    const told = (await history(store, environment)).find(({ notification_id }) =>
      notification_id === notificationId
    );
    assert(told, type);
    assert.equal(told.type, type);
    for (const transaction of [told.transaction, signed && await transactionOf(store, signed)]) {
      if (transaction === null) continue;
      assert(transaction);
      const { revocation_type, revocation_percentage, revocation_reason, revoked_at } = transaction;
      assert.deepEqual([revocation_type, revocation_percentage, revocation_reason], expected, type);
      assert.equal(revoked_at !== null, revocation_type !== null);
    }
    if (type === "CONSUMPTION_REQUEST") assert.equal(told.consumption_request_reason, "OTHER");
  }
  const rescinded = await store.do({ deed: "rescind_consent" });
  const told = (await history(store)).find(({ notification_id }) =>
    notification_id === rescinded.notificationId
  );
  assert.match(told?.app_data?.app_transaction_id ?? "", /^\d+$/);
  const { signed } = await store.do({ deed: "app_transaction" });
  const own = await readAppTransaction(signed ?? "", trusted(store), new Date());
  assert(
    "appTransaction" in own && own.appTransaction.app_transaction_id === told?.app_data?.app_transaction_id,
  );
  const impossible: Deed[] = [
    { deed: "refund", transactionId: "1" },
    { deed: "reverse", transactionId: id },
    { deed: "revoke", transactionId: id },
  ];
  for (const deed of impossible) await assert.rejects(store.do(deed), Error, deed.deed);
});

Deno.test("what is not acknowledged is told again after 1, 12, 24, 48 and 72 hours, and then no more", async () => {
  await using store = await startStore();
  await using listener = await startListener();
  store.notify(listener.url);
  listener.status = 503;
  await store.do({ deed: "buy", productId: "credits_100" });
  await eventually("the first attempt", () => listener.heard[0]);
  for (const [index, hours] of [1, 12, 24, 48, 72].entries()) {
    const attempts = async (count: number) => {
      const { deliveries } = await store.control.report();
      return deliveries[0]?.attempts === count ? true : undefined;
    };
    await eventually("it is written down", () => attempts(index + 1));
    await store.control.elapse(hours * hour - 60_000);
    assert.equal(listener.heard.length, index + 1, `not before ${hours} h`);
    await store.control.elapse(60_000);
    await eventually("the next attempt", () => listener.heard[index + 1]);
  }
  const [delivery] = await eventually("it is given up", async () => {
    const { deliveries } = await store.control.report();
    return deliveries[0]?.state === "given_up" ? deliveries : undefined;
  });
  assert.equal(delivery?.attempts, 6);
  assert.equal(new Set(listener.heard).size, 1, "always the same");
});

Deno.test("notifications are lost, doubled, late and forged on request, and are in the history all the same", async () => {
  await using store = await startStore();
  await using listener = await startListener();
  store.notify(listener.url);
  const ids: string[] = [];
  const buy = async (rule: Omit<Extract<AppStoreRule, { for: "notification" }>, "for">) => {
    await store.control.rules({ for: "notification", ...rule });
    const { notificationId } = await store.do({ deed: "buy", productId: "credits_100" });
    ids.push(notificationId ?? "");
  };
  const heard = (count: number) =>
    eventually(`${count} were heard`, () => listener.heard.length === count ? listener.heard : undefined);
  await buy({ delivery: "lost" });
  await buy({ delivery: "genuine", milliseconds: hour });
  await buy({ delivery: "duplicated" });
  const [one, two] = await heard(2);
  assert.equal(one, two);
  assert.equal((await notificationOf(store, one ?? "")).notification_id, ids[2]);
  await store.control.elapse(hour);
  const late = (await heard(3))[2] ?? "";
  assert.equal((await notificationOf(store, late)).notification_id, ids[1], "after the one that came later");
  const attacks = {
    forged: "invalid_signature",
    other_app: "wrong_app",
    other_environment: "wrong_environment",
  } as const;
  for (const [delivery, refusal] of Object.entries(attacks)) {
    listener.status = 401;
    await buy({ delivery: delivery as keyof typeof attacks });
    const payload = (await heard(ids.length))[ids.length - 1] ?? "";
    assert.deepEqual(await readNotification(payload, trusted(store), new Date()), { refusal }, delivery);
  }
  assert.deepEqual((await history(store)).map(({ notification_id }) => notification_id), ids);
});

Deno.test("the history gives twenty at a time, of one environment, and only what Apple would", async () => {
  await using store = await startStore();
  const ids: (string | null)[] = [];
  for (let count = 0; count < 45; count++) {
    ids.push((await store.do({ deed: "buy", productId: "credits_100" })).notificationId);
  }
  const inSandbox = await store.do({ deed: "buy", productId: "credits_100", environment: "Sandbox" });
  assert.deepEqual((await history(store)).map(({ notification_id }) => notification_id), ids);
  assert.deepEqual((await history(store, "sandbox")).map(({ notification_id }) => notification_id), [
    inSandbox.notificationId,
  ]);
  const ask = (from: number, to: number, token: string | null = null) =>
    apiOf(store).notificationHistory("production", { from: new Date(from), to: new Date(to) }, token);
  const now = Date.now();
  const refused = (errorCode: number) => ({ failure: "refused", cause: `Apple answered 400: ${errorCode}` });
  assert.deepEqual(await ask(now, now), refused(4000013));
  assert.deepEqual(await ask(now - 181 * 24 * hour, now), refused(4000012));
  assert.deepEqual(await ask(now - hour, now, "nonsense"), refused(4000014));
});

Deno.test("only our key, for our app, is answered", async () => {
  await using store = await startStore();
  const other = await newDeviceCheckKey();
  const wrong = [
    { keyId: "KEY0000000" },
    { issuerId: "00000000-96fe-1a63-e053-0824d011072a" },
    { bundleId: "com.example.other" },
    { privateKey: other.privateKey },
  ];
  for (const changes of wrong) {
    assert.deepEqual(
      await apiOf(store, changes).transaction("production", "1"),
      { failure: "unauthorized", cause: "Apple answered 401" },
      JSON.stringify(Object.keys(changes)),
    );
  }
  assert.deepEqual(await apiOf(store).transaction("production", "1"), {
    failure: "not_found",
    cause: "Apple answered 404: 4040010",
  });
});

Deno.test("a transaction is found in its environment, as it is now, and so are an account's refunds", async () => {
  await using store = await startStore();
  const { transactionId } = await store.do({ deed: "buy", productId: "credits_100", environment: "Sandbox" });
  assert(transactionId);
  const api = apiOf(store);
  assert.equal("failure" in await api.transaction("production", transactionId), true);
  await store.do({ deed: "refund", transactionId });
  const found = await api.transaction("sandbox", transactionId);
  assert("signedTransaction" in found);
  assert.equal((await transactionOf(store, found.signedTransaction)).revocation_type, "full");
  assert.deepEqual(await api.transaction("production", "no-number"), {
    failure: "refused",
    cause: "Apple answered 400: 4000006",
  });
});

Deno.test("an answer about consumption is checked as Apple checks it", async () => {
  await using store = await startStore();
  const { transactionId } = await store.do({ deed: "buy", productId: "credits_100" });
  assert(transactionId);
  const request: ConsumptionRequest = {
    customerConsented: true,
    consumptionPercentage: 50_000,
    deliveryStatus: "DELIVERED",
    refundPreference: "GRANT_PRORATED",
    sampleContentProvided: true,
  };
  const send = (changes: Record<string, unknown> = {}, id = transactionId) =>
    apiOf(store).sendConsumption("production", id, { ...request, ...changes });
  await store.do({ deed: "request_refund", transactionId });
  assert.deepEqual(await send(), { accepted: true });
  const wrong: [Record<string, unknown>, number][] = [
    [{ customerConsented: false }, 4000035],
    [{ consumptionPercentage: 100_001 }, 4000034],
    [{ consumptionPercentage: 0.5 }, 4000034],
    [{ deliveryStatus: "LOST" }, 4000036],
    [{ refundPreference: "MAYBE" }, 4000044],
    [{ sampleContentProvided: "yes" }, 4000041],
  ];
  for (const [changes, errorCode] of wrong) {
    assert.deepEqual(await send(changes), { failure: "refused", cause: `Apple answered 400: ${errorCode}` });
  }
  assert.deepEqual(await send({}, "1"), { failure: "not_found", cause: "Apple answered 404: 4040010" });
  await store.control.elapse(13 * hour);
  assert.deepEqual(await send(), { accepted: true });
  const { consumptions } = await store.control.report();
  assert.deepEqual(consumptions.map(({ inTime }) => inTime), [true, false]);
  assert.deepEqual(consumptions[0]?.body, request);
});

Deno.test("the API misbehaves on request, as its client tells", async () => {
  await using store = await startStore();
  const { transactionId } = await store.do({ deed: "buy", productId: "credits_100" });
  const cases: [Omit<Extract<AppStoreRule, { for: "api" }>, "for">, string, number?][] = [
    [{ effect: "rate_limited", milliseconds: 60_000 }, "rate_limited", 60],
    [{ effect: "server_error" }, "unavailable"],
    [{ effect: "unauthorized" }, "unauthorized"],
    [{ effect: "gateway" }, "unavailable"],
    [{ effect: "garbage" }, "unavailable"],
    // The runtime asks again by itself where a connection closes before an answer.
    [{ effect: "down", times: 10 }, "unavailable"],
  ];
  for (const [rule, expected, retryAfter] of cases) {
    await store.control.rules({ for: "api", operation: "transaction", ...rule });
    const answer = await apiOf(store).transaction("production", transactionId ?? "");
    assert("failure" in answer, rule.effect);
    assert.deepEqual([answer.failure, answer.retryAfter], [expected, retryAfter], rule.effect);
    await store.control.reset();
  }
  await store.control.rules({ for: "api", effect: "slow", milliseconds: hour });
  const slow = apiOf(store).transaction("production", transactionId ?? "");
  await eventually("it waits", async () => (await store.control.report()).requests[0]);
  await store.control.elapse(hour);
  assert("signedTransaction" in await slow);
});

Deno.test("a test notification comes, and its status can be asked for", async () => {
  await using store = await startStore();
  assert.deepEqual(await apiOf(store).requestTest("production"), {
    failure: "not_found",
    cause: "Apple answered 404: 4040007",
  });
  await using listener = await startListener();
  store.notify(listener.url);
  const test = await apiOf(store).requestTest("sandbox");
  assert("testToken" in test);
  const told = await notificationOf(store, await eventually("it comes", () => listener.heard[0]));
  assert.deepEqual([told.type, told.environment, told.transaction], ["TEST", "sandbox", null]);
});

Deno.test("a store that ends and starts again remembers what it sold, and still tells what is due", async () => {
  const folder = await Deno.makeTempDir();
  await using listener = await startListener();
  listener.status = 503;
  try {
    const stateFile = `${folder}/app-store.json`;
    let transactionId: string | null;
    {
      await using store = await startStore({ stateFile });
      store.notify(listener.url);
      ({ transactionId } = await store.do({ deed: "buy", productId: "credits_100" }));
      await eventually(
        "it was tried",
        async () => (await store.control.report()).deliveries.find((each) => each.attempts > 0),
      );
    }
    listener.status = 200;
    await using store = await startStore({ stateFile });
    await store.do({ deed: "refund", transactionId: transactionId ?? "" });
    await store.control.elapse(hour);
    await eventually("both are there", async () => {
      const { deliveries } = await store.control.report();
      return deliveries.every(({ state }) => state === "delivered") && deliveries.length === 2
        ? true
        : undefined;
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
