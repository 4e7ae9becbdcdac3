import assert from "node:assert/strict";
import type { FalConfig } from "../../../platform/config.ts";
import { broken, type FakeAnswer, fakeFetch, gatewayPage, json } from "../../../testing/fake-fetch.ts";
import cancelCompleted from "./fixtures/cancel-completed.json" with { type: "json" };
import cancelRemoved from "./fixtures/cancel-removed.json" with { type: "json" };
import cancelRequested from "./fixtures/cancel-requested.json" with { type: "json" };
import errorContentPolicy from "./fixtures/error-content-policy.json" with { type: "json" };
import errorDownstream from "./fixtures/error-downstream.json" with { type: "json" };
import errorInput from "./fixtures/error-input.json" with { type: "json" };
import errorInputText from "./fixtures/error-input-text.json" with { type: "json" };
import errorLocked from "./fixtures/error-locked.json" with { type: "json" };
import errorRequestTimeout from "./fixtures/error-request-timeout.json" with { type: "json" };
import errorRunner from "./fixtures/error-runner.json" with { type: "json" };
import notFound from "./fixtures/not-found.json" with { type: "json" };
import resultKling from "./fixtures/result-kling.json" with { type: "json" };
import statusCompleted from "./fixtures/status-completed.json" with { type: "json" };
import statusFailed from "./fixtures/status-completed-failed.json" with { type: "json" };
import statusInProgress from "./fixtures/status-in-progress.json" with { type: "json" };
import statusInQueue from "./fixtures/status-in-queue.json" with { type: "json" };
import submitAnswer from "./fixtures/submit.json" with { type: "json" };
import { falProvider } from "./fal.ts";
import type { Generation, ProviderState } from "../provider.ts";

const config: FalConfig = {
  key: "id:secret",
  accountId: "user_1",
  queueUrl: "https://queue.fal.run",
  apiUrl: "https://api.fal.ai/v1",
  jwksUrl: "https://rest.fal.ai/.well-known/jwks.json",
  resultHosts: ["*.fal.media"],
};
const model = "fal-ai/kling-video/v2.5-turbo/pro/text-to-video";
const generation: Generation = {
  providerModel: model,
  prompt: "a secret prompt",
  durationSeconds: 5,
  resolution: "1080p",
  aspectRatio: "16:9",
  imageUrl: null,
  videoUrl: null,
  fields: {},
  webhookUrl: "https://kinora.example.com/hook?token=t&provider=fal",
};
const requestId = submitAnswer.request_id;
const app = `https://queue.fal.run/fal-ai/kling-video/requests/${requestId}`;
const page = gatewayPage(502);

/** An adapter whose requests are answered in turn, and what it sent. */
function fakeFal(...answers: FakeAnswer[]) {
  const { sent, fetch } = fakeFetch(...answers);
  return {
    sent,
    fal: falProvider({
      config,
      fetch,
      pause: () => Promise.resolve(),
      now: () => Date.parse("2026-11-20T12:00:00Z"),
    }),
  };
}

Deno.test("a submission sends the key, the webhook and the model's own input, and follows no redirect", async () => {
  const { fal, sent } = fakeFal(json(submitAnswer));
  assert.deepEqual(await fal.submit(generation), {
    outcome: "accepted",
    requestId,
    references: { status_url: `${app}/status`, response_url: app, cancel_url: `${app}/cancel` },
  });
  const [request] = sent;
  assert(request);
  const url = new URL(request.url);
  assert.equal(`${url.origin}${url.pathname}`, `https://queue.fal.run/${model}`);
  assert.equal(url.searchParams.get("fal_webhook"), generation.webhookUrl);
  assert.equal(request.method, "POST");
  assert.equal(request.redirect, "manual");
  assert.equal(request.headers.get("authorization"), "Key id:secret");
  assert.equal(request.headers.get("x-app-fal-disable-fallback"), "true");
  assert.deepEqual(request.body, { prompt: "a secret prompt", duration: "5", aspect_ratio: "16:9" });
});

Deno.test("each model gets its input in its own names and types", async () => {
  const inputOf = async (change: Partial<Generation>) => {
    const { fal, sent } = fakeFal(json(submitAnswer));
    await fal.submit({ ...generation, ...change });
    return sent[0]?.body;
  };
  const base = { prompt: "a secret prompt", aspect_ratio: "16:9", resolution: "720p" };
  const change = { durationSeconds: 4, resolution: "720p" };
  assert.deepEqual(await inputOf({ ...change, providerModel: "fal-ai/veo3/fast" }), {
    ...base,
    duration: "4s",
    generate_audio: false,
  });
  assert.deepEqual(await inputOf({ ...change, providerModel: "fal-ai/sora-2/text-to-video" }), {
    ...base,
    duration: 4,
  });
  const imageUrl = "https://images.example.com/a.png";
  assert.deepEqual(await inputOf({ ...change, imageUrl, providerModel: "fal-ai/sora-2/image-to-video" }), {
    ...base,
    duration: 4,
    image_url: imageUrl,
  });
});

Deno.test("a model without a known input is refused before anything is sent, for the operator and not the user", async () => {
  for (const providerModel of ["fal-ai/unknown", "toString", "fal-ai/sora-2/image-to-video"]) {
    const { fal, sent } = fakeFal();
    const outcome = await fal.submit({ ...generation, providerModel });
    assert(outcome.outcome === "refused" && outcome.needsOperator, providerModel);
    assert.equal(outcome.failure.code, "ERR_5002");
    assert.equal(sent.length, 0);
  }
});

Deno.test("only proof that fal does not have a submission makes it not accepted", async () => {
  const cases: [string, FakeAnswer, string][] = [
    [
      "no connection, as Deno 2.1 words it",
      broken("error sending request: client error (Connect): refused"),
      "not_accepted",
    ],
    [
      "no connection, as Deno 2.9 words it",
      broken("fetch failed", "client error (Connect): refused"),
      "not_accepted",
    ],
    [
      "a connection that broke later",
      broken("fetch failed", "client error (SendRequest): closed"),
      "unknown",
    ],
    ["no answer in time", () => Promise.reject(new DOMException("", "TimeoutError")), "unknown"],
    ["401", json({ detail: "invalid key credentials" }, 401), "not_accepted"],
    ["403", json(errorLocked, 403), "not_accepted"],
    ["404", json({ detail: "Application not found" }, 404), "refused"],
    ["404 from elsewhere", () => new Response("no", { status: 404 }), "not_accepted"],
    ["408", json(errorRequestTimeout, 408), "unknown"],
    ["409", json({ detail: "conflict" }, 409), "not_accepted"],
    ["429", json({ detail: "Too many requests" }, 429), "not_accepted"],
    ["422 from fal", json(errorInput, 422), "refused"],
    ["422 from fal, in a sentence", json(errorInputText, 422), "refused"],
    ["422 from elsewhere", () => new Response("no", { status: 422 }), "not_accepted"],
    ["400 from fal", json({ detail: "malformed", error_type: "bad_request" }, 400), "not_accepted"],
    ["400 about a service behind fal", json(errorDownstream, 400), "not_accepted"],
    ["500 from fal", json({ detail: "oops", error_type: "internal_error" }, 500), "unknown"],
    ["502 from a gateway", page, "unknown"],
    ["503 from fal", json(errorRunner, 503), "not_accepted"],
    [
      "503 from fal, typed by its header",
      json({ detail: "x" }, 503, { "x-fal-error-type": "runner_scheduling_failure" }),
      "not_accepted",
    ],
    ["503 from a gateway", () => new Response("<html>nginx</html>", { status: 503 }), "unknown"],
    ["503 in JSON that is not fal's", json({ detail: "busy" }, 503), "unknown"],
    ["504 from fal", json(errorRequestTimeout, 504), "unknown"],
    [
      "a redirect",
      () => new Response(null, { status: 307, headers: { location: "https://evil.example.com" } }),
      "unknown",
    ],
    ["200 without a request id", json({ status: "IN_QUEUE" }), "unknown"],
    ["200 that is not JSON", () => new Response("ok"), "unknown"],
    ["a body longer than any answer", () => new Response("x".repeat(8 * 1024 * 1024 + 1)), "unknown"],
  ];
  for (const [name, answer, expected] of cases) {
    const { fal, sent } = fakeFal(answer);
    assert.equal((await fal.submit(generation)).outcome, expected, name);
    assert.equal(sent.length, 1, `${name}: sent once`);
  }
});

Deno.test("a prompt that fal flags is refused as such, and what is logged does not repeat it", async () => {
  const { fal } = fakeFal(json(errorContentPolicy, 422));
  assert.deepEqual(await fal.submit(generation), {
    outcome: "refused",
    failure: {
      code: "ERR_4003",
      details: { reason: "provider_policy" },
      cause: "fal answered 422: content_policy_violation",
    },
  });
});

Deno.test("Retry-After is passed on in seconds, from either of its forms", async () => {
  for (
    const [value, expected] of [["7", 7], ["Fri, 20 Nov 2026 12:00:30 GMT", 30], ["soon", null]] as const
  ) {
    const { fal } = fakeFal(json({ detail: "x" }, 429, { "retry-after": value }));
    const outcome = await fal.submit(generation);
    assert(outcome.outcome === "not_accepted");
    assert.equal(outcome.retryAfterSeconds, expected, value);
  }
});

Deno.test("the key goes to the queue alone: URLs elsewhere are neither kept nor followed", async () => {
  const elsewhere = {
    status_url: "https://queue.fal.run.evil.example.com/status",
    response_url: "https://evil.example.com/",
    cancel_url: "http://queue.fal.run/cancel",
  };
  const { fal, sent } = fakeFal(
    json({ ...submitAnswer, ...elsewhere }),
    json(statusCompleted),
    json(resultKling),
    json(cancelRequested, 202),
  );
  assert.deepEqual(await fal.submit(generation), { outcome: "accepted", requestId, references: {} });
  await fal.poll(requestId, elsewhere, model);
  await fal.cancel(requestId, elsewhere, model);
  assert.deepEqual(sent.slice(1).map(({ url }) => url), [`${app}/status`, app, `${app}/cancel`]);
});

Deno.test("a request id cannot lead a poll to another path", async () => {
  const { fal, sent } = fakeFal(json(notFound, 404));
  await fal.poll("../../x?y", {}, model);
  assert.equal(sent[0]?.url, "https://queue.fal.run/fal-ai/kling-video/requests/..%2F..%2Fx%3Fy/status");
});

Deno.test("a poll tells the states of fal's queue", async () => {
  const cases: [string, FakeAnswer, ProviderState["state"]][] = [
    ["in queue", json(statusInQueue, 202), "queued"],
    ["in progress", json(statusInProgress, 202), "running"],
    ["unknown to fal", json(notFound, 404), "not_found"],
    ["404 from elsewhere", () => new Response("gone", { status: 404 }), "unreachable"],
    ["a wrong key", json({ detail: "invalid key credentials" }, 401), "unreachable"],
    ["a gateway", page, "unreachable"],
    ["a status that is new", json({ ...statusInQueue, status: "PAUSED" }), "unreachable"],
    ["no JSON", () => new Response("hello"), "unreachable"],
  ];
  for (const [name, answer, expected] of cases) {
    const { fal } = fakeFal(answer);
    assert.equal((await fal.poll(requestId, {}, model)).state, expected, name);
  }
  const { fal } = fakeFal(broken("fetch failed"));
  assert.deepEqual(await fal.poll(requestId, {}, model), { state: "unreachable", cause: "fetch failed" });
});

Deno.test("a poll fetches the result of what is complete, and learns from it how it ended", async () => {
  const succeeded = fakeFal(json(statusCompleted), json(resultKling));
  assert.equal((await succeeded.fal.poll(requestId, {}, model)).state, "succeeded");
  const gone = fakeFal(json(statusFailed), page);
  assert.equal((await gone.fal.poll(requestId, {}, model)).state, "failed");
  const unanswered = fakeFal(json(statusFailed), broken("fetch failed"));
  assert.equal((await unanswered.fal.poll(requestId, {}, model)).state, "unreachable");
});

Deno.test("a cancellation tells what fal says of it, and ends a job only when it left the queue", async () => {
  const cases: [FakeAnswer, string, isUnbilled?: true][] = [
    [json(cancelRequested, 202), "requested"],
    [json(cancelRemoved), "cancelled", true],
    [json({ success: true }), "requested"],
    [json(cancelCompleted, 400), "too_late"],
    [json(notFound, 404), "not_found"],
    [json({ detail: "no" }, 400), "unreachable"],
    [page, "unreachable"],
    [broken("fetch failed"), "unreachable"],
  ];
  for (const [answer, expected, isUnbilled] of cases) {
    const { fal, sent } = fakeFal(answer);
    const outcome = await fal.cancel(requestId, {}, model);
    assert.equal(outcome.outcome, expected);
    assert.equal("isUnbilled" in outcome ? outcome.isUnbilled : undefined, isUnbilled);
    assert.equal(sent[0]?.method, "PUT");
  }
});
