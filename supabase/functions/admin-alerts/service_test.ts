import assert from "node:assert/strict";
import { exampleAlert, exampleAlertRule } from "../_shared/ops/contract.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { sessionId, userId as adminId } from "../_shared/testing/tokens.ts";
import { PatchAdminAlertsRequest } from "./schema.ts";
import { changeAlerts, listAlerts } from "./service.ts";

const caller = { p_admin_id: adminId, p_session_id: sessionId };
const alert = exampleAlert();
const rule = exampleAlertRule();
const reason = "for a reason";

Deno.test("a page is asked for by the admin of the token, and its cursor leads to the next one", async () => {
  const next = { raised_at: "2026-11-20T11:59:00.123456+00:00", id: alert.alert_id };
  const page = { alerts: [alert], rules: [rule], incidents: [], next };
  const { database, calls } = fakeDatabase({ get_admin_alerts: () => page });
  const context = testContext("admin", { database });
  const { status, body } = await listAlerts({ limit: 1, status: "open" }, context);
  assert(body?.next_cursor);
  assert.deepEqual([status, body.alerts, body.rules], [200, [alert], [rule]]);
  await listAlerts({ limit: 2, cursor: body.next_cursor }, context);
  assert.deepEqual(calls.map(({ args }) => args), [
    { ...caller, p_limit: 1, p_status: "open", p_after: null },
    { ...caller, p_limit: 2, p_after: next },
  ]);
  await assert.rejects(listAlerts({ limit: 1, cursor: "made-up" }, context), { code: "ERR_4008" });
});

Deno.test("to acknowledge an alert and to change a rule is one call each, with its reason", async () => {
  const requests = [
    { alert_id: alert.alert_id, acknowledged: true, reason },
    { rule: "spending", warning: 60, action: "throttle", policies: ["reads"], reason },
    { rule: "spending", is_pinned: false, reason },
  ];
  for (const json of requests) {
    const { database, calls } = fakeDatabase({ patch_admin_alerts: () => ({ alert: null, rule }) });
    const request = PatchAdminAlertsRequest.parse(json);
    const answer = await changeAlerts(request, testContext("admin", { database }));
    assert.deepEqual(answer, { status: 200, body: { alert: null, rule } });
    const fields = Object.fromEntries(Object.entries(json).map(([name, value]) => [`p_${name}`, value]));
    assert.deepEqual(calls, [{
      name: "patch_admin_alerts",
      args: { ...fields, ...caller, p_request_id: "test-request" },
    }]);
  }
});

Deno.test("a request is about an alert or about a rule, and names only what can be changed", () => {
  const good = [
    { alert_id: alert.alert_id, acknowledged: false, reason },
    { rule: "spending", reason },
    {
      rule: "spending",
      throttle_percent: 10,
      flags: ["generation", "providers.{subject}", "providers.fal"],
      reason,
    },
  ];
  const wrong = [
    { reason },
    { alert_id: alert.alert_id, reason },
    { acknowledged: true, reason },
    { alert_id: alert.alert_id, acknowledged: true, rule: "spending", reason },
    { alert_id: alert.alert_id, acknowledged: true, warning: 1, reason },
    { rule: "spending", acknowledged: true, reason },
    { rule: "spending" },
    { rule: "spending", action: "delete", reason },
    { rule: "spending", throttle_percent: 9, reason },
    { rule: "spending", throttle_percent: 100, reason },
    { rule: "spending", flags: ["processing_consent"], reason },
    { rule: "spending", flags: ["generation grants"], reason },
    { rule: "spending", metric: "pg_sleep", reason },
    { rule: "spending", warning: 1e16, reason },
    { rule: "Spending", reason },
  ];
  for (const request of good) {
    assert(PatchAdminAlertsRequest.safeParse(request).success, JSON.stringify(request));
  }
  for (const request of wrong) {
    assert(!PatchAdminAlertsRequest.safeParse(request).success, JSON.stringify(request));
  }
});
