import assert from "node:assert/strict";
import { AppError } from "../_shared/errors/app-error.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { deleteVideoJob } from "./service.ts";

const jobId = "0190a000-0000-7000-8000-00000000000a";

Deno.test("deleting asks the database for the caller's own job, and answers 204 without a body", async () => {
  const { database, calls } = fakeDatabase({
    delete_video_job: () => ({ deleted_at: "2026-11-20T12:00:00.000Z" }),
  });
  const context = testContext("user", { database });
  assert.deepEqual(await deleteVideoJob({ job_id: jobId }, context), { status: 204 });
  const args = { p_user_id: context.caller.userId, p_session_id: context.caller.sessionId, p_job_id: jobId };
  assert.deepEqual(calls, [{ name: "delete_video_job", args }]);
});

Deno.test("a refusal of the database is the answer", async () => {
  const refusal = new AppError("ERR_4009", { details: { status: "processing" } });
  const context = testContext("user", fakeDatabase({ delete_video_job: () => Promise.reject(refusal) }));
  await assert.rejects(deleteVideoJob({ job_id: jobId }, context), refusal);
});
