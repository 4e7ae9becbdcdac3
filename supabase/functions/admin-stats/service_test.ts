import assert from "node:assert/strict";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { sessionId, userId as adminId } from "../_shared/testing/tokens.ts";
import documentation from "./documentation.ts";
import { GetAdminStatsQuery } from "./schema.ts";
import { showStats } from "./service.ts";

Deno.test("a span is asked for by the admin of the token, and answered as the database tells it", async () => {
  const stats = documentation.GET.responses[200];
  const { database, calls } = fakeDatabase({ admin_stats: () => stats });
  const answer = await showStats(
    GetAdminStatsQuery.parse({ span: "month" }),
    testContext("admin", { database }),
  );
  assert.deepEqual(answer, { status: 200, body: stats });
  assert.deepEqual(calls.map(({ args }) => args), [
    { p_admin_id: adminId, p_session_id: sessionId, p_span: "month" },
  ]);
});

Deno.test("a span is an hour, a day or a month", () => {
  for (const query of [{}, { span: "" }, { span: "year" }, { span: "hour", step: "60" }]) {
    assert(!GetAdminStatsQuery.safeParse(query).success, JSON.stringify(query));
  }
});
