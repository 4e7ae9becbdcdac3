import assert from "node:assert/strict";
import { AppError } from "../_shared/errors/app-error.ts";
import type { Video } from "../_shared/videos/contract.ts";
import type { JobUrls } from "../_shared/videos/signed-urls.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { storedJob } from "../_shared/testing/jobs.ts";
import { fakeDataApi } from "../_shared/testing/data-api.ts";
import { answerSigning, completed, signing } from "../_shared/testing/signed-urls.ts";
import { testServer } from "../_shared/testing/server.ts";
import { projectUrl, sessionId, userId } from "../_shared/testing/tokens.ts";
import endpoint from "./index.ts";
import type { VideoPage } from "./schema.ts";
import { listVideoJobs } from "./service.ts";

const running = storedJob();

const idOf = (number: number) => `0190a000-0000-7000-8000-00000000000${number}`;

function completedVideo(number: number, expiresAt: string): Video {
  return {
    job: { ...running, job_id: idOf(number), ...completed(`kept-${number}`, expiresAt) },
    paths: { video: `u/${number}/video.mp4`, thumbnail: `u/${number}/thumbnail` },
  };
}

const stale = "2026-11-20T12:09:59.999Z";
const fresh = "2026-11-20T12:10:00.000Z";
const next = { created_at: "2026-11-20T11:59:00.123456+00:00", id: running.job_id };

function setting(page: VideoPage, missing?: string) {
  const asked: object[] = [];
  const { signed, kept, procedures, storage } = signing(missing);
  const { database } = fakeDatabase({
    ...procedures,
    video_jobs: (args) => {
      asked.push(args);
      return page;
    },
  });
  return { context: testContext("user", { database, storage }), asked, signed, kept };
}

Deno.test("a page is that of the caller, and its cursor leads to the next one of the same list", async () => {
  const { context, asked, signed } = setting({ videos: [{ job: running, paths: {} }], next });
  const { status, body } = await listVideoJobs({ limit: 1, status: "processing" }, context);
  const cursor = body?.next_cursor;
  assert(cursor);
  assert.deepEqual([status, body], [200, { jobs: [running], next_cursor: cursor }]);
  await listVideoJobs({ limit: 50, status: "processing", cursor }, context);
  assert.deepEqual(asked, [
    { p_user_id: userId, p_session_id: sessionId, p_limit: 1, p_status: "processing", p_after: null },
    { p_user_id: userId, p_session_id: sessionId, p_limit: 50, p_status: "processing", p_after: next },
  ]);
  assert.deepEqual(signed, []);
});

Deno.test("the last page has no cursor, and an empty list is one", async () => {
  const { context, asked } = setting({ videos: [], next: null });
  const { body } = await listVideoJobs({ limit: 20 }, context);
  assert.deepEqual(body, { jobs: [], next_cursor: null });
  assert.deepEqual(asked, [{ p_user_id: userId, p_session_id: sessionId, p_limit: 20, p_after: null }]);
});

Deno.test("a cursor that was made up is refused before the database is asked", async () => {
  const { context, asked } = setting({ videos: [], next });
  for (const cursor of ["made-up", btoa('{"number":2}'), ""]) {
    await assert.rejects(listVideoJobs({ limit: 20, status: "failed", cursor }, context), {
      code: "ERR_4008",
    });
  }
  assert.deepEqual(asked, []);
});

Deno.test("what is stale in a page is signed in one call, and kept in one after the answer", async () => {
  const page = [
    completedVideo(1, stale),
    completedVideo(2, fresh),
    { job: running, paths: {} },
    completedVideo(3, stale),
  ];
  const { context, signed, kept } = setting({ videos: page, next: null });
  const { body } = await listVideoJobs({ limit: 20 }, context);
  const urls = (number: number): JobUrls => ({
    job_id: idOf(number),
    video_url: `https://storage.example.com/u/${number}/video.mp4`,
    thumbnail_url: `https://storage.example.com/u/${number}/thumbnail`,
    video_url_expires_at: "2026-11-20T13:00:00.000Z",
  });
  const expected = page.map(({ job }, index) =>
    index === 0 ? { ...job, ...urls(1) } : index === 3 ? { ...job, ...urls(3) } : job
  );
  assert.deepEqual(body?.jobs, expected);
  const paths = ["u/1/video.mp4", "u/1/thumbnail", "u/3/video.mp4", "u/3/thumbnail"];
  assert.deepEqual(signed, [[paths, 3600]]);
  assert.deepEqual(kept, [], "not before the answer");
  await context.settled();
  assert.deepEqual(kept, [[urls(1), urls(3)]]);
});

Deno.test("a video that is lost hides neither its job nor the others, and the operator is told", async () => {
  const page = [completedVideo(1, stale), completedVideo(2, stale)];
  const { context, kept } = setting({ videos: page, next: null }, "u/1/video.mp4");
  const { body } = await listVideoJobs({ limit: 20 }, context);
  const [lost, there] = body?.jobs ?? [];
  assert.deepEqual([lost?.status, lost?.video_url, lost?.thumbnail_url, lost?.video_url_expires_at], [
    "completed",
    null,
    null,
    null,
  ]);
  assert.equal(there?.video_url, "https://storage.example.com/u/2/video.mp4");
  const told = context.lines.filter(({ event }) => event === "video_missing");
  assert.deepEqual(told.map(({ level, job_id }) => [level, job_id]), [["error", idOf(1)]]);
  await context.settled();
  const { video_url, thumbnail_url, video_url_expires_at } = there ?? {};
  assert.deepEqual(kept, [[{ job_id: idOf(2), video_url, thumbnail_url, video_url_expires_at }]]);
});

Deno.test("storage that cannot sign is ERR_6002, and not a page of URLs that are about to expire", async () => {
  const { context } = setting({ videos: [completedVideo(1, stale)], next: null });
  const storage = { sign: () => Promise.reject(new AppError("ERR_6002")) };
  await assert.rejects(listVideoJobs({ limit: 20 }, { ...context, storage }), { code: "ERR_6002" });
});

Deno.test("GET video-jobs is one call before the answer and one after it, and errors speak the caller's language", async () => {
  const failed = storedJob({ status: "failed", error: { code: "ERR_5001", details: {} } });
  const videos = [completedVideo(1, stale), { job: failed, paths: {} }];
  const { fetch, calls } = fakeDataApi(
    {
      video_jobs: () => ({ data: { videos, next }, language: "tr" }),
      keep_signed_urls: () => ({ data: { kept: 1 } }),
    },
    answerSigning,
  );
  const server = await testServer(endpoint.operations, {}, { fetch });
  const messages = new Map<string | null, string>();
  for (const language of ["en", "tr", null]) {
    const headers = language === null ? {} : { "Accept-Language": language };
    const response = await server.send({ path: "video-jobs?limit=2", headers });
    assert.equal(response.status, 200);
    const { jobs } = await response.json();
    assert.equal(jobs[0].video_url, `${projectUrl}/storage/v1/object/sign/videos/video.mp4?token=t`);
    messages.set(language, jobs[1].error.message);
  }
  assert.equal(messages.get(null), messages.get("tr"));
  assert.notEqual(messages.get("en"), messages.get("tr"));
  await server.settled();
  const names = calls.map(({ name }) => name);
  assert.equal(names.filter((name) => name === "video_jobs").length, 3);
  assert.equal(names.filter((name) => name === "keep_signed_urls").length, 3);
  assert.deepEqual(calls[0]?.args, { p_user_id: userId, p_session_id: sessionId, p_limit: 2, p_after: null });
  const lines = server.lines.filter(({ event }) => event === "request");
  assert.deepEqual(lines.map(({ data_api_calls }) => data_api_calls), [1, 1, 1]);
});

Deno.test("a list that is not there is told so: limits, statuses and parameters are checked", async () => {
  const server = await testServer(endpoint.operations);
  for (const query of ["limit=0", "limit=101", "limit=", "status=done", "status=", "cursor=", "offset=20"]) {
    const response = await server.send({ path: `video-jobs?${query}` });
    assert.deepEqual([response.status, (await response.json()).error.code], [400, "ERR_4008"], query);
  }
});
