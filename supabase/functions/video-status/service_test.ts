import assert from "node:assert/strict";
import { AppError } from "../_shared/errors/app-error.ts";
import type { JobUrls } from "../_shared/videos/signed-urls.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { storedJob } from "../_shared/testing/jobs.ts";
import { fakeDataApi } from "../_shared/testing/data-api.ts";
import { answerSigning, completed, signing } from "../_shared/testing/signed-urls.ts";
import { testServer } from "../_shared/testing/server.ts";
import { projectUrl, sessionId, userId } from "../_shared/testing/tokens.ts";
import endpoint from "./index.ts";
import type { VideoStatus } from "./schema.ts";
import { getVideoStatus } from "./service.ts";

const jobId = "0190a000-0000-7000-8000-0000000000aa";
const running = storedJob({ job_id: jobId });
const generating: VideoStatus = {
  job: running,
  progress: { stage: "generating", percent: 40 },
  next_poll_seconds: 6,
  paths: {},
};

function completedStatus(expiresAt: string): VideoStatus {
  return {
    job: { ...running, ...completed("kept", expiresAt) },
    progress: { stage: "done", percent: 100 },
    next_poll_seconds: null,
    paths: { video: "u/j/video.mp4", thumbnail: "u/j/thumbnail" },
  };
}

function setting(status: VideoStatus) {
  const { signed, kept, procedures, storage } = signing();
  const { database } = fakeDatabase({ ...procedures, video_status: () => status });
  const context = testContext("user", { database, storage });
  return { context, signed, kept, ask: () => getVideoStatus({ job_id: jobId }, context) };
}

Deno.test("a job that runs is told with its progress and when to ask again, and nothing is signed", async () => {
  const { ask, signed, kept, context } = setting(generating);
  const answer = await ask();
  const { progress, next_poll_seconds } = generating;
  assert.deepEqual(answer, { status: 200, body: { ...running, progress, next_poll_seconds } });
  await context.settled();
  assert.deepEqual([signed, kept], [[], []]);
});

Deno.test("a kept URL with ten minutes left is given as it is", async () => {
  const { ask, signed } = setting(completedStatus("2026-11-20T12:10:00.000Z"));
  const { body } = await ask();
  assert.equal(body?.video_url, "https://storage.example.com/kept");
  assert.equal(body?.thumbnail_url, "https://storage.example.com/kept-thumbnail");
  assert.equal(body?.video_url_expires_at, "2026-11-20T12:10:00.000Z");
  assert.deepEqual(signed, []);
});

Deno.test("a URL with less is renewed for an hour, in one call, and kept after the answer", async () => {
  const { ask, signed, kept, context } = setting(completedStatus("2026-11-20T12:09:59.999Z"));
  const { body } = await ask();
  const urls: JobUrls = {
    job_id: jobId,
    video_url: "https://storage.example.com/u/j/video.mp4",
    thumbnail_url: "https://storage.example.com/u/j/thumbnail",
    video_url_expires_at: "2026-11-20T13:00:00.000Z",
  };
  assert.equal(body?.video_url, urls.video_url);
  assert.equal(body?.thumbnail_url, urls.thumbnail_url);
  assert.equal(body?.video_url_expires_at, urls.video_url_expires_at);
  assert.deepEqual(signed, [[["u/j/video.mp4", "u/j/thumbnail"], 3600]]);
  assert.deepEqual(kept, [], "not before the answer");
  await context.settled();
  assert.deepEqual(kept, [[urls]]);
});

Deno.test("a job's error speaks the language that was asked for, else the user's own", async () => {
  const failed: VideoStatus = {
    ...generating,
    job: {
      ...running,
      status: "failed",
      credits_used: 0,
      error: { code: "ERR_5001", details: {} },
      completed_at: "2026-11-20T11:59:30.000Z",
    },
    progress: { stage: "done", percent: null },
    next_poll_seconds: null,
  };
  const { fetch } = fakeDataApi({ video_status: () => ({ data: failed, language: "tr" }) });
  const server = await testServer(endpoint.operations, {}, { fetch });
  const messages = new Map<string | null, string>();
  for (const language of ["tr", "es", "en", null]) {
    const response = await server.send({
      path: `video-status?job_id=${jobId}`,
      headers: language === null ? {} : { "Accept-Language": language },
    });
    const { error } = await response.json();
    assert.deepEqual([error.code, error.details], ["ERR_5001", {}]);
    assert.equal(response.headers.get("content-language"), language ?? "tr");
    messages.set(language, error.message);
  }
  assert.equal(messages.get(null), messages.get("tr"));
  assert.equal(new Set(messages.values()).size, 3);
});

Deno.test("GET video-status is one call, also where URLs are renewed", async () => {
  const { fetch, calls } = fakeDataApi(
    {
      video_status: () => ({ data: completedStatus("2026-11-20T12:00:00.000Z") }),
      keep_signed_urls: () => ({ data: { kept: 1 } }),
    },
    answerSigning,
  );
  const server = await testServer(endpoint.operations, {}, { fetch });
  const response = await server.send({ path: `video-status?job_id=${jobId.toUpperCase()}` });
  const body = await response.json();
  assert.equal(response.status, 200);
  assert.equal(body.video_url, `${projectUrl}/storage/v1/object/sign/videos/video.mp4?token=t`);
  assert.deepEqual([body.progress, body.next_poll_seconds], [{ stage: "done", percent: 100 }, null]);
  await server.settled();
  assert.deepEqual(calls.map(({ name }) => name), ["video_status", "keep_signed_urls"]);
  assert.deepEqual(calls[0]?.args, { p_user_id: userId, p_session_id: sessionId, p_job_id: jobId });
  assert.equal(server.lines.find(({ event }) => event === "request")?.data_api_calls, 1);
});

Deno.test("a job that is not there, or not the caller's, is ERR_4007", async () => {
  const { fetch } = fakeDataApi({ video_status: () => ({ error: "ERR_4007", details: {} }) });
  const server = await testServer(endpoint.operations, {}, { fetch });
  const response = await server.send({ path: "video-status?job_id=11111111-1111-1111-1111-111111111111" });
  assert.deepEqual([response.status, (await response.json()).error.code], [404, "ERR_4007"]);
});

Deno.test("storage that cannot sign, or has no such file, is ERR_6002, and not a URL that is about to expire", async () => {
  for (const sign of [() => Promise.reject(new AppError("ERR_6002")), () => Promise.resolve([null, null])]) {
    const { context, kept } = setting(completedStatus("2026-11-20T12:09:00.000Z"));
    const asked = getVideoStatus({ job_id: jobId }, { ...context, storage: { sign } });
    await assert.rejects(asked, { code: "ERR_6002" });
    await context.settled();
    assert.deepEqual(kept, []);
  }
});

Deno.test("a request without a job's id is told so", async () => {
  const server = await testServer(endpoint.operations);
  for (const search of ["", "?job_id=", "?job_id=1", `?job_id=${jobId}&user_id=${userId}`]) {
    const response = await server.send({ path: `video-status${search}` });
    assert.deepEqual([response.status, (await response.json()).error.code], [400, "ERR_4008"], search);
  }
});
