import assert from "node:assert/strict";
import { testConfig } from "../_shared/testing/config.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { fakeDataApi } from "../_shared/testing/data-api.ts";
import { fakeProvider, fakeProviders } from "../_shared/testing/provider.ts";
import { testServer } from "../_shared/testing/server.ts";
import { fakeStorage } from "../_shared/testing/storage.ts";
import { sessionId, userId } from "../_shared/testing/tokens.ts";
import { webhookSecret } from "../_shared/testing/tasks.ts";
import endpoint from "./index.ts";
import { type AcceptedVideos, GenerateVideosRequest } from "./schema.ts";
import { generateVideos } from "./service.ts";

const item = { model_id: "0190a000-0000-7000-8000-000000000001", prompt: "a red fox", settings: {} };
const [refusedId, acceptedId] = [item.model_id, "0190a000-0000-7000-8000-0000000000aa"];
const stored: AcceptedVideos = {
  results: [
    { index: 0, error: { code: "ERR_4002", details: { model_id: refusedId } } },
    { index: 1, job_id: acceptedId, credits_used: 4 },
    { index: 2, job_id: "0190a000-0000-7000-8000-0000000000ab", credits_used: 4 },
    { index: 3, error: { code: "ERR_4001", details: { required: 4, available: 2 } } },
    { index: 4, error: { code: "ERR_6004", details: { feature: "generation" } } },
  ],
  credits_used: 8,
  credits_remaining: 2,
};

function setting(results = stored.results, secret: string | null = webhookSecret) {
  const { database, calls } = fakeDatabase({
    generate_videos: () => ({ ...stored, results }),
    claim_submission: () => ({ claimed: false }),
  });
  const context = testContext("user", {
    database,
    config: testConfig(secret === null ? {} : { WEBHOOK_SECRET: secret }),
    moderation: null,
    storage: { sign: () => assert.fail("There is no video") },
    uploads: fakeStorage(),
    providers: fakeProviders(fakeProvider()),
  });
  return { context, calls };
}

Deno.test("all items are accepted in one call, for the caller of the token, with key and network", async () => {
  const { context, calls } = setting();
  const items = [item, { ...item, client_reference: "draft-7" }];
  const { status, body } = await generateVideos({ mode: "any", items }, context);
  assert.deepEqual(calls, [{
    name: "generate_videos",
    args: {
      p_user_id: userId,
      p_session_id: sessionId,
      p_network: "192.0.2.1",
      p_request_id: "test-request",
      p_idempotency_key: "test-key",
      p_fingerprint: "0".repeat(64),
      p_mode: "any",
      p_items: items,
      p_providers: ["fal"],
      p_moderated_by: null,
    },
  }]);
  assert.deepEqual([status, body?.credits_used, body?.credits_remaining], [202, 8, 2]);
  assert.deepEqual(body?.results.map((result) => "error" in result ? result.error.code : result.job_id), [
    "ERR_4002",
    acceptedId,
    "0190a000-0000-7000-8000-0000000000ab",
    "ERR_4001",
    "ERR_6004",
  ]);
  // As an answer of generate-video would say it.
  assert.match(JSON.stringify(body?.results[4]), /"retry_after":300/);
  assert.match(
    body?.results.flatMap((result) => "error" in result ? [result.error.message] : [])[1] ?? "",
    /costs 4.* is 2/,
  );
});

Deno.test("the first that was accepted is submitted after the answer; the others are left to the queue", async () => {
  const { context, calls } = setting();
  await generateVideos({ mode: "any", items: [item] }, context);
  assert.equal(calls.length, 1, "not before the answer");
  await context.settled();
  assert.deepEqual(calls.slice(1).map(({ args }) => args["p_job_id"]), [acceptedId]);

  const none = setting(stored.results.filter((result) => "error" in result));
  await generateVideos({ mode: "any", items: [item] }, none.context);
  await none.context.settled();
  assert.equal(none.calls.length, 1);
});

Deno.test("a picture that is to be fetched is left to the worker", async () => {
  const { context, calls } = setting();
  const items = stored.results.map((_, index) =>
    index === 1 ? { ...item, image_url: "https://example.com/fox.png" } : item
  );
  await generateVideos({ mode: "any", items }, context);
  await context.settled();
  assert.deepEqual(calls.map(({ name }) => name), ["generate_videos"]);
});

Deno.test("without the secret no provider is offered, since no webhook could be believed", async () => {
  const { context, calls } = setting(stored.results, null);
  await generateVideos({ mode: "all", items: [item] }, context);
  assert.deepEqual(calls[0]?.args["p_providers"], []);
});

Deno.test("a refusal of all reaches the client with the index of its item, and submits nothing", async () => {
  const refusals: [string, number, Record<string, unknown>][] = [
    ["ERR_4001", 402, { required: 8, available: 5, index: 1 }],
    ["ERR_4003", 422, { reason: "policy", index: 0 }],
    ["ERR_4004", 429, { policy: "video_generation", retry_after: 30, index: 3 }],
    ["ERR_4007", 404, { index: 19 }],
    ["ERR_4008", 400, { fields: [{ path: "items[2].image_url", message: "No image" }], index: 2 }],
    ["ERR_4005", 401, {}],
  ];
  for (const [code, status, details] of refusals) {
    const { fetch, calls } = fakeDataApi({ generate_videos: () => ({ error: code, details }) });
    const server = await testServer(endpoint.operations, {}, { fetch });
    const response = await server.send({
      method: "POST",
      path: "generate-videos",
      headers: { "Idempotency-Key": "key-1" },
      json: { mode: "all", items: [item] },
    });
    const { error } = await response.json();
    assert.deepEqual([response.status, error.code, error.details], [status, code, details]);
    await server.settled();
    assert.equal(calls.length, 1);
  }
});

Deno.test("a request has a mode and 1 to 20 items, each of which a video could be made of", () => {
  const accepts = (request: unknown) => GenerateVideosRequest.safeParse(request).success;
  assert(accepts({ mode: "all", items: [item] }));
  assert(accepts({ mode: "any", items: Array(20).fill(item) }));
  for (
    const request of [
      { items: [item] },
      { mode: "some", items: [item] },
      { mode: "all", items: [] },
      { mode: "all", items: Array(21).fill(item) },
      { mode: "all", items: [item, { ...item, prompt: " " }] },
      { mode: "all", items: [{ ...item, user_id: userId }] },
      { mode: "all", items: item },
      { mode: "all" },
    ]
  ) assert(!accepts(request), JSON.stringify(request).slice(0, 100));
});
