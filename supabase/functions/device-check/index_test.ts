import assert from "node:assert/strict";
import { fakeDataApi } from "../_shared/testing/data-api.ts";
import { testServer } from "../_shared/testing/server.ts";
import { userId } from "../_shared/testing/tokens.ts";
import endpoint from "./index.ts";

const laneId = "0190a000-0000-7000-8000-0000000000bb";
const appAccountToken = "0f0b4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10";
const deviceToken = "dG9rZW4=";
const post = { method: "POST", path: "device-check", json: { device_token: deviceToken, device_id: "d-1" } };
const begun = {
  user_id: userId,
  app_account_token: appAccountToken,
  credits_remaining: 0,
  is_new: true,
  is_granted: false,
  intent_good_in: null,
};

Deno.test("POST device-check makes four Data API calls where it grants", async () => {
  const { privateKey } = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
    "sign",
    "verify",
  ]);
  const pem = btoa(
    String.fromCharCode(...new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey))),
  );
  const environment = {
    APPLE_TEAM_ID: "TEAM123456",
    APPLE_DEVICE_CHECK_KEY_ID: "KEY1234567",
    APPLE_DEVICE_CHECK_PRIVATE_KEY: `-----BEGIN PRIVATE KEY-----\n${pem}\n-----END PRIVATE KEY-----`,
  };
  const { fetch, calls } = fakeDataApi({
    begin_device_check: () => ({ data: begun }),
    enter_device_lane: () => ({ data: { lane: laneId, retry_after: null } }),
    record_device_intent: () => ({ data: { recorded: true, is_granted: false } }),
    grant_device_credits: () => ({ data: { credits: 10, credits_remaining: 10 } }),
  }, (input) => {
    const { pathname } = new URL(String(input));
    const answer = pathname === "/v1/query_two_bits" ? "Failed to find bit state" : "";
    return Promise.resolve(new Response(answer));
  });
  const server = await testServer(endpoint.operations, environment, { fetch });
  const response = await server.send(post);
  assert.deepEqual([response.status, await response.json()], [200, {
    user_id: userId,
    app_account_token: appAccountToken,
    credits_remaining: 10,
    is_new: true,
    initial_grant: { status: "granted", credits: 10 },
  }]);
  await server.settled();
  assert.equal(calls.length, 4);
  assert.equal(server.lines.find(({ event }) => event === "request")?.data_api_calls, 4);
  assert(!JSON.stringify(server.lines).includes(deviceToken));
});

Deno.test("without Apple's keys nothing is granted unverified", async () => {
  const { fetch, calls } = fakeDataApi({ begin_device_check: () => ({ data: begun }) });
  const server = await testServer(endpoint.operations, {}, { fetch });
  const response = await server.send(post);
  assert.deepEqual((await response.json()).initial_grant, {
    status: "pending",
    credits: 0,
    reason: "apple_unavailable",
    retry_after: 360,
  });
  assert.equal(calls.length, 1);
});

Deno.test("a limit, a closed and a suspended account are refused before Apple is asked", async () => {
  const refusals: [string, number, Record<string, unknown>][] = [
    ["ERR_4004", 429, { policy: "device_check", retry_after: 60 }],
    ["ERR_4005", 401, {}],
    ["ERR_4017", 403, {}],
  ];
  for (const [code, status, details] of refusals) {
    const { fetch } = fakeDataApi({ begin_device_check: () => ({ error: code, details }) });
    const server = await testServer(endpoint.operations, {}, { fetch });
    const response = await server.send(post);
    const { error } = await response.json();
    assert.deepEqual([response.status, error.code, error.details], [status, code, details]);
  }
});
