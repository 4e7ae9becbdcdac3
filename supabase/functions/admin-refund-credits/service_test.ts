import assert from "node:assert/strict";
import type { PostedCredits } from "../_shared/ops/contract.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { fakeDataApi } from "../_shared/testing/data-api.ts";
import { type Sent, testServer } from "../_shared/testing/server.ts";
import { sessionId, userId as adminId } from "../_shared/testing/tokens.ts";
import endpoint from "./index.ts";
import { RefundCreditsRequest } from "./schema.ts";
import { refundCredits } from "./service.ts";

const userId = "0190a000-0000-7000-8000-0000000000bb";
const jobId = "0190a000-0000-7000-8000-0000000000aa";
const body = { user_id: userId, amount: 7, reason: "it flickers" };
const moved: PostedCredits = { transaction_id: "0190a000-0000-7000-8000-0000000000cc", new_balance: 17 };
const post: Sent = {
  method: "POST",
  path: "admin-refund-credits",
  headers: { "Idempotency-Key": "key-1" },
  json: body,
};

Deno.test("a refund is one call, by the admin of the token, with key, reason and job", async () => {
  const { database, calls } = fakeDatabase({ admin_refund_credits: () => moved });
  const context = testContext("admin", { database });
  const answer = { status: 200, body: { success: true, ...moved } };
  assert.deepEqual(await refundCredits({ ...body, job_id: jobId }, context), answer);
  assert.deepEqual(await refundCredits(body, context), answer);
  const args = {
    p_admin_id: adminId,
    p_request_id: "test-request",
    p_idempotency_key: "test-key",
    p_fingerprint: "0".repeat(64),
    p_user_id: userId,
    p_session_id: sessionId,
    p_amount: 7,
    p_reason: "it flickers",
  };
  assert.deepEqual(calls, [
    { name: "admin_refund_credits", args: { ...args, p_job_id: jobId } },
    { name: "admin_refund_credits", args },
  ]);
});

Deno.test("a request names a user, 1 to 10,000 credits and why, and a job where there is one", () => {
  const isTaken = (change: unknown) => RefundCreditsRequest.safeParse({ ...body, ...Object(change) }).success;
  for (const change of [{}, { amount: 1 }, { amount: 10_000 }, { job_id: jobId }]) assert(isTaken(change));
  for (const amount of [0, -1, 10_001, 1.5, "7", null, undefined, 2 ** 53]) {
    assert(!isTaken({ amount }), `${amount}`);
  }
  for (
    const change of [
      { user_id: "me" },
      { user_id: undefined },
      { reason: "no" },
      { reason: undefined },
      { job_id: "1" },
      { admin_id: adminId },
    ]
  ) {
    assert(!isTaken(change), JSON.stringify(change));
  }
  assert.equal(RefundCreditsRequest.parse({ ...body, user_id: userId.toUpperCase() }).user_id, userId);
});

Deno.test("a token without a second factor, and a guest's, are refused before the database is asked", async () => {
  const { fetch, calls } = fakeDataApi({ admin_refund_credits: () => ({ data: moved }) });
  const server = await testServer(endpoint.operations, {}, { fetch });
  for (const claims of [{ is_anonymous: false }, { aal: "aal2" }, {}]) {
    const response = await server.send({ ...post, token: await server.issuer.sign(claims) });
    assert.deepEqual([response.status, (await response.json()).error.code], [403, "ERR_4006"]);
  }
  assert.deepEqual(calls, []);
  const token = await server.issuer.sign({ is_anonymous: false, aal: "aal2" });
  const response = await server.send({ ...post, token });
  assert.deepEqual([response.status, await response.json()], [200, { success: true, ...moved }]);
});

Deno.test("each refusal of the procedure reaches the admin with its status", async () => {
  const refusals: [string, number, Record<string, unknown>][] = [
    ["ERR_4004", 429, { policy: "admin_credits", retry_after: 3600 }],
    ["ERR_4005", 401, {}],
    ["ERR_4006", 403, {}],
    ["ERR_4007", 404, {}],
    ["ERR_4008", 400, { fields: [{ path: "amount", message: "Must be at most 4, what the job cost" }] }],
    ["ERR_4009", 409, { status: "refunded" }],
    ["ERR_4011", 422, {}],
    ["ERR_4012", 409, { retry_after: 1 }],
    ["ERR_4017", 403, {}],
    ["ERR_6001", 503, { retry_after: 2 }],
  ];
  for (const [code, status, details] of refusals) {
    const { fetch } = fakeDataApi({ admin_refund_credits: () => ({ error: code, details }) });
    const server = await testServer(endpoint.operations, {}, { fetch });
    const token = await server.issuer.sign({ is_anonymous: false, aal: "aal2" });
    const response = await server.send({ ...post, token });
    const { error } = await response.json();
    assert.deepEqual([response.status, error.code, error.details], [status, code, details]);
  }
});
