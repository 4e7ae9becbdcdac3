import assert from "node:assert/strict";
import { fakeDataApi } from "../testing/data-api.ts";
import { testRuntime } from "../testing/runtime.ts";
import { userId } from "../testing/tokens.ts";
import { videos } from "./videos.ts";

const jobId = "0190a000-0000-7000-8000-0000000000aa";

Deno.test("each question of the app's endpoints is one call, with all that its procedure asks for", async () => {
  const { fetch, calls } = fakeDataApi({
    models: () => ({ data: { models: [] } }),
    generate_video: () => ({ data: { job_id: jobId } }),
    video_status: () => ({ data: { job: { job_id: jobId } } }),
    video_jobs: () => ({ data: { videos: [], next: null } }),
    keep_signed_urls: () => ({ data: { kept: 1 } }),
    cancel_video: () => ({ data: { job: { job_id: jobId } } }),
    delete_video_job: () => ({ data: { deleted_at: "2026-11-20T12:00:00.000Z" } }),
  });
  const database = videos(testRuntime(fetch));
  assert.deepEqual(await database.listModels(userId), { models: [] });
  assert.deepEqual(
    await database.generateVideo({
      userId,
      network: "192.0.2.1",
      requestId: "request-1",
      idempotency: { key: "key-1", fingerprint: "f" },
      modelId: "model-1",
      prompt: "a red fox",
      settings: { duration_seconds: 5 },
      imageUrl: null,
      providers: ["fal"],
    }),
    { job_id: jobId },
  );
  assert.deepEqual(await database.videoStatus(userId, jobId), { job: { job_id: jobId } });
  const page = { limit: 20, status: "failed", after: { id: jobId } } as const;
  assert.deepEqual(await database.listVideoJobs(userId, page), { videos: [], next: null });
  const urls = {
    job_id: jobId,
    video_url: "v",
    thumbnail_url: null,
    video_url_expires_at: "2026-11-20T13:00:00.000Z",
  };
  assert.equal(await database.keepSignedUrls([urls]), undefined);
  assert.deepEqual(await database.cancelVideo(userId, jobId), { job_id: jobId });
  assert.equal(await database.deleteVideoJob(userId, jobId), undefined);

  assert.deepEqual(calls, [
    { name: "models", args: { p_user_id: userId } },
    {
      name: "generate_video",
      args: {
        p_user_id: userId,
        p_network: "192.0.2.1",
        p_idempotency_key: "key-1",
        p_fingerprint: "f",
        p_request_id: "request-1",
        p_model_id: "model-1",
        p_prompt: "a red fox",
        p_settings: { duration_seconds: 5 },
        p_image_url: null,
        p_providers: ["fal"],
      },
    },
    { name: "video_status", args: { p_user_id: userId, p_job_id: jobId } },
    {
      name: "video_jobs",
      args: { p_user_id: userId, p_limit: 20, p_status: "failed", p_after: { id: jobId } },
    },
    { name: "keep_signed_urls", args: { p_urls: [urls] } },
    { name: "cancel_video", args: { p_user_id: userId, p_job_id: jobId } },
    { name: "delete_video_job", args: { p_user_id: userId, p_job_id: jobId } },
  ]);
});
