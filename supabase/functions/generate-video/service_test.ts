import assert from "node:assert/strict";
import type { AcceptedVideo } from "../_shared/videos/contract.ts";
import { testConfig } from "../_shared/testing/config.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import type { Moderation } from "../_shared/videos/moderation/moderation.ts";
import { fakeModeration } from "../_shared/testing/moderation.ts";
import { fakeDataApi } from "../_shared/testing/data-api.ts";
import { fakeProvider, fakeProviders } from "../_shared/testing/provider.ts";
import { type Sent, testServer } from "../_shared/testing/server.ts";
import { projectUrl, sessionId, userId } from "../_shared/testing/tokens.ts";
import endpoint from "./index.ts";
import type { GenerateVideoRequest } from "./schema.ts";
import { generateVideo } from "./service.ts";
import { fakeStorage } from "../_shared/testing/storage.ts";
import { webhookSecret } from "../_shared/testing/tasks.ts";

const modelId = "0190a000-0000-7000-8000-000000000001";
const body = { model_id: modelId, prompt: "a red fox" };
const accepted: AcceptedVideo = {
  job_id: "0190a000-0000-7000-8000-0000000000aa",
  status: "pending",
  credits_used: 4,
  credits_remaining: 6,
  created_at: "2026-11-20T12:00:00.000Z",
};
const limits = [
  {
    policy: "video_generation",
    allowed: true,
    current: 1,
    limit: 10,
    window: 3600,
    remaining: 9,
    reset: 3600,
  },
  {
    policy: "generation_attempts",
    allowed: true,
    current: 1,
    limit: 60,
    window: 60,
    remaining: 59,
    reset: 60,
  },
];
const post: Sent = {
  method: "POST",
  path: "generate-video",
  headers: { "Idempotency-Key": "key-1" },
  json: body,
};

function setting(
  secret: string | null = webhookSecret,
  moderation: Moderation | null = null,
) {
  const { database, calls } = fakeDatabase({
    generate_video: () => accepted,
    claim_submission: () => ({ claimed: false }),
  });
  const context = testContext("user", {
    database,
    config: testConfig(secret === null ? {} : { WEBHOOK_SECRET: secret }),
    moderation,
    uploads: fakeStorage(),
    storage: fakeStorage(),
    providers: fakeProviders(fakeProvider()),
  });
  return { context, calls, names: () => calls.map(({ name }) => name) };
}

Deno.test("a video is accepted in one call, for the caller of the token, with key and network", async () => {
  const { context, calls } = setting();
  const settings = { duration_seconds: 5 };
  const answer = await generateVideo(
    { ...body, settings, image_url: "https://example.com/fox.png" },
    context,
  );
  assert.deepEqual(calls, [{
    name: "generate_video",
    args: {
      p_user_id: userId,
      p_session_id: sessionId,
      p_network: "192.0.2.1",
      p_request_id: "test-request",
      p_idempotency_key: "test-key",
      p_fingerprint: "0".repeat(64),
      p_model_id: modelId,
      p_prompt: "a red fox",
      p_settings: settings,
      p_image_url: "https://example.com/fox.png",
      p_providers: ["fal"],
      p_moderated_by: null,
    },
  }]);
  assert.deepEqual([answer.status, answer.body], [202, accepted]);
  assert.deepEqual(answer.headers, {
    Location: `${projectUrl}/functions/v1/video-status?job_id=${accepted.job_id}`,
  });
});

Deno.test("without the secret no provider is offered, since no webhook could be believed", async () => {
  const { context, calls } = setting(null);
  await generateVideo({ ...body, settings: {} }, context);
  const { p_providers, p_image_url } = calls[0]?.args ?? {};
  assert.deepEqual([p_providers, p_image_url], [[], undefined]);
});

Deno.test("the job is submitted after the answer, and does not delay it", async () => {
  const { context, calls, names } = setting();
  await generateVideo({ ...body, settings: {} }, context);
  assert.deepEqual(names(), ["generate_video"]);
  await context.settled();
  assert.deepEqual(names(), ["generate_video", "claim_submission"]);
  assert.equal(calls[1]?.args["p_job_id"], accepted.job_id);
});

Deno.test("the prompt of a first request without a picture is judged at once, any other as the database says", async () => {
  const passed = { verdict: "passed" };
  const requests: [string, Partial<GenerateVideoRequest>, boolean, unknown][] = [
    ["a first request", {}, false, passed],
    ["a picture", { image_upload_id: "0190a000-0000-7000-8000-0000000000dd" }, false, undefined],
    ["a replay", {}, true, undefined],
  ];
  for (const [name, change, isReplay, verdict] of requests) {
    const { moderation, seen } = fakeModeration();
    const { context, calls } = setting(undefined, moderation);
    const idempotency = { ...context.idempotency, isReplay: () => isReplay };
    await generateVideo({ ...body, settings: {}, ...change }, { ...context, idempotency });
    await context.settled();
    assert.deepEqual(calls[1]?.args["p_verdict"], verdict, name);
    assert.deepEqual([calls.length, seen], [2, verdict === undefined ? [] : ["a red fox"]], name);
  }
});

Deno.test("a picture that is to be fetched is left to the worker", async () => {
  const { context, calls } = setting();
  await generateVideo({ ...body, settings: {}, image_url: "https://example.com/fox.png" }, context);
  await context.settled();
  assert.deepEqual(calls.map(({ name }) => name), ["generate_video"]);
});

Deno.test("an accepted video is 202 with its job, its status URL and the limits, for one Data API call", async () => {
  const { fetch, calls } = fakeDataApi({
    generate_video: () => ({ data: accepted, limits }),
    claim_submission: () => ({ data: { claimed: false } }),
  });
  const server = await testServer(endpoint.operations, {}, { fetch });
  const response = await server.send(post);
  assert.equal(response.status, 202);
  assert.deepEqual(await response.json(), accepted);
  assert.match(response.headers.get("location") ?? "", /\/video-status\?job_id=0190a000-/);
  assert.equal(
    response.headers.get("ratelimit-policy"),
    '"video_generation";q=10;w=3600, "generation_attempts";q=60;w=60',
  );
  assert.equal(response.headers.get("idempotency-replayed"), null);
  await server.settled();
  assert.deepEqual(calls.map(({ name }) => name), ["generate_video", "claim_submission"]);
  assert.equal(server.lines.find(({ event }) => event === "request")?.data_api_calls, 1);
});

Deno.test("data that the contract does not know fail a test; deployed they are told and answered, since the credits are held", async () => {
  const { credits_remaining: _, ...without } = accepted;
  for (const data of [without, { ...accepted, credits_used: 0 }, { ...accepted, created_at: "today" }]) {
    const { fetch } = fakeDataApi({
      generate_video: () => ({ data }),
      claim_submission: () => ({ data: { claimed: false } }),
    });
    const tested = await testServer(endpoint.operations, {}, { fetch });
    assert.equal((await (await tested.send(post)).json()).error.code, "ERR_6003");
    await tested.settled();
    const deployed = await testServer(endpoint.operations, { ENVIRONMENT: "production" }, { fetch });
    const response = await deployed.send(post);
    assert.deepEqual([response.status, await response.json()], [202, data]);
    await deployed.settled();
    const told = deployed.lines.filter(({ level }) => level === "critical").map(({ event }) => event);
    assert.deepEqual(told, ["data_breaks_contract", "response_breaks_contract"]);
    assert.equal(deployed.recorded.length, 2);
  }
});

Deno.test("a replay answers like the first, and says so", async () => {
  const { fetch } = fakeDataApi({
    generate_video: () => ({ data: accepted, replayed: true }),
    claim_submission: () => ({ data: { claimed: false } }),
  });
  const server = await testServer(endpoint.operations, {}, { fetch });
  const response = await server.send(post);
  assert.deepEqual([response.status, await response.json()], [202, accepted]);
  assert.equal(response.headers.get("idempotency-replayed"), "true");
  assert.equal(response.headers.get("ratelimit"), null);
  await server.settled();
});

Deno.test("each refusal of the procedure reaches the client with its status, and submits nothing", async () => {
  const refusals: [string, number, Record<string, unknown>][] = [
    ["ERR_4001", 402, { required: 4, available: 1 }],
    ["ERR_4002", 422, { model_id: modelId }],
    ["ERR_4003", 422, { reason: "policy" }],
    ["ERR_4004", 429, { policy: "video_generation", retry_after: 30 }],
    ["ERR_4005", 401, {}],
    ["ERR_4008", 400, { fields: [{ path: "image_url", message: "This model takes no image" }] }],
    ["ERR_4011", 422, {}],
    ["ERR_4012", 409, { retry_after: 1 }],
    ["ERR_4017", 403, {}],
    ["ERR_6001", 503, { retry_after: 2 }],
    ["ERR_6004", 503, { feature: "generation", retry_after: 300 }],
  ];
  for (const [code, status, details] of refusals) {
    const { fetch, calls } = fakeDataApi({ generate_video: () => ({ error: code, details }) });
    const server = await testServer(endpoint.operations, {}, { fetch });
    const response = await server.send(post);
    const { error } = await response.json();
    assert.deepEqual([response.status, error.code, error.details], [status, code, details]);
    await server.settled();
    assert.equal(calls.length, 1);
  }
});

Deno.test("without a key, or with a field that nobody asked for, the database is not asked", async () => {
  const server = await testServer(endpoint.operations);
  const keyless = await server.send({ ...post, headers: {} });
  assert.equal((await keyless.json()).error.code, "ERR_4010");
  const foreign = await server.send({ ...post, json: { ...body, user_id: userId, settings: { "Fps": 24 } } });
  const { code, details } = (await foreign.json()).error;
  assert.equal(code, "ERR_4008");
  assert.deepEqual(details.fields, [
    { path: "settings.Fps", message: "Unknown field" },
    { path: "user_id", message: "Unknown field" },
  ]);
});

Deno.test("all that is wrong in a request is told at once", async () => {
  const server = await testServer(endpoint.operations);
  const json = {
    model_id: "veo",
    prompt: " ",
    settings: { duration_seconds: 4.5, resolution: "", aspect_ratio: 1 },
    image_url: "http://example.com",
  };
  const response = await server.send({ ...post, json });
  const { fields } = (await response.json()).error.details;
  assert.deepEqual(fields.map(({ path }: { path: string }) => path).sort(), [
    "image_url",
    "model_id",
    "prompt",
    "settings.aspect_ratio",
    "settings.duration_seconds",
    "settings.resolution",
  ]);
});
