import assert from "node:assert/strict";
import type { BoundedAnswer } from "../../../platform/bounded-fetch.ts";
import { readResult } from "./answer.ts";
import errorCancelled from "./fixtures/error-cancelled.json" with { type: "json" };
import errorContentPolicy from "./fixtures/error-content-policy.json" with { type: "json" };
import errorDownstream from "./fixtures/error-downstream.json" with { type: "json" };
import errorGenerationTimeout from "./fixtures/error-generation-timeout.json" with { type: "json" };
import errorInProgress from "./fixtures/error-in-progress.json" with { type: "json" };
import errorInputText from "./fixtures/error-input-text.json" with { type: "json" };
import errorInput from "./fixtures/error-input.json" with { type: "json" };
import errorNoMedia from "./fixtures/error-no-media.json" with { type: "json" };
import errorRequestTimeout from "./fixtures/error-request-timeout.json" with { type: "json" };
import errorRunner from "./fixtures/error-runner.json" with { type: "json" };
import resultKling from "./fixtures/result-kling.json" with { type: "json" };
import resultSora from "./fixtures/result-sora.json" with { type: "json" };

const complete = { failed: false, errorType: null };
const failed = { failed: true, errorType: null };
const answer = (body: unknown, status = 200): BoundedAnswer => ({
  status,
  headers: new Headers(),
  text: typeof body === "string" ? body : JSON.stringify(body),
});
const page = answer("<html>nginx</html>", 502);

Deno.test("a complete generation is its video, with its thumbnail where there is one", () => {
  assert.deepEqual(readResult(answer(resultKling), complete), {
    state: "succeeded",
    videoUrl: resultKling.video.url,
    thumbnailUrl: null,
  });
  assert.deepEqual(readResult(answer(resultSora), complete), {
    state: "succeeded",
    videoUrl: resultSora.video.url,
    thumbnailUrl: resultSora.thumbnail.url,
  });
  const { video } = resultSora;
  const broken = readResult(answer({ video, thumbnail: { url: "no" } }), complete);
  assert(broken.state === "succeeded");
  assert.equal(broken.thumbnailUrl, null);
});

Deno.test("a complete generation without a usable video has failed", () => {
  const bodies = [{}, { video: null }, { video: { url: "file:///etc/passwd" } }, { video: { url: "no" } }];
  for (const body of [...bodies, [], null, '{"video": {', ""]) {
    const state = readResult(answer(body), complete);
    assert(state.state === "failed");
    assert.equal(state.failure.code, "ERR_5003");
    assert.deepEqual(state.failure.details, { reason: "invalid_result" });
  }
});

Deno.test("how a generation failed is told by fal's types, and the user is blamed only for what they wrote", () => {
  const rejected = { code: "ERR_5003", details: { reason: "rejected" } };
  const unavailable = { code: "ERR_5002", details: {} };
  const timedOut = { code: "ERR_5001", details: {} };
  const policy = { code: "ERR_4003", details: { reason: "provider_policy" } };
  const noMedia = { code: "ERR_5003", details: { reason: "invalid_result" } };
  const aboutPrompt = { detail: [{ loc: ["body", "prompt"], msg: "too long", type: "string_too_long" }] };
  const aboutImage = { detail: [{ loc: ["body", "image_url"], msg: "", type: "image_too_small" }] };
  const disconnected = { failed: true, errorType: "runner_disconnected" };
  const cases = [
    ["content policy", complete, answer(errorContentPolicy, 422), policy],
    ["content policy, though the status says failed", failed, answer(errorContentPolicy, 422), policy],
    ["the prompt", complete, answer(aboutPrompt, 422), rejected],
    ["the image", complete, answer(aboutImage, 422), rejected],
    ["what we made of the settings", complete, answer(errorInput, 422), unavailable],
    ["something, in a sentence", complete, answer(errorInputText, 422), unavailable],
    ["no media", complete, answer(errorNoMedia, 422), noMedia],
    ["generation timeout", complete, answer(errorGenerationTimeout, 504), timedOut],
    ["request timeout", complete, answer(errorRequestTimeout, 504), timedOut],
    ["a service behind the model", complete, answer(errorDownstream, 500), unavailable],
    ["runner", complete, answer(errorRunner, 503), unavailable],
    ["runner, and its result is gone", disconnected, answer("", 404), unavailable],
    ["runner, with an output all the same", disconnected, answer(resultKling), unavailable],
    ["failed, with an output all the same", failed, answer(resultKling), unavailable],
    ["failed, and the key is refused", failed, answer({ detail: "no" }, 401), unavailable],
    ["a type that is new", { failed: true, errorType: "cosmic_rays" }, answer("", 404), unavailable],
  ] as const;
  for (const [name, completion, result, expected] of cases) {
    const state = readResult(result, completion);
    assert(state.state === "failed", `${name}: ${state.state}`);
    const { code, details, cause } = state.failure;
    assert.deepEqual({ code, details }, expected, name);
    assert(!cause.includes("secret"), `${name}: the cause repeats no input`);
  }
});

Deno.test("a cancelled generation has not failed", () => {
  const cancelled = { state: "cancelled", isUnbilled: true };
  assert.deepEqual(readResult(answer(errorCancelled, 499), complete), cancelled);
  assert.deepEqual(readResult(page, { failed: true, errorType: "client_cancelled" }), cancelled);
});

Deno.test("a server's error and a cancellation are not billed; what is about the input may be", () => {
  const runner = { failed: true, errorType: "runner_disconnected" };
  const cases = [
    ["cancelled", complete, answer(errorCancelled, 499), true],
    ["generation timeout", complete, answer(errorGenerationTimeout, 504), true],
    ["request timeout", complete, answer(errorRequestTimeout, 504), true],
    ["a service behind the model", complete, answer(errorDownstream, 500), true],
    ["runner", complete, answer(errorRunner, 503), true],
    ["runner, and its result is gone", runner, answer("", 404), true],
    ["a time limit that only the status tells", { failed: true, errorType: "startup_timeout" }, page, true],
    ["content policy", complete, answer(errorContentPolicy, 422), undefined],
    ["input", complete, answer(errorInput, 422), undefined],
    ["input, in a sentence", complete, answer(errorInputText, 422), undefined],
    ["no media", complete, answer(errorNoMedia, 422), undefined],
    ["an output without a video", complete, answer({}), undefined],
    ["failed, with an output all the same", failed, answer(resultKling), undefined],
    ["a video", complete, answer(resultKling), undefined],
  ] as const;
  for (const [name, completion, result, expected] of cases) {
    const state = readResult(result, completion);
    assert.equal("isUnbilled" in state ? state.isUnbilled : undefined, expected, name);
  }
});

Deno.test("an answer that is not about the generation leaves it as it is", () => {
  const cases = [
    ["still in progress", complete, answer(errorInProgress, 400)],
    ["a gateway", complete, page],
    ["a gateway, where only the result would tell how it failed", failed, page],
    ["a wrong key", complete, answer({ detail: "invalid key credentials" }, 401)],
    ["too many requests", complete, answer({ detail: "x", error_type: "rate_limited" }, 429)],
    ["500 without a type", complete, answer({ detail: "Internal Server Error" }, 500)],
  ] as const;
  for (const [name, completion, result] of cases) {
    assert.equal(readResult(result, completion).state, "unreachable", name);
  }
});
