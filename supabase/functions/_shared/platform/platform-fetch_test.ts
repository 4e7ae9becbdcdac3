import assert from "node:assert/strict";
import { limitTime, platformFetch, repeatUnauthorized } from "./platform-fetch.ts";
import { testRuntime } from "../testing/runtime.ts";

/** Answers with headers at once and with a body that never comes, as long as the signal lets it. */
const endless: typeof fetch = (_, init) => {
  const signal = init?.signal;
  const body = new ReadableStream({
    start(controller) {
      if (signal?.aborted) controller.error(signal.reason);
      signal?.addEventListener("abort", () => controller.error(signal.reason));
    },
  });
  return Promise.resolve(new Response(body));
};

Deno.test("an exchange ends in time, also while its body is read", async () => {
  await assert.rejects(limitTime(endless, 1)("https://a.example.com"), { name: "TimeoutError" });
});

Deno.test("whoever asks may end the exchange earlier", async () => {
  const own = new AbortController();
  const answer = limitTime(endless, 60_000)("https://a.example.com", { signal: own.signal });
  own.abort();
  await assert.rejects(answer, { name: "AbortError" });
});

Deno.test("a caller's own signal does not lift the limit, and the rest of the request is passed on", async () => {
  const methods: unknown[] = [];
  const fetch: typeof globalThis.fetch = (input, init) => {
    methods.push(init?.method);
    return endless(input, init);
  };
  const { signal } = new AbortController();
  const answer = limitTime(fetch, 1)("https://a.example.com", { method: "PUT", signal });
  await assert.rejects(answer, { name: "TimeoutError" });
  assert.deepEqual(methods, ["PUT"]);
});

Deno.test("an answer within its time comes as it was sent, and its time-out is over", async () => {
  const sent = () => new Response("{}", { status: 207, statusText: "Some", headers: { "x-a": "b" } });
  for (const given of [sent, () => new Response(null, { status: 204 })]) {
    const signals: (AbortSignal | null | undefined)[] = [];
    const fetch: typeof globalThis.fetch = (_, init) => {
      signals.push(init?.signal);
      return Promise.resolve(given());
    };
    // The test runner fails for a timer that is left.
    const response = await limitTime(fetch, 60_000)("https://a.example.com");
    const { status, statusText, headers } = given();
    assert.deepEqual([response.status, response.statusText], [status, statusText]);
    assert.deepEqual([...response.headers], [...headers]);
    assert.equal(await response.text(), await given().text());
    assert(signals[0] instanceof AbortSignal);
  }
});

Deno.test("a service streams with the platform's own fetch", () => {
  assert.equal(platformFetch(testRuntime(endless)), endless);
});

Deno.test("what a 401 refused is asked again, with the same request, and nothing else is", async () => {
  for (
    const [statuses, expected] of [
      [[401, 200], 200],
      [[401, 401, 204], 204],
      [[401, 401, 401, 200], 401],
      [[200, 401], 200],
      [[403, 200], 403],
      [[503, 200], 503],
    ] as const
  ) {
    const left = [...statuses];
    const bodies: unknown[] = [];
    const pauses: number[] = [];
    const fetch = repeatUnauthorized((_, init) => {
      bodies.push(init?.body);
      const status = left.shift() ?? 500;
      return Promise.resolve(new Response(status === 204 ? null : "", { status }));
    }, (milliseconds) => Promise.resolve(void pauses.push(milliseconds)));
    const { status } = await fetch("https://a.example.com", { method: "POST", body: "all of it" });
    assert.equal(status, expected, statuses.join());
    assert(bodies.every((body) => body === "all of it"));
    assert.equal(pauses.length, bodies.length - 1);
  }
});
