import assert from "node:assert/strict";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { sessionId, userId as adminId } from "../_shared/testing/tokens.ts";
import documentation from "./documentation.ts";
import { GetAdminErrorsQuery } from "./schema.ts";
import { listErrors } from "./service.ts";

const { errors } = documentation.GET.responses[200];
const caller = { p_admin_id: adminId, p_session_id: sessionId };

Deno.test("a page of errors is asked for by the admin of the token, and its cursor leads to the next one", async () => {
  const next = { minute: "2026-11-20T11:59:00+00:00", code: "ERR_6003", endpoint: "models", place: 1 };
  const { database, calls } = fakeDatabase({ admin_errors: () => ({ errors, next }) });
  const context = testContext("admin", { database });
  const query = GetAdminErrorsQuery.parse({ endpoint: "models", request_id: "a-request", limit: "1" });
  const { status, body } = await listErrors(query, context);
  assert(body?.next_cursor);
  assert.deepEqual([status, body.errors], [200, errors]);
  await listErrors(GetAdminErrorsQuery.parse({ cursor: body.next_cursor }), context);
  assert.deepEqual(calls.map(({ args }) => args), [
    { ...caller, p_endpoint: "models", p_request_id: "a-request", p_limit: 1, p_codes: null, p_after: null },
    { ...caller, p_limit: 20, p_codes: null, p_after: next },
  ]);
  await assert.rejects(listErrors(GetAdminErrorsQuery.parse({ cursor: "made-up" }), context), {
    code: "ERR_4008",
  });
});

Deno.test("a status means the codes that are answered with it", async () => {
  const { database, calls } = fakeDatabase({ admin_errors: () => ({ errors: [], next: null }) });
  const context = testContext("admin", { database });
  for (
    const query of [
      { status: "500" },
      { code: "ERR_6002" },
      { status: "500", code: "ERR_6003" },
      { status: "504", code: "ERR_6003" },
      { status: "599" },
    ]
  ) {
    await listErrors(GetAdminErrorsQuery.parse(query), context);
  }
  assert.deepEqual(calls.map(({ args }) => Object(args).p_codes), [
    ["ERR_6002", "ERR_6003"],
    ["ERR_6002"],
    ["ERR_6003"],
    [],
    [],
  ]);
});

Deno.test("what the error log cannot have is not asked for", () => {
  const wrong = [
    { code: "ERR_4001" },
    { code: "6003" },
    { status: "404" },
    { status: "5000" },
    {
      endpoint: "Models",
    },
    { endpoint: "" },
    { request_id: "" },
    { request_id: "a\u0000request" },
    { severity: "error" },
  ];
  for (const query of wrong) {
    assert(!GetAdminErrorsQuery.safeParse(query).success, JSON.stringify(query));
  }
});
