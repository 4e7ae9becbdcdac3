import assert from "node:assert/strict";
import { AppError } from "../_shared/errors/app-error.ts";
import { testContext } from "../_shared/testing/context.ts";
import { deleteVideoJob } from "./service.ts";

const jobId = "0190a000-0000-7000-8000-00000000000a";

Deno.test("deleting asks the database for the caller's own job, and answers 204 without a body", async () => {
  const asked: string[][] = [];
  const context = testContext("user", {
    database: {
      deleteVideoJob: (userId: string, jobId: string) => {
        asked.push([userId, jobId]);
        return Promise.resolve();
      },
    },
  });
  assert.deepEqual(await deleteVideoJob({ job_id: jobId }, context), { status: 204 });
  assert.deepEqual(asked, [[context.caller.userId, jobId]]);
});

Deno.test("a refusal of the database is the answer", async () => {
  const refusal = new AppError("ERR_4009", { details: { status: "processing" } });
  const context = testContext("user", { database: { deleteVideoJob: () => Promise.reject(refusal) } });
  await assert.rejects(deleteVideoJob({ job_id: jobId }, context), refusal);
});
