import assert from "node:assert/strict";
import type { Job } from "../database/videos.ts";
import { JobResponse, jobResponse } from "./contract.ts";

const job: Job = {
  job_id: "0190a000-0000-7000-8000-0000000000aa",
  status: "failed",
  prompt: "a red fox",
  model_id: "0190a000-0000-7000-8000-000000000001",
  model_name: "Veo 3 Fast",
  settings: { duration_seconds: 4, resolution: "720p", aspect_ratio: "16:9" },
  credits_used: 0,
  video_url: null,
  video_url_expires_at: null,
  thumbnail_url: null,
  error: { code: "ERR_4003", details: { reason: "provider_policy" } },
  created_at: "2026-11-20T12:00:00.000Z",
  completed_at: "2026-11-20T12:01:00.000Z",
};

Deno.test("a job's error gets its message in the caller's language, and keeps code and details", () => {
  const messages = (["en", "tr", "es"] as const).map((language) => {
    const { error } = jobResponse(job, language);
    assert.deepEqual([error?.code, error?.details], ["ERR_4003", { reason: "provider_policy" }]);
    return error?.message;
  });
  assert.equal(new Set(messages).size, 3);
  for (const message of messages) assert.match(message ?? "", /^\p{Lu}.*\.$/u);
});

Deno.test("a job without an error has none, and nothing else of it changes", () => {
  const healthy = { ...job, error: null };
  assert.deepEqual(jobResponse(healthy, "tr"), healthy);
});

Deno.test("a job fits the contract's schema, which wants times in UTC with milliseconds", () => {
  assert(JobResponse.safeParse(jobResponse(job, "en")).success);
  for (const created_at of ["2026-11-20T12:00:00Z", "2026-11-20T12:00:00.000+01:00", "2026-11-20"]) {
    assert(!JobResponse.safeParse({ ...jobResponse(job, "en"), created_at }).success, created_at);
  }
  assert(!JobResponse.safeParse({ ...jobResponse(job, "en"), status: "unknown" }).success);
});
