import assert from "node:assert/strict";
import { exportPKCS8, generateKeyPair, jwtVerify } from "jose";
import { settableClock } from "../../testing/clock.ts";
import { broken, type FakeAnswer, fakeFetch, gatewayPage, json } from "../../testing/fake-fetch.ts";
import { type AppStoreApi, appStoreApi, type ConsumptionRequest } from "./server-api.ts";

const pair = await generateKeyPair("ES256", { extractable: true });
const privateKey = await exportPKCS8(pair.privateKey);

/** An adapter whose requests are answered in turn, and what it sent. */
function fakeApple(...answers: FakeAnswer[]) {
  const clock = settableClock();
  const { sent, fetch } = fakeFetch(...answers);
  const config = {
    bundleId: "com.example.kinora",
    issuerId: "57246542-96fe-1a63-e053-0824d011072a",
    keyId: "KEY1234567",
    privateKey,
    urls: { production: "https://api.storekit.apple.com", sandbox: "https://api.storekit-sandbox.apple.com" },
  };
  return { clock, sent, api: appStoreApi({ config, fetch, now: clock.now }) };
}

const period = { from: new Date(1_700_000_000_000), to: new Date(1_700_003_600_000) };
const consumption: ConsumptionRequest = {
  customerConsented: true,
  consumptionPercentage: 33_333,
  deliveryStatus: "DELIVERED",
  refundPreference: "GRANT_PRORATED",
  sampleContentProvided: true,
};
const calls: Record<string, (api: AppStoreApi) => Promise<unknown>> = {
  transaction: (api) => api.transaction("production", "1"),
  notificationHistory: (api) => api.notificationHistory("production", period, null),
  requestTest: (api) => api.requestTest("production"),
  sendConsumption: (api) => api.sendConsumption("production", "1", consumption),
};

Deno.test("a request is what Apple asks for, signed with our key, at the environment's host", async () => {
  const { api, sent, clock } = fakeApple(json({ signedTransactionInfo: "a.b.c" }));
  assert.deepEqual(await api.transaction("sandbox", "20/1"), { signedTransaction: "a.b.c" });
  const [request] = sent;
  assert(request);
  assert.equal(request.method, "GET");
  assert.equal(request.url, "https://api.storekit-sandbox.apple.com/inApps/v1/transactions/20%2F1");
  assert.equal(request.redirect, "manual");
  const token = request.headers.get("authorization")?.replace(/^Bearer /, "") ?? "";
  const { payload, protectedHeader } = await jwtVerify(token, pair.publicKey, {
    currentDate: new Date(clock.now()),
  });
  // A minute early: Apple refuses a token from the future, and our clock may be ahead of theirs.
  const issuedAt = clock.now() / 1000 - 60;
  assert.deepEqual(payload, {
    iss: "57246542-96fe-1a63-e053-0824d011072a",
    aud: "appstoreconnect-v1",
    bid: "com.example.kinora",
    iat: issuedAt,
    exp: issuedAt + 1_800,
  });
  assert.deepEqual(protectedHeader, { alg: "ES256", kid: "KEY1234567" });
});

Deno.test("a token is used again for 25 minutes, and made anew when Apple refuses it", async () => {
  const { api, sent, clock } = fakeApple(
    ...Array.from({ length: 3 }, () => json({ signedTransactionInfo: "a" })),
    json({}, 401),
    json({ signedTransactionInfo: "a" }),
  );
  for (const minutes of [0, 24, 2, 0]) {
    clock.advance(minutes * 60_000);
    await api.transaction("production", "1");
  }
  clock.advance(1_000);
  await api.transaction("production", "1");
  const [first, second, third, fourth, fifth] = sent.map(({ headers }) => headers.get("authorization"));
  assert.equal(first, second);
  assert.notEqual(second, third);
  assert.equal(third, fourth);
  assert.notEqual(fourth, fifth);
});

Deno.test("the history is asked for page by page", async () => {
  const { api, sent } = fakeApple(
    json({
      notificationHistory: [{ signedPayload: "a" }, { signedPayload: "b" }],
      hasMore: true,
      paginationToken: "t/1",
    }),
    json({
      notificationHistory: [{ signedPayload: "c", sendAttempts: [] }],
      hasMore: false,
      paginationToken: "t/2",
    }),
    json({}),
  );
  const first = await api.notificationHistory("production", period, null);
  assert.deepEqual(first, { signedPayloads: ["a", "b"], nextToken: "t/1" });
  assert.deepEqual(await api.notificationHistory("production", period, "t/1"), {
    signedPayloads: ["c"],
    nextToken: null,
  });
  assert.deepEqual(await api.notificationHistory("production", period, null), {
    signedPayloads: [],
    nextToken: null,
  });
  const base = "https://api.storekit.apple.com/inApps/v1/notifications/history";
  assert.deepEqual(sent.map(({ method, url, body }) => [method, url, body]), [
    ["POST", base, { startDate: 1_700_000_000_000, endDate: 1_700_003_600_000 }],
    ["POST", `${base}?paginationToken=t%2F1`, { startDate: 1_700_000_000_000, endDate: 1_700_003_600_000 }],
    ["POST", base, { startDate: 1_700_000_000_000, endDate: 1_700_003_600_000 }],
  ]);
});

Deno.test("a page of the history that is not known, or says more and not where, is no end of it", async () => {
  const payloads = [{ signedPayload: "a" }];
  const answers = [
    { notificationHistory: payloads, hasMore: true },
    { notificationHistory: payloads, hasMore: true, paginationToken: null },
    { notificationHistory: payloads, hasMore: true, paginationToken: "" },
    { notificationHistory: payloads, hasMore: "true", paginationToken: "t" },
    { notificationHistory: payloads, hasMore: true, paginationToken: 7 },
    { notificationHistory: [...payloads, { sendAttempts: [] }], hasMore: false },
    { notificationHistory: "none", hasMore: false },
  ];
  const { api } = fakeApple(...answers.map((answer) => json(answer)));
  for (const answer of answers) {
    const read = await api.notificationHistory("production", period, null);
    assert.equal("failure" in read && read.failure, "unavailable", JSON.stringify(answer));
  }
});

Deno.test("a test notification and a consumption are sent as Apple reads them", async () => {
  const { api, sent } = fakeApple(
    json({ testNotificationToken: "token" }),
    () => new Response(null, { status: 202 }),
  );
  assert.deepEqual(await api.requestTest("sandbox"), { testToken: "token" });
  assert.deepEqual(await api.sendConsumption("production", "2000", consumption), { accepted: true });
  assert.deepEqual(sent.map(({ method, url, body }) => [method, url, body]), [
    ["POST", "https://api.storekit-sandbox.apple.com/inApps/v1/notifications/test", null],
    ["PUT", "https://api.storekit.apple.com/inApps/v2/transactions/consumption/2000", consumption],
  ]);
});

Deno.test("what Apple refuses is told apart from what may pass, for every call", async () => {
  const error = (status: number, errorCode: number) =>
    json({ errorCode, errorMessage: "Of 2000000900000001." }, status);
  const cases: [FakeAnswer, Record<string, unknown>][] = [
    [error(404, 4040010), { failure: "not_found", cause: "Apple answered 404: 4040010" }],
    [error(404, 4040002), { failure: "unavailable", cause: "Apple answered 404: 4040002" }],
    [error(404, 4040004), { failure: "unavailable", cause: "Apple answered 404: 4040004" }],
    [error(404, 4040006), { failure: "unavailable", cause: "Apple answered 404: 4040006" }],
    [error(400, 4000035), { failure: "refused", cause: "Apple answered 400: 4000035" }],
    [error(403, 4030000), { failure: "refused", cause: "Apple answered 403: 4030000" }],
    [json({}, 401), { failure: "unauthorized", cause: "Apple answered 401" }],
    [() => new Response("Unauthenticated\n", { status: 401 }), {
      failure: "unauthorized",
      cause: "Apple answered 401",
    }],
    [error(500, 5000001), { failure: "unavailable", cause: "Apple answered 500: 5000001" }],
    [error(408, 4080000), { failure: "unavailable", cause: "Apple answered 408: 4080000" }],
    [gatewayPage(404), { failure: "unavailable", cause: "Apple answered 404" }],
    [gatewayPage(503), { failure: "unavailable", cause: "Apple answered 503" }],
    [() => Response.redirect("https://example.com/", 302), {
      failure: "unavailable",
      cause: "Apple answered 302",
    }],
    [broken("error sending request", "client error (Connect)"), {
      failure: "unavailable",
      cause: "no connection",
    }],
  ];
  for (const [name, call] of Object.entries(calls)) {
    for (const [answer, expected] of cases) {
      const { api, sent } = fakeApple(answer);
      assert.deepEqual(await call(api), expected, name);
      assert.equal(sent.length, 1, `${name} is sent once`);
    }
  }
});

Deno.test("Apple's time to come back is told in seconds, also where a proxy says it in the standard's way", async () => {
  const { clock: { now } } = fakeApple();
  const cases: [string | undefined, number | undefined][] = [
    [String(now() + 90_500), 91],
    [String(now() - 1), 0],
    ["9999999999999", 86_400],
    ["120", 120],
    [new Date(now() + 60_000).toUTCString(), 60],
    ["soon", undefined],
    [undefined, undefined],
  ];
  for (const [value, retryAfter] of cases) {
    const { api } = fakeApple(
      json({ errorCode: 4290000 }, 429, value === undefined ? {} : { "retry-after": value }),
    );
    assert.deepEqual(await api.transaction("production", "1"), {
      failure: "rate_limited",
      cause: "Apple answered 429: 4290000",
      ...(retryAfter === undefined ? {} : { retryAfter }),
    }, String(value));
  }
});

Deno.test("an answer that is not Apple's is none", async () => {
  for (const answer of [json([]), json({ signedTransactionInfo: 1 }), gatewayPage(200), json("a.b.c")]) {
    for (const call of [calls.transaction, calls.requestTest]) {
      const { api } = fakeApple(answer);
      assert.deepEqual(await call?.(api), {
        failure: "unavailable",
        cause: "Apple answered 200 with a text that is not known",
      });
    }
  }
});

Deno.test("a key that is none makes Apple unavailable, and breaks nothing", async () => {
  const { fetch, sent } = fakeFetch(json({}));
  const config = {
    ...{
      bundleId: "b",
      issuerId: "i",
      keyId: "k",
      privateKey: "-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n-----END PRIVATE KEY-----",
    },
    urls: { production: "https://api.storekit.apple.com", sandbox: "https://api.storekit-sandbox.apple.com" },
  };
  const answer = await appStoreApi({ config, fetch }).transaction("production", "1");
  assert("failure" in answer);
  assert.equal(answer.failure, "unavailable");
  assert.equal(sent.length, 0);
});
