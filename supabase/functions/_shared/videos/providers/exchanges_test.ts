import assert from "node:assert/strict";
import { withoutAcceptance, withoutAnswer } from "./exchanges.ts";

const answer = (status: number, headers: HeadersInit = {}) => ({
  status,
  headers: new Headers(headers),
  text: "",
});
const facts = { cause: "status", isOwnForm: false, now: 0 };

Deno.test("a provider that is busy proves that it has not taken the job, and is told apart from one that is away", () => {
  assert.deepEqual(withoutAcceptance(answer(429, { "retry-after": "7" }), facts), {
    outcome: "not_accepted",
    cause: "status",
    retryAfterSeconds: 7,
    isBusy: true,
  });
  assert.deepEqual(withoutAcceptance(answer(503), { ...facts, isOwnForm: true }), {
    outcome: "not_accepted",
    cause: "status",
    retryAfterSeconds: null,
  });
});

Deno.test("only a client's error but 408, and a provider's own 503, prove that nobody has the job", () => {
  for (const status of [400, 401, 402, 403, 404, 409, 422]) {
    assert.equal(withoutAcceptance(answer(status), facts).outcome, "not_accepted", `${status}`);
  }
  for (const status of [200, 302, 408, 500, 502, 503, 504]) {
    assert.equal(withoutAcceptance(answer(status), facts).outcome, "unknown", `${status}`);
  }
});

Deno.test("a time-out proves nothing, and a connection that never was proves that nobody has the job", () => {
  assert.equal(withoutAnswer(new DOMException("Signal timed out.", "TimeoutError")).outcome, "unknown");
  assert.equal(
    withoutAnswer(new TypeError("error sending request: client error (Connect): refused")).outcome,
    "not_accepted",
  );
});
