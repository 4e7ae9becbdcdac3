import assert from "node:assert/strict";
import { storedJob } from "../testing/jobs.ts";
import { Job, shownJob, StoredJob } from "./contract.ts";

const job = storedJob({
  status: "failed",
  credits_used: 0,
  error: { code: "ERR_4003", details: { reason: "provider_policy" } },
});

Deno.test("a job's error gets its message in the caller's language, and keeps code and details", () => {
  const messages = (["en", "tr", "es"] as const).map((language) => {
    const { error } = shownJob(job, language);
    assert.deepEqual([error?.code, error?.details], ["ERR_4003", { reason: "provider_policy" }]);
    return error?.message;
  });
  assert.equal(new Set(messages).size, 3);
  for (const message of messages) assert.match(message ?? "", /^\p{Lu}.*\.$/u);
});

Deno.test("a job without an error has none, and nothing else of it changes", () => {
  const healthy = { ...job, error: null };
  assert.deepEqual(shownJob(healthy, "tr"), healthy);
});

Deno.test("a job fits the contract's schema, which wants times in UTC with milliseconds", () => {
  assert(Job.safeParse(shownJob(job, "en")).success);
  for (const created_at of ["2026-11-20T12:00:00Z", "2026-11-20T12:00:00.000+01:00", "2026-11-20"]) {
    assert(!Job.safeParse({ ...shownJob(job, "en"), created_at }).success, created_at);
  }
  assert(!Job.safeParse({ ...shownJob(job, "en"), status: "unknown" }).success);
});

Deno.test("a job in the database is the same job, whose error has a code of the registry and no message", () => {
  assert.deepEqual(StoredJob.parse(job), job);
  const { error, ...others } = job;
  assert(error);
  for (const code of ["ERR_9999", "toString", "", null]) {
    assert(!StoredJob.safeParse({ ...others, error: { ...error, code } }).success, `${code}`);
  }
  const { prompt: _, ...without } = job;
  assert(!StoredJob.safeParse(without).success);
});
