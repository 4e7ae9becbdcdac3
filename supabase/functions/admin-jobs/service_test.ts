import assert from "node:assert/strict";
import { codes } from "../_shared/errors/error-codes.ts";
import { AppError } from "../_shared/errors/app-error.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { fakeStorage } from "../_shared/testing/storage.ts";
import { sessionId, userId as adminId } from "../_shared/testing/tokens.ts";
import {
  exampleAdministeredJob,
  GetAdminJobsQuery,
  PostAdminJobsRequest,
  type StoredStory,
} from "./schema.ts";
import { readJobs, readPrompt } from "./service.ts";

const caller = { p_admin_id: adminId, p_session_id: sessionId };
const job = exampleAdministeredJob();
const { job_id, user_id } = job;
const at = "2026-11-20T12:00:00.000Z";
const asset = {
  content_type: "video/mp4",
  width: null,
  height: null,
  duration_milliseconds: null,
  quality: null,
};
const file = { ...asset, kind: "video", bytes: 1000, created_at: at } as const;

const story: StoredStory = {
  job: {
    ...job,
    request_id: "a-request",
    client_reference: null,
    project_id: null,
    settings: {},
    error_details: null,
    flag: null,
    percent: null,
    due_at: null,
    storing_at: null,
    cancel_requested_at: null,
    late_success_at: null,
    source_job_id: null,
    deleted_at: null,
    removed_at: null,
  },
  postings: [],
  submissions: [],
  provider_events: [],
  tasks: [],
  files: [{ ...file, path: "folder/video.mp4" }, { ...file, kind: "thumbnail", path: null }],
  errors: [],
  admin_actions: [],
};

Deno.test("a page of jobs is asked for by the admin of the token, and its cursor leads to the next one", async () => {
  const next = { id: job_id };
  const { database, calls } = fakeDatabase({ get_admin_jobs: () => ({ jobs: [job], story: null, next }) });
  const context = testContext("admin", { database, storage: fakeStorage() });
  const query = { status: "failed", user_id: user_id.toUpperCase(), provider: "fal", error_code: "ERR_5001" };
  const { status, body } = await readJobs(GetAdminJobsQuery.parse({ ...query, limit: "1" }), context);
  assert(body?.next_cursor);
  assert.deepEqual([status, body.jobs, body.story], [200, [job], null]);
  await readJobs(GetAdminJobsQuery.parse({ cursor: body.next_cursor }), context);
  assert.deepEqual(calls.map(({ args }) => args), [
    {
      ...caller,
      p_limit: 1,
      p_status: "failed",
      p_user_id: user_id,
      p_provider: "fal",
      p_error_code: "ERR_5001",
      p_after: null,
    },
    { ...caller, p_limit: 20, p_after: next },
  ]);
  await assert.rejects(readJobs(GetAdminJobsQuery.parse({ cursor: "made-up" }), context), {
    code: "ERR_4008",
  });
});

Deno.test("a story has URLs of the files that are there, and is told without them while storage is away", async () => {
  const { database } = fakeDatabase({ get_admin_jobs: () => ({ jobs: [], story, next: null }) });
  const storage = fakeStorage();
  storage.files.set("folder/video.mp4", { content: new Uint8Array(), contentType: "video/mp4" });
  const query = GetAdminJobsQuery.parse({ job_id });
  const told = await readJobs(query, testContext("admin", { database, storage }));
  assert.deepEqual(told.body?.story, {
    ...story,
    files: [
      { ...file, url: "https://storage.example.com/folder/video.mp4?expires=600" },
      { ...file, kind: "thumbnail", url: null },
    ],
  });
  const away = { sign: () => Promise.reject(new AppError(codes["storage/failed"])) };
  const context = testContext("admin", { database, storage: fakeStorage(away) });
  const { body } = await readJobs(query, context);
  assert.deepEqual(body?.story?.files.map(({ url }) => url), [null, null]);
  assert.deepEqual(context.lines.map(({ level, event }) => [level, event]), [["warn", "files_not_signed"]]);
});

Deno.test("a prompt is read in one call, with its reason", async () => {
  const read = { job_id, prompt: "A red fox" };
  const { database, calls } = fakeDatabase({ post_admin_jobs: () => read });
  const request = PostAdminJobsRequest.parse({ job_id, reason: "for a reason" });
  assert.deepEqual(await readPrompt(request, testContext("admin", { database })), {
    status: 200,
    body: read,
  });
  assert.deepEqual(calls.map(({ args }) => args), [
    { ...caller, p_request_id: "test-request", p_job_id: job_id, p_reason: "for a reason" },
  ]);
  assert(!PostAdminJobsRequest.safeParse({ job_id }).success);
});

Deno.test("a job is asked for alone, and filters are what jobs have", () => {
  const bad = [{ job_id, status: "failed" }, { job_id, cursor: "x" }, { status: "done" }, {
    error_code: "5001",
  }];
  for (const query of [...bad, { provider: "' or true" }, { model_id: "1" }, { prompt: "fox" }]) {
    assert(!GetAdminJobsQuery.safeParse(query).success, JSON.stringify(query));
  }
});
