import assert from "node:assert/strict";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { sessionId, userId as adminId } from "../_shared/testing/tokens.ts";
import { exampleCase } from "../_shared/safety/contract.ts";
import { PatchAdminReportsRequest } from "./schema.ts";
import { decideCase, listCases } from "./service.ts";

const shown = exampleCase();
const caller = { p_admin_id: adminId, p_session_id: sessionId };

Deno.test("a page is asked for by the admin of the token, and its cursor leads to the next one", async () => {
  const next = { opened_at: "2026-11-20T11:59:00.123456+00:00", id: shown.case_id };
  const { database, calls } = fakeDatabase({ get_admin_reports: () => ({ cases: [shown], next }) });
  const context = testContext("admin", { database });
  const { status, body } = await listCases({ limit: 1, status: "open" }, context);
  assert(body?.next_cursor);
  assert.deepEqual([status, body.cases], [200, [shown]]);
  await listCases({ limit: 2, cursor: body.next_cursor }, context);
  assert.deepEqual(calls.map(({ args }) => args), [
    { ...caller, p_limit: 1, p_status: "open", p_after: null },
    { ...caller, p_limit: 2, p_after: next },
  ]);
  await assert.rejects(listCases({ limit: 1, cursor: "made-up" }, context), { code: "ERR_4008" });
});

Deno.test("a decision is one call, with its reason", async () => {
  const { database, calls } = fakeDatabase({ patch_admin_reports: () => shown });
  const request = PatchAdminReportsRequest.parse({
    case_id: shown.case_id,
    decision: "remove",
    ground: "minors",
    reason: "for a reason",
  });
  assert.deepEqual(await decideCase(request, testContext("admin", { database })), {
    status: 200,
    body: shown,
  });
  assert.deepEqual(calls, [{
    name: "patch_admin_reports",
    args: {
      ...caller,
      p_request_id: "test-request",
      p_case_id: shown.case_id,
      p_decision: "remove",
      p_ground: "minors",
      p_reason: "for a reason",
    },
  }]);
});

Deno.test("what is removed has a ground, which its user is told, and nothing else has one", () => {
  const read = (changes: object) =>
    PatchAdminReportsRequest.safeParse({ case_id: shown.case_id, reason: "for a reason", ...changes })
      .success;
  for (const decision of ["keep", "remove", "suspend", "grant", "reject"]) {
    const removes = decision === "remove" || decision === "suspend";
    assert.equal(read({ decision }), !removes, decision);
    assert.equal(read({ decision, ground: "hate" }), removes, decision);
  }
  for (
    const wrong of [{ decision: "hide" }, { decision: "keep", reason: "" }, {
      decision: "remove",
      ground: "ugly",
    }]
  ) {
    assert(!read(wrong));
  }
});
