import assert from "node:assert/strict";
import { fakeDataApi } from "../testing/data-api.ts";
import { testRuntime } from "../testing/runtime.ts";
import { userId as adminId } from "../testing/tokens.ts";
import { admin } from "./admin.ts";

const userId = "0190a000-0000-7000-8000-0000000000bb";
const jobId = "0190a000-0000-7000-8000-0000000000aa";
const modelId = "0190a000-0000-7000-8000-000000000001";

Deno.test("each action of an admin is one call, with who acts, why and in which request", async () => {
  const moved = { transaction_id: jobId, new_balance: 7 };
  const { fetch, calls } = fakeDataApi({
    admin_refund_credits: () => ({ data: moved }),
    admin_adjust_credits: () => ({ data: moved }),
    admin_models: () => ({ data: { id: modelId, is_available: false } }),
    get_admin_users: () => ({ data: { user: { user_id: userId } } }),
    post_admin_users: () => ({ data: { user: { user_id: userId } } }),
  });
  const database = admin(testRuntime(fetch));
  const act = { adminId, requestId: "request-1", reason: "it flickers" };
  const credits = { ...act, userId, amount: 7, idempotency: { key: "key-1", fingerprint: "f" } };
  assert.deepEqual(await database.refundCredits({ ...credits, jobId }), moved);
  assert.deepEqual(await database.adjustCredits(credits), moved);
  assert.deepEqual(await database.changeModel({ ...act, modelId, isAvailable: false }), {
    id: modelId,
    is_available: false,
  });
  assert.deepEqual(await database.readUser(adminId, userId), { user: { user_id: userId } });
  assert.deepEqual(await database.banUser({ ...act, userId, isBanned: true }), { user: { user_id: userId } });

  const actArgs = { p_admin_id: adminId, p_request_id: "request-1", p_reason: "it flickers" };
  const creditsArgs = {
    ...actArgs,
    p_idempotency_key: "key-1",
    p_fingerprint: "f",
    p_user_id: userId,
    p_amount: 7,
  };
  assert.deepEqual(calls, [
    { name: "admin_refund_credits", args: { ...creditsArgs, p_job_id: jobId } },
    { name: "admin_adjust_credits", args: creditsArgs },
    { name: "admin_models", args: { ...actArgs, p_model_id: modelId, p_is_available: false } },
    { name: "get_admin_users", args: { p_admin_id: adminId, p_user_id: userId } },
    { name: "post_admin_users", args: { ...actArgs, p_user_id: userId, p_is_banned: true } },
  ]);
});
