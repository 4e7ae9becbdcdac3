import assert from "node:assert/strict";
import type { ReplicateConfig } from "../../../platform/config.ts";
import { broken, type FakeAnswer, fakeFetch, gatewayPage, json } from "../../../testing/fake-fetch.ts";
import aborted from "./fixtures/aborted.json" with { type: "json" };
import canceled from "./fixtures/canceled.json" with { type: "json" };
import created from "./fixtures/created.json" with { type: "json" };
import errorCredit from "./fixtures/error-credit.json" with { type: "json" };
import errorInput from "./fixtures/error-input.json" with { type: "json" };
import errorNotFound from "./fixtures/error-not-found.json" with { type: "json" };
import errorOverloaded from "./fixtures/error-overloaded.json" with { type: "json" };
import errorThrottled from "./fixtures/error-throttled.json" with { type: "json" };
import errorUnauthenticated from "./fixtures/error-unauthenticated.json" with { type: "json" };
import errorVersion from "./fixtures/error-version.json" with { type: "json" };
import failedModel from "./fixtures/failed-model.json" with { type: "json" };
import failedNsfw from "./fixtures/failed-nsfw.json" with { type: "json" };
import failedSensitive from "./fixtures/failed-sensitive.json" with { type: "json" };
import failedStartTimeout from "./fixtures/failed-start-timeout.json" with { type: "json" };
import failedUnavailable from "./fixtures/failed-unavailable.json" with { type: "json" };
import processing from "./fixtures/processing.json" with { type: "json" };
import starting from "./fixtures/starting.json" with { type: "json" };
import succeededFiles from "./fixtures/succeeded-files.json" with { type: "json" };
import succeededList from "./fixtures/succeeded-list.json" with { type: "json" };
import succeededRemoved from "./fixtures/succeeded-removed.json" with { type: "json" };
import succeeded from "./fixtures/succeeded.json" with { type: "json" };
import type { Generation, ProviderState } from "../provider.ts";
import { replicateProvider } from "./replicate.ts";

const config: ReplicateConfig = {
  token: "r8_token",
  webhookSecret: `whsec_${btoa("a key of twenty-four bytes or more")}`,
  apiUrl: "https://api.replicate.com",
  resultHosts: ["*.replicate.delivery"],
};
const kling = "kwaivgi/kling-v2.5-turbo-pro";
const generation: Generation = {
  providerModel: kling,
  prompt: "a secret prompt",
  durationSeconds: 5,
  resolution: "1080p",
  aspectRatio: "16:9",
  imageUrl: null,
  videoUrl: null,
  fields: {},
  webhookUrl: "https://kinora.example.com/hook?token=t&provider=replicate",
};
const { id } = created;
const now = Date.parse("2026-11-20T12:00:00Z");

function fakeReplicate(...answers: FakeAnswer[]) {
  const { sent, fetch } = fakeFetch(...answers);
  return {
    sent,
    replicate: replicateProvider({ config, fetch, pause: () => Promise.resolve(), now: () => now }),
  };
}

Deno.test("a submission sends the token, the webhook for the end alone and the model's own input", async () => {
  const { replicate, sent } = fakeReplicate(json(created, 201));
  assert.deepEqual(await replicate.submit(generation), {
    outcome: "accepted",
    requestId: id,
    references: {},
  });
  const [request] = sent;
  assert(request);
  assert.equal(request.url, `https://api.replicate.com/v1/models/${kling}/predictions`);
  assert.equal(request.method, "POST");
  assert.equal(request.redirect, "manual");
  assert.equal(request.headers.get("authorization"), "Bearer r8_token");
  assert.deepEqual(request.body, {
    input: { prompt: "a secret prompt", duration: 5, aspect_ratio: "16:9" },
    webhook: generation.webhookUrl,
    webhook_events_filter: ["completed"],
  });
});

Deno.test("each model gets its input in its own names and words", async () => {
  const inputOf = async (change: Partial<Generation>) => {
    const { replicate, sent } = fakeReplicate(json(created, 201));
    await replicate.submit({ ...generation, webhookUrl: null, ...change });
    return sent[0]?.body;
  };
  const imageUrl = "https://images.example.com/a.png";
  const prompt = "a secret prompt";
  assert.deepEqual(await inputOf({ imageUrl }), {
    input: { prompt, duration: 5, aspect_ratio: "16:9", start_image: imageUrl },
  });
  const short = { durationSeconds: 4, resolution: "720p" };
  assert.deepEqual(await inputOf({ ...short, providerModel: "google/veo-3-fast", imageUrl }), {
    input: {
      ...{ prompt, duration: 4, aspect_ratio: "16:9", resolution: "720p" },
      ...{ generate_audio: false, image: imageUrl },
    },
  });
  assert.deepEqual(
    await inputOf({ ...short, providerModel: "openai/sora-2", aspectRatio: "9:16", imageUrl }),
    { input: { prompt, seconds: 4, aspect_ratio: "portrait", input_reference: imageUrl } },
  );
});

Deno.test("what no known model can make is refused before anything is sent, for the operator and not the user", async () => {
  const sora = { providerModel: "openai/sora-2", resolution: "720p" };
  const impossible = [
    { providerModel: "someone/unknown" },
    { providerModel: "toString" },
    { ...sora, aspectRatio: "1:1" },
    { ...sora, resolution: "1080p" },
  ];
  for (const change of impossible) {
    const { replicate, sent } = fakeReplicate();
    const outcome = await replicate.submit({ ...generation, ...change });
    assert(outcome.outcome === "refused" && outcome.needsOperator, JSON.stringify(change));
    assert.equal(outcome.failure.code, "ERR_5002");
    assert.equal(sent.length, 0);
  }
});

Deno.test("only proof that Replicate does not have a submission makes it not accepted", async () => {
  const cases: [string, FakeAnswer, string][] = [
    ["no connection", broken("fetch failed", "client error (Connect): refused"), "not_accepted"],
    ["a connection that broke later", broken("fetch failed", "client error (SendRequest)"), "unknown"],
    ["401", json(errorUnauthenticated, 401), "not_accepted"],
    ["402", json(errorCredit, 402), "not_accepted"],
    ["404", json(errorNotFound, 404), "refused"],
    ["408", json({ detail: "slow", status: 408 }, 408), "unknown"],
    ["422 about the input", json(errorInput, 422), "refused"],
    ["422 about the model", json(errorVersion, 422), "refused"],
    ["422 from elsewhere", () => new Response("no", { status: 422 }), "not_accepted"],
    ["429", json(errorThrottled, 429), "not_accepted"],
    ["500", json({ detail: "oops", status: 500 }, 500), "unknown"],
    ["502 from a gateway", gatewayPage(502), "unknown"],
    ["503 from Replicate", json(errorOverloaded, 503), "not_accepted"],
    ["503 from a gateway", gatewayPage(503), "unknown"],
    ["503 in JSON that is not Replicate's", json({ detail: "busy" }, 503), "unknown"],
    ["503 that tells another status", json({ detail: "busy", status: 500 }, 503), "unknown"],
    ["200 without a prediction", json({ status: "starting" }), "unknown"],
    ["201 that is not JSON", () => new Response("ok", { status: 201 }), "unknown"],
    [
      "a redirect",
      () => new Response(null, { status: 307, headers: { location: "https://e.com" } }),
      "unknown",
    ],
  ];
  for (const [name, answer, expected] of cases) {
    const { replicate, sent } = fakeReplicate(answer);
    const outcome = await replicate.submit(generation);
    assert.equal(outcome.outcome, expected, name);
    assert.equal(sent.length, 1, `${name}: sent once`);
    assert(!JSON.stringify(outcome).includes("secret"), `${name}: nothing of the prompt is logged`);
  }
});

Deno.test("a poll tells the states of a prediction", async () => {
  const rejected = { code: "ERR_5003", reason: "rejected" };
  const noVideo = { code: "ERR_5003", reason: "invalid_result" };
  const policy = { code: "ERR_4003", reason: "provider_policy" };
  const cases: [string, FakeAnswer, ProviderState["state"], { code: string; reason?: string }?][] = [
    ["starting", json(starting), "queued"],
    ["processing", json(processing), "running"],
    ["canceled", json(canceled), "cancelled"],
    ["aborted", json(aborted), "failed", { code: "ERR_5001" }],
    ["content policy", json(failedSensitive), "failed", policy],
    ["content policy of older models", json(failedNsfw), "failed", policy],
    ["busy", json(failedUnavailable), "failed", { code: "ERR_5002" }],
    ["not started in time", json(failedStartTimeout), "failed", { code: "ERR_5001" }],
    ["an input", json({ ...failedModel, error: "The input is invalid. (E006)" }), "failed", rejected],
    ["the model's exception", json(failedModel), "failed", { code: "ERR_5002" }],
    ["an error that is no text", json({ ...failedModel, error: { code: 1 } }), "failed", {
      code: "ERR_5002",
    }],
    ["an output that was removed", json(succeededRemoved), "failed", noVideo],
    ["an output that is no file", json({ ...succeeded, output: "a text" }), "failed", noVideo],
    ["an empty list", json({ ...succeeded, output: [] }), "failed", noVideo],
    ["a file of ours", json({ ...succeeded, output: "file:///etc/passwd" }), "failed", noVideo],
    ["unknown to Replicate", json(errorNotFound, 404), "not_found"],
    ["404 from elsewhere", gatewayPage(404), "unreachable"],
    ["a wrong token", json(errorUnauthenticated, 401), "unreachable"],
    ["a gateway", gatewayPage(502), "unreachable"],
    ["a status that is new", json({ ...starting, status: "paused" }), "unreachable"],
    ["no JSON", () => new Response("hello"), "unreachable"],
    ["no answer", broken("fetch failed"), "unreachable"],
  ];
  for (const [name, answer, expected, failure] of cases) {
    const { replicate, sent } = fakeReplicate(answer);
    const state = await replicate.poll(id, {}, kling);
    assert.equal(state.state, expected, name);
    assert.equal(sent[0]?.url, `https://api.replicate.com/v1/predictions/${id}`);
    if (state.state === "failed") {
      const { code, details: { reason }, cause } = state.failure;
      assert.deepEqual({ code, ...(reason === undefined ? {} : { reason }) }, failure, name);
      assert(!cause.includes("secret"), `${name}: the cause repeats no input`);
    }
  }
});

Deno.test("what never started is not billed, and what ran is, however it ended", async () => {
  const { started_at: _, ...unstarted } = canceled;
  const cases: [string, unknown, isUnbilled: true | undefined][] = [
    ["aborted", aborted, true],
    ["canceled before it started", unstarted, true],
    ["canceled before it started, in other words", { ...canceled, started_at: null }, true],
    ["failed before it started", { ...failedModel, started_at: null }, true],
    ["canceled while it ran", canceled, undefined],
    ["failed while it ran", failedSensitive, undefined],
    ["succeeded", succeeded, undefined],
  ];
  for (const [name, prediction, expected] of cases) {
    const { replicate } = fakeReplicate(json(prediction), json(prediction));
    for (const told of [await replicate.poll(id, {}, kling), await replicate.cancel(id, {}, kling)]) {
      const isTooLate = "outcome" in told && told.outcome !== "cancelled";
      assert.equal(
        "isUnbilled" in told ? told.isUnbilled : undefined,
        isTooLate ? undefined : expected,
        name,
      );
    }
  }
});

Deno.test("an output is a file, a list of files, or files by name", async () => {
  const video = succeeded.output;
  for (
    const [output, thumbnailUrl] of [
      [video, null],
      [succeededList.output, null],
      [succeededFiles.output, succeededFiles.output.thumbnail],
      [{ url: video }, null],
      [[{ url: video }], null],
      [{ video: { url: video }, thumbnail: "none" }, null],
    ] as const
  ) {
    const { replicate } = fakeReplicate(json({ ...succeeded, output }));
    const state = await replicate.poll(id, {}, kling);
    assert.deepEqual(state, { state: "succeeded", videoUrl: video, thumbnailUrl }, JSON.stringify(output));
  }
});

Deno.test("a prediction's id cannot lead to another path", async () => {
  const { replicate, sent } = fakeReplicate(json(errorNotFound, 404), json(errorNotFound, 404));
  await replicate.poll("../x?y", {}, kling);
  await replicate.cancel("../x?y", {}, kling);
  assert.deepEqual(sent.map(({ url }) => new URL(url).pathname), [
    "/v1/predictions/..%2Fx%3Fy",
    "/v1/predictions/..%2Fx%3Fy/cancel",
  ]);
});

Deno.test("a cancellation is as far as the prediction that answers it", async () => {
  const cases: [FakeAnswer, string][] = [
    [json(canceled), "cancelled"],
    [json(aborted), "cancelled"],
    [json(starting), "requested"],
    [json(processing), "requested"],
    [json(succeeded), "too_late"],
    [json(failedModel), "too_late"],
    [json(errorNotFound, 404), "not_found"],
    [gatewayPage(404), "unreachable"],
    [json({ detail: "no", status: 400 }, 400), "unreachable"],
    [broken("fetch failed"), "unreachable"],
  ];
  for (const [answer, expected] of cases) {
    const { replicate, sent } = fakeReplicate(answer);
    assert.equal((await replicate.cancel(id, {}, kling)).outcome, expected);
    assert.equal(sent[0]?.method, "POST");
  }
});

async function webhook(body: unknown, messageId = "msg_1") {
  const text = JSON.stringify(body);
  const timestamp = String(now / 1000);
  const secret = Uint8Array.from(atob(config.webhookSecret.slice(6)), (character) => character.charCodeAt(0));
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", secret, hmac, false, ["sign"]);
  const message = new TextEncoder().encode(`${messageId}.${timestamp}.${text}`);
  const signature = new Uint8Array(await crypto.subtle.sign("HMAC", key, message));
  const headers = new Headers({
    "webhook-id": messageId,
    "webhook-timestamp": timestamp,
    "webhook-signature": `v1,${btoa(String.fromCharCode(...signature))}`,
  });
  return await fakeReplicate().replicate.verifyWebhook(new TextEncoder().encode(text), headers, now);
}

Deno.test("a webhook that is signed with our secret tells what became of its prediction", async () => {
  assert.deepEqual(await webhook(succeeded), {
    valid: true,
    event: {
      eventId: `${id}:succeeded`,
      requestId: id,
      state: { state: "succeeded", videoUrl: succeeded.output, thumbnailUrl: null },
    },
  });
  const failed = await webhook(failedSensitive);
  assert(failed.valid && failed.event.state.state === "failed");
  assert.equal(failed.event.state.failure.code, "ERR_4003");
  assert.equal((await webhook({ hello: "world" })).valid, false);
  assert.equal((await webhook([succeeded])).valid, false);
});

Deno.test("every message about an end has its event's id, and another end another", async () => {
  const idOf = async (body: unknown, messageId: string) => {
    const verdict = await webhook(body, messageId);
    assert(verdict.valid);
    return verdict.event.eventId;
  };
  assert.equal(await idOf(succeeded, "msg_1"), await idOf(succeeded, "msg_2"));
  assert.notEqual(await idOf(succeeded, "msg_1"), await idOf(canceled, "msg_1"));
});
