import assert from "node:assert/strict";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";
import { AppError } from "../_shared/errors/app-error.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { sessionId, userId } from "../_shared/testing/tokens.ts";
import { AppealsRequest } from "./schema.ts";
import { appealRemoval } from "./service.ts";

const request = { job_id: exampleIds.job, statement: "It is me" };

Deno.test("an appeal is the caller's, and is one call", async () => {
  const appeal = { job_id: exampleIds.job, status: "appealed" as const };
  const { database, calls } = fakeDatabase({ appeals: () => appeal });
  assert.deepEqual(await appealRemoval(request, testContext("user", { database })), {
    status: 202,
    body: appeal,
  });
  assert.deepEqual(calls, [{
    name: "appeals",
    args: { p_user_id: userId, p_session_id: sessionId, p_job_id: exampleIds.job, p_statement: "It is me" },
  }]);
});

Deno.test("a refusal of the database is the answer, and an appeal says something", async () => {
  const refusal = new AppError("ERR_4009", { details: { status: "appealed" } });
  const context = testContext("user", fakeDatabase({ appeals: () => Promise.reject(refusal) }));
  await assert.rejects(appealRemoval(request, context), refusal);
  for (const statement of ["", " ", undefined, "x".repeat(2_001)]) {
    assert(!AppealsRequest.safeParse({ ...request, statement }).success);
  }
});
