import assert from "node:assert/strict";
import { AppError } from "../_shared/errors/app-error.ts";
import { examplePolicy } from "../_shared/ops/contract.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { sessionId, userId as adminId } from "../_shared/testing/tokens.ts";
import { PatchAdminLimitsRequest } from "./schema.ts";
import { changeLimit, listLimits } from "./service.ts";

const caller = { p_admin_id: adminId, p_session_id: sessionId };

Deno.test("the limits are asked for in one call, by the admin of the token", async () => {
  const { database, calls } = fakeDatabase({ get_admin_limits: () => ({ policies: [examplePolicy()] }) });
  const answer = await listLimits({}, testContext("admin", { database }));
  assert.deepEqual(answer, { status: 200, body: { policies: [examplePolicy()] } });
  assert.deepEqual(calls, [{ name: "get_admin_limits", args: caller }]);
});

Deno.test("a change is one call, with its reason, and leaves out what is not changed", async () => {
  const { database, calls } = fakeDatabase({ patch_admin_limits: () => examplePolicy() });
  const request = PatchAdminLimitsRequest.parse({ policy: "reads", max_hits: 60, reason: "a quiet week" });
  assert.equal((await changeLimit(request, testContext("admin", { database }))).status, 200);
  assert.deepEqual(calls, [{
    name: "patch_admin_limits",
    args: {
      ...caller,
      p_request_id: "test-request",
      p_policy: "reads",
      p_max_hits: 60,
      p_reason: "a quiet week",
    },
  }]);
});

Deno.test("a refusal of the database is the answer", async () => {
  for (const code of ["ERR_4006", "ERR_4007"] as const) {
    const refusal = new AppError(code);
    const { database } = fakeDatabase({ patch_admin_limits: () => Promise.reject(refusal) });
    const request = PatchAdminLimitsRequest.parse({ policy: "admin", max_hits: 60, reason: "for more" });
    await assert.rejects(changeLimit(request, testContext("admin", { database })), refusal);
  }
});

Deno.test("a limit is a whole number above zero, of a week at most, and every change has its reason", () => {
  const good = { policy: "reads", max_hits: 60, window_seconds: 60, reason: "a quiet week" };
  assert(PatchAdminLimitsRequest.safeParse(good).success);
  for (
    const wrong of [
      { max_hits: 0 },
      { max_hits: 1.5 },
      { max_hits: 1_000_001 },
      { window_seconds: 0 },
      { window_seconds: 604_801 },
      { reason: "" },
      { reason: undefined },
      { policy: "Reads" },
      { throttle_percent: 1 },
      { admits: 9 },
    ]
  ) {
    assert(!PatchAdminLimitsRequest.safeParse({ ...good, ...wrong }).success, JSON.stringify(wrong));
  }
});
