import assert from "node:assert/strict";
import type { RunwayConfig } from "../../../platform/config.ts";
import { broken, type FakeAnswer, fakeFetch, gatewayPage, json } from "../../../testing/fake-fetch.ts";
import cancelled from "./fixtures/cancelled.json" with { type: "json" };
import created from "./fixtures/created.json" with { type: "json" };
import errorCredits from "./fixtures/error-credits.json" with { type: "json" };
import errorDailyLimit from "./fixtures/error-daily-limit.json" with { type: "json" };
import errorInput from "./fixtures/error-input.json" with { type: "json" };
import errorNotFound from "./fixtures/error-not-found.json" with { type: "json" };
import errorOverloaded from "./fixtures/error-overloaded.json" with { type: "json" };
import errorUnauthorized from "./fixtures/error-unauthorized.json" with { type: "json" };
import failedAsset from "./fixtures/failed-asset.json" with { type: "json" };
import failedBadOutput from "./fixtures/failed-bad-output.json" with { type: "json" };
import failedInternal from "./fixtures/failed-internal.json" with { type: "json" };
import failedSafetyInput from "./fixtures/failed-safety-input.json" with { type: "json" };
import failedSafetyOutput from "./fixtures/failed-safety-output.json" with { type: "json" };
import failedSafetyPre from "./fixtures/failed-safety-preprocessing.json" with { type: "json" };
import failedThirdParty from "./fixtures/failed-third-party.json" with { type: "json" };
import failedWithoutCode from "./fixtures/failed-without-code.json" with { type: "json" };
import pending from "./fixtures/pending.json" with { type: "json" };
import running from "./fixtures/running.json" with { type: "json" };
import succeededEmpty from "./fixtures/succeeded-empty.json" with { type: "json" };
import succeeded from "./fixtures/succeeded.json" with { type: "json" };
import throttled from "./fixtures/throttled.json" with { type: "json" };
import type { Generation, ProviderState } from "../provider.ts";
import { runwayProvider } from "./runway.ts";

const config: RunwayConfig = {
  secret: "key_secret",
  apiUrl: "https://api.dev.runwayml.com",
  resultHosts: ["dnznrvs05pmza.cloudfront.net"],
};
const generation: Generation = {
  providerModel: "gen4.5",
  prompt: "a secret prompt",
  durationSeconds: 5,
  resolution: "720p",
  aspectRatio: "16:9",
  imageUrl: null,
  videoUrl: null,
  fields: {},
  webhookUrl: null,
};
const { id } = created;
const taskUrl = `https://api.dev.runwayml.com/v1/tasks/${id}`;

function fakeRunway(...answers: FakeAnswer[]) {
  const { sent, fetch } = fakeFetch(...answers);
  const now = () => Date.parse("2026-11-20T12:00:00Z");
  return { sent, runway: runwayProvider({ config, fetch, pause: () => Promise.resolve(), now }) };
}

Deno.test("a submission sends the key, the version of the API and the model's own input", async () => {
  const { runway, sent } = fakeRunway(json(created));
  assert.deepEqual(await runway.submit(generation), { outcome: "accepted", requestId: id, references: {} });
  const [request] = sent;
  assert(request);
  assert.equal(request.url, "https://api.dev.runwayml.com/v1/text_to_video");
  assert.equal(request.method, "POST");
  assert.equal(request.redirect, "manual");
  assert.equal(request.headers.get("authorization"), "Bearer key_secret");
  assert.equal(request.headers.get("x-runway-version"), "2024-11-06");
  assert.deepEqual(request.body, {
    ...{ model: "gen4.5", promptText: "a secret prompt", duration: 5, ratio: "1280:720" },
  });
});

Deno.test("resolution and aspect ratio become the size of the picture, of those that the model has", async () => {
  const imageUrl = "https://images.example.com/a.png";
  const cases: [Partial<Generation>, string][] = [
    [{ aspectRatio: "9:16" }, "720:1280"],
    [{ aspectRatio: "1:1", imageUrl }, "960:960"],
    [{ providerModel: "veo3.1", resolution: "1080p" }, "1920:1080"],
    [{ providerModel: "veo3.1_fast", resolution: "1080p", aspectRatio: "9:16", imageUrl }, "1080:1920"],
  ];
  for (const [change, expected] of cases) {
    const { runway, sent } = fakeRunway(json(created));
    await runway.submit({ ...generation, ...change });
    const [request] = sent;
    assert(typeof request?.body === "object" && request.body !== null);
    const { ratio, promptImage, audio }: Record<string, unknown> = { ...request.body };
    const isImage = change.imageUrl !== undefined;
    assert.equal(ratio, expected);
    assert.equal(request.url.endsWith(isImage ? "/v1/image_to_video" : "/v1/text_to_video"), true);
    assert.equal(promptImage, isImage ? imageUrl : undefined);
    assert.equal(audio, change.providerModel?.startsWith("veo") ? false : undefined);
  }
});

Deno.test("what no known model can make is refused before anything is sent, for the operator and not the user", async () => {
  const impossible = [
    { providerModel: "unknown" },
    { providerModel: "toString" },
    { aspectRatio: "1:1" },
    { resolution: "1080p" },
    { providerModel: "veo3.1", aspectRatio: "1:1" },
  ];
  for (const change of impossible) {
    const { runway, sent } = fakeRunway();
    const outcome = await runway.submit({ ...generation, ...change });
    assert(outcome.outcome === "refused" && outcome.needsOperator, JSON.stringify(change));
    assert.equal(outcome.failure.code, "ERR_5002");
    assert.equal(sent.length, 0);
  }
});

Deno.test("only proof that Runway does not have a submission makes it not accepted", async () => {
  const cases: [string, FakeAnswer, string][] = [
    ["no connection", broken("fetch failed", "client error (Connect): refused"), "not_accepted"],
    ["a connection that broke later", broken("fetch failed", "client error (SendRequest)"), "unknown"],
    ["400 about the input", json(errorInput, 400), "refused"],
    ["400 about the account", json(errorCredits, 400), "not_accepted"],
    ["400 from elsewhere", gatewayPage(400), "not_accepted"],
    ["401", json(errorUnauthorized, 401), "not_accepted"],
    ["408", json(errorOverloaded, 408), "unknown"],
    ["429", json(errorDailyLimit, 429), "not_accepted"],
    ["500", json(errorOverloaded, 500), "unknown"],
    ["502", json(errorOverloaded, 502), "unknown"],
    ["503 from Runway", json(errorOverloaded, 503), "not_accepted"],
    ["503 from a gateway", gatewayPage(503), "unknown"],
    ["503 in JSON that is not Runway's", json({ error: "busy" }, 503), "unknown"],
    ["504", json(errorOverloaded, 504), "unknown"],
    ["200 without a task", json({}), "unknown"],
    ["200 that is not JSON", () => new Response("ok"), "unknown"],
    [
      "a redirect",
      () => new Response(null, { status: 307, headers: { location: "https://e.com" } }),
      "unknown",
    ],
  ];
  for (const [name, answer, expected] of cases) {
    const { runway, sent } = fakeRunway(answer);
    const outcome = await runway.submit(generation);
    assert.equal(outcome.outcome, expected, name);
    assert.equal(sent.length, 1, `${name}: sent once`);
  }
});

Deno.test("nothing that Runway ends is surely not billed, least of all what its moderation refuses", async () => {
  for (const task of [cancelled, failedSafetyInput, failedSafetyOutput, failedSafetyPre, failedInternal]) {
    const { runway } = fakeRunway(json(task), json(task));
    for (const told of [await runway.poll(id, {}, "gen4.5"), await runway.cancel(id, {}, "gen4.5")]) {
      assert(!("isUnbilled" in told));
    }
  }
});

Deno.test("a poll tells the states of a task", async () => {
  const policy = { code: "ERR_4003", reason: "provider_policy" };
  const noVideo = { code: "ERR_5003", reason: "invalid_result" };
  const unavailable = { code: "ERR_5002" };
  const cases: [string, FakeAnswer, ProviderState["state"], { code: string; reason?: string }?][] = [
    ["pending", json(pending), "queued"],
    ["throttled", json(throttled), "queued"],
    ["running", json(running), "running"],
    ["succeeded", json(succeeded), "succeeded"],
    ["cancelled", json(cancelled), "cancelled"],
    ["no output", json(succeededEmpty), "failed", noVideo],
    ["an output that is no URL", json({ ...succeeded, output: ["no"] }), "failed", noVideo],
    ["the prompt against the policy", json(failedSafetyInput), "failed", policy],
    ["the video against the policy", json(failedSafetyOutput), "failed", policy],
    ["the text against the policy", json(failedSafetyPre), "failed", policy],
    ["a video that Runway itself rejects", json(failedBadOutput), "failed", noVideo],
    ["an image that it cannot use", json(failedAsset), "failed", { code: "ERR_5003", reason: "rejected" }],
    ["a service behind it", json(failedThirdParty), "failed", unavailable],
    ["Runway itself", json(failedInternal), "failed", unavailable],
    ["without a code", json(failedWithoutCode), "failed", unavailable],
    [
      "a code that only begins alike",
      json({ ...failedInternal, failureCode: "SAFETYNET" }),
      "failed",
      unavailable,
    ],
    [
      "a code that is a sentence",
      json({ ...failedInternal, failureCode: "a secret" }),
      "failed",
      unavailable,
    ],
    ["unknown to Runway", json(errorNotFound, 404), "not_found"],
    ["404 from elsewhere", gatewayPage(404), "unreachable"],
    ["404 in JSON that is not Runway's", json({ error: "no" }, 404), "unreachable"],
    ["a wrong key", json(errorUnauthorized, 401), "unreachable"],
    ["a gateway", gatewayPage(502), "unreachable"],
    ["a status that is new", json({ ...pending, status: "PAUSED" }), "unreachable"],
    ["no JSON", () => new Response("hello"), "unreachable"],
    ["no answer", broken("fetch failed"), "unreachable"],
  ];
  for (const [name, answer, expected, failure] of cases) {
    const { runway, sent } = fakeRunway(answer);
    const state = await runway.poll(id, {}, "gen4.5");
    assert.equal(state.state, expected, name);
    assert.equal(sent[0]?.url, taskUrl);
    if (state.state === "failed") {
      const { code, details: { reason }, cause } = state.failure;
      assert.deepEqual({ code, ...(reason === undefined ? {} : { reason }) }, failure, name);
      assert(
        !/secret|moderation|unexpected/.test(cause),
        `${name}: ${cause} repeats no sentence of Runway's`,
      );
    }
  }
});

Deno.test("a running task tells its share of the work in whole percent", async () => {
  for (
    const [progress, percent] of [[0.456, 46], [0, 0], [1.2, 100], [-1, 0], [null, null], [
      "half",
      null,
    ]] as const
  ) {
    const { runway } = fakeRunway(json({ ...running, progress }));
    assert.deepEqual(await runway.poll(id, {}, "gen4.5"), { state: "running", percent });
  }
});

Deno.test("a cancellation deletes what goes on, and never what has ended", async () => {
  const done: FakeAnswer = () => new Response(null, { status: 204 });
  const thrice = ["DELETE", "DELETE", "DELETE"];
  const cases: [string, FakeAnswer[], string, string[]][] = [
    ["pending", [json(pending), done], "cancelled", ["GET", "DELETE"]],
    ["throttled", [json(throttled), done], "cancelled", ["GET", "DELETE"]],
    ["running", [json(running), done], "cancelled", ["GET", "DELETE"]],
    ["succeeded", [json(succeeded)], "too_late", ["GET"]],
    ["failed", [json(failedInternal)], "too_late", ["GET"]],
    ["cancelled before", [json(cancelled)], "cancelled", ["GET"]],
    ["unknown to Runway", [json(errorNotFound, 404)], "not_found", ["GET"]],
    ["no answer", [broken("fetch failed")], "unreachable", ["GET", "GET", "GET"]],
    ["no answer once", [broken("fetch failed"), json(succeeded)], "too_late", ["GET", "GET"]],
    ["a gateway", [json(running), gatewayPage(502)], "unreachable", ["GET", ...thrice]],
    ["a lost answer", [json(running), broken("fetch failed")], "unreachable", ["GET", ...thrice]],
    [
      "a lost answer to what was done",
      [json(running), broken("fetch failed"), json(errorNotFound, 404)],
      "cancelled",
      ["GET", "DELETE", "DELETE"],
    ],
  ];
  for (const [name, answers, expected, methods] of cases) {
    const { runway, sent } = fakeRunway(...answers);
    assert.equal((await runway.cancel(id, {}, "gen4.5")).outcome, expected, name);
    assert.deepEqual(
      sent.map(({ method, url }) => [method, url]),
      methods.map((method) => [method, taskUrl]),
    );
  }
});

Deno.test("a task's id cannot lead to another path", async () => {
  const { runway, sent } = fakeRunway(json(errorNotFound, 404));
  await runway.poll("../x?y", {}, "gen4.5");
  assert.equal(sent[0]?.url, "https://api.dev.runwayml.com/v1/tasks/..%2Fx%3Fy");
});

Deno.test("no webhook is Runway's", async () => {
  const verdict = await fakeRunway().runway.verifyWebhook(new Uint8Array(), new Headers(), Date.now());
  assert.equal(verdict.valid, false);
});
