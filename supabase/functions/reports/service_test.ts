import assert from "node:assert/strict";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { sessionId, userId } from "../_shared/testing/tokens.ts";
import { ReportsRequest } from "./schema.ts";
import { reportVideo } from "./service.ts";

const job_id = exampleIds.job;

Deno.test("a report is the caller's, and is one call", async () => {
  const report = {
    report_id: exampleIds.report,
    job_id,
    reason: "hate" as const,
    created_at: "2026-11-20T12:00:00.000Z",
  };
  const { database, calls } = fakeDatabase({ reports: () => report });
  const context = testContext("user", { database });
  assert.deepEqual(await reportVideo({ job_id, reason: "hate", details: "Look at it" }, context), {
    status: 202,
    body: report,
  });
  assert.deepEqual(calls, [{
    name: "reports",
    args: {
      p_user_id: userId,
      p_session_id: sessionId,
      p_job_id: job_id,
      p_reason: "hate",
      p_details: "Look at it",
    },
  }]);
});

Deno.test("a report has a reason of the list, and at most 2,000 characters", () => {
  const read = (request: object) => ReportsRequest.safeParse({ job_id, reason: "hate", ...request }).success;
  assert(read({}) && read({ details: "🦊".repeat(2_000) }) && read({ details: "a\nb" }));
  for (
    const wrong of [
      { reason: "ugly" },
      { reason: undefined },
      { details: "" },
      { details: " " },
      {
        details: "x".repeat(2_001),
      },
      { job_id: "1" },
      { user_id: userId },
      { content_id: job_id },
    ]
  ) assert(!read(wrong), JSON.stringify(wrong).slice(0, 80));
});
