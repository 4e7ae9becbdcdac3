import assert from "node:assert/strict";
import type { PostedCredits } from "../_shared/ops/contract.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { fakeDataApi } from "../_shared/testing/data-api.ts";
import { testServer } from "../_shared/testing/server.ts";
import { sessionId, userId as adminId } from "../_shared/testing/tokens.ts";
import endpoint from "./index.ts";
import { AdjustCreditsRequest } from "./schema.ts";
import { adjustCredits } from "./service.ts";

const userId = "0190a000-0000-7000-8000-0000000000bb";
const body = { user_id: userId, amount: -7, reason: "given twice" };
const moved: PostedCredits = { transaction_id: "0190a000-0000-7000-8000-0000000000cc", new_balance: 0 };

Deno.test("an adjustment is one call, by the admin of the token, with key and reason", async () => {
  const { database, calls } = fakeDatabase({ admin_adjust_credits: () => moved });
  const context = testContext("admin", { database });
  assert.deepEqual(await adjustCredits(body, context), { status: 200, body: { success: true, ...moved } });
  assert.deepEqual(calls, [{
    name: "admin_adjust_credits",
    args: {
      p_admin_id: adminId,
      p_request_id: "test-request",
      p_idempotency_key: "test-key",
      p_fingerprint: "0".repeat(64),
      p_user_id: userId,
      p_session_id: sessionId,
      p_amount: -7,
      p_reason: "given twice",
    },
  }]);
});

Deno.test("an amount is 1 to 10,000 credits, added or taken", () => {
  const isTaken = (amount: unknown) => AdjustCreditsRequest.safeParse({ ...body, amount }).success;
  for (const amount of [-10_000, -1, 1, 10_000]) assert(isTaken(amount), `${amount}`);
  for (const amount of [0, -0, -10_001, 10_001, 0.5, "1", null, undefined]) {
    assert(!isTaken(amount), `${amount}`);
  }
  assert(!AdjustCreditsRequest.safeParse({ ...body, job_id: userId }).success, "it is for no job");
});

Deno.test("each refusal of the procedure reaches the admin with its status, and a replay says so", async () => {
  const answers: [object, number, string | null][] = [
    [{ data: moved, replayed: true }, 200, "true"],
    [{ error: "ERR_4001", details: { required: 7, available: 1 } }, 402, null],
    [{ error: "ERR_4004", details: { policy: "admin", retry_after: 3 } }, 429, null],
    [{ error: "ERR_4006", details: {} }, 403, null],
    [{ error: "ERR_4007", details: {} }, 404, null],
    [{ error: "ERR_4009", details: { status: "closed" } }, 409, null],
    [{ error: "ERR_6001", details: {} }, 503, null],
  ];
  for (const [answer, status, replayed] of answers) {
    const { fetch } = fakeDataApi({ admin_adjust_credits: () => answer });
    const server = await testServer(endpoint.operations, {}, { fetch });
    const response = await server.send({
      method: "POST",
      path: "admin-adjust-credits",
      headers: { "Idempotency-Key": "key-1" },
      json: body,
      token: await server.issuer.sign({ is_anonymous: false, aal: "aal2" }),
    });
    assert.deepEqual([response.status, response.headers.get("idempotency-replayed")], [status, replayed]);
    await response.body?.cancel();
  }
});
