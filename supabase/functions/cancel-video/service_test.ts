import assert from "node:assert/strict";
import { AppError } from "../_shared/errors/app-error.ts";
import type { JobStatus } from "../_shared/videos/job-status.ts";
import type { StoredJob } from "../_shared/videos/contract.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { storedJob } from "../_shared/testing/jobs.ts";
import { fakeProviders } from "../_shared/testing/provider.ts";
import { fakeStorage } from "../_shared/testing/storage.ts";
import { fakeWeb } from "../_shared/testing/web.ts";
import { sessionId, userId } from "../_shared/testing/tokens.ts";
import { cancelVideo } from "./service.ts";

const jobId = "0190a000-0000-7000-8000-00000000000a";

function job(status: JobStatus): StoredJob {
  const isCancelled = status === "cancelled";
  return storedJob({
    job_id: jobId,
    status,
    credits_used: isCancelled ? 0 : 4,
    completed_at: isCancelled ? "2026-11-20T12:00:01.000Z" : null,
  });
}

/** A context whose database answers with the job, and which counts how often the worker looked for its tasks. */
function contextWith(answer: () => Promise<StoredJob>) {
  const claimed: unknown[] = [];
  const { database, calls } = fakeDatabase({
    cancel_video: async () => ({ job: await answer() }),
    // No task is claimed, so that nothing else is asked.
    claim_tasks: ({ p_subject }) => {
      claimed.push(p_subject);
      return [];
    },
  });
  const context = testContext("user", {
    database,
    moderation: null,
    providers: fakeProviders(),
    storage: fakeStorage(),
    uploads: fakeStorage(),
    web: fakeWeb(),
    fetch: () => Promise.reject(new Error("This test has no network")),
  });
  return { context, claimed, calls };
}

Deno.test("a video is cancelled in one call, for the caller of the token", async () => {
  const { context, calls } = contextWith(() => Promise.resolve(job("cancelled")));
  await cancelVideo({ job_id: jobId }, context);
  assert.deepEqual(calls, [{
    name: "cancel_video",
    args: { p_user_id: userId, p_session_id: sessionId, p_job_id: jobId },
  }]);
});

Deno.test("a job that is cancelled at once answers 200 and wakes no worker", async () => {
  const { context, claimed } = contextWith(() => Promise.resolve(job("cancelled")));
  const answer = await cancelVideo({ job_id: jobId }, context);
  await context.settled();
  assert.equal(answer.status, 200);
  assert.equal(answer.body?.status, "cancelled");
  assert.deepEqual(claimed, []);
});

Deno.test("a job that a provider has answers 202, and its provider is asked after the answer", async () => {
  const { context, claimed } = contextWith(() => Promise.resolve(job("processing")));
  const answer = await cancelVideo({ job_id: jobId }, context);
  assert.equal(answer.status, 202);
  assert.equal(answer.body?.status, "processing");
  await context.settled();
  assert.deepEqual(claimed, [jobId]);
});

Deno.test("a refusal wakes no worker", async () => {
  const refusal = new AppError("ERR_4009", { details: { status: "completed" } });
  const { context, claimed } = contextWith(() => Promise.reject(refusal));
  await assert.rejects(cancelVideo({ job_id: jobId }, context), refusal);
  await context.settled();
  assert.deepEqual(claimed, []);
});
