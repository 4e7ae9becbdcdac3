import assert from "node:assert/strict";
import { fetchWithRetry, type RetriedRequest } from "./fetch-with-retry.ts";
import { sleep } from "./sleep.ts";
import { settableClock } from "../testing/clock.ts";

const url = "https://provider.example.com/status";
const limits = { timeoutMilliseconds: 1_000, maxBytes: 100 };

type Reply = Response | Error | ((init: RequestInit) => Promise<Response>);

/** A server that gives one reply after the other, on a clock that moves only while the client sleeps. */
function world(replies: Reply[], random = () => 0.5) {
  const clock = settableClock(0);
  const sleeps: number[] = [];
  const requests: RequestInit[] = [];
  const ask = (request: Partial<RetriedRequest> = {}) =>
    fetchWithRetry(url, { ...limits, ...request }, {
      fetch: (_url, init = {}) => {
        requests.push(init);
        const reply = replies[requests.length - 1];
        if (reply === undefined) throw new Error("More requests than replies");
        if (typeof reply === "function") return reply(init);
        return reply instanceof Error ? Promise.reject(reply) : Promise.resolve(reply);
      },
      now: clock.now,
      random,
      sleep: (milliseconds) => {
        sleeps.push(milliseconds);
        clock.advance(milliseconds);
        return Promise.resolve();
      },
    });
  return { ask, sleeps, requests, clock };
}

function reply(status: number, headers: Record<string, string> = {}): Response {
  return new Response(`status ${status}`, { status, headers });
}

Deno.test("what may pass is asked again, and the attempts are told", async () => {
  const { ask, sleeps } = world([reply(503), new TypeError("connection reset"), reply(200)]);
  const { status, text, attempts } = await ask();
  assert.deepEqual([status, text, attempts], [200, "status 200", 3]);
  assert.deepEqual(sleeps, [125, 250], "half of 250 ms, then half of 500 ms");
});

Deno.test("only 408, 429, 500, 502, 503 and 504 are asked again", async () => {
  for (const status of [408, 429, 500, 502, 503, 504]) {
    assert.equal((await world([reply(status), reply(200)]).ask()).attempts, 2, String(status));
  }
  for (const status of [200, 301, 400, 401, 404, 409, 422, 501, 505]) {
    assert.equal((await world([reply(status)]).ask()).attempts, 1, String(status));
  }
});

Deno.test("the last answer is given, and the last error is thrown", async () => {
  assert.equal((await world([reply(500), reply(502), reply(503)]).ask()).status, 503);
  const last = new TypeError("third");
  await assert.rejects(world([new Error("first"), reply(500), last]).ask(), last);
  assert.equal((await world([reply(500), reply(502)]).ask({ attempts: 2 })).status, 502);
});

Deno.test("a POST is sent once, unless doing it twice is doing it once", async () => {
  const once = world([reply(503)]);
  assert.equal((await once.ask({ method: "POST", body: "{}" })).attempts, 1);
  await assert.rejects(world([new TypeError("connection reset")]).ask({ method: "POST" }), TypeError);
  const twice = world([reply(503), reply(200)]);
  assert.equal((await twice.ask({ method: "POST", body: "{}", idempotent: true })).attempts, 2);
  assert.deepEqual(twice.requests.map(({ method, body }) => [method, body]), [["POST", "{}"], [
    "POST",
    "{}",
  ]]);
  assert.equal((await world([reply(503), reply(200)]).ask({ method: "PUT" })).attempts, 2);
});

Deno.test("Retry-After is honoured, in seconds and as a date, with jitter on top", async () => {
  const seconds = world([reply(429, { "Retry-After": "3" }), reply(200)]);
  await seconds.ask();
  assert.deepEqual(seconds.sleeps, [3_125]);
  const date = world([reply(503, { "Retry-After": new Date(5_000).toUTCString() }), reply(200)]);
  await date.ask();
  assert.deepEqual(date.sleeps, [5_125]);
});

Deno.test("a server that asks for too long gets no second attempt", async () => {
  const { ask, sleeps } = world([reply(429, { "Retry-After": "3600" })]);
  assert.deepEqual([(await ask()).status, sleeps], [429, []]);
});

Deno.test("the wait is anything between nothing and its bound, which doubles up to 10 s", async () => {
  const failures = () => Array.from({ length: 9 }, () => reply(500));
  const shortest = world(failures(), () => 0);
  await shortest.ask({ attempts: 9 });
  assert.deepEqual(shortest.sleeps, Array(8).fill(0));
  const longest = world(failures(), () => 1);
  await longest.ask({ attempts: 9 });
  assert.deepEqual(longest.sleeps, [250, 500, 1000, 2000, 4000, 8000, 10000, 10000]);
});

Deno.test("no wait goes over the deadline, and no attempt starts after it", async () => {
  const { ask, sleeps, clock } = world([reply(500), reply(500)]);
  assert.equal((await ask({ deadline: 200 })).attempts, 2);
  assert.deepEqual(sleeps, [125]);
  assert(clock.now() < 200);
  await assert.rejects(world([]).ask({ deadline: 0 }), { name: "TimeoutError" });
});

/** Answers at once, with a body that never ends, until it is aborted. */
function endless(init: RequestInit): Promise<Response> {
  const body = new ReadableStream({
    start: (controller) => {
      init.signal?.addEventListener("abort", () => controller.error(init.signal?.reason));
    },
  });
  return Promise.resolve(new Response(body));
}

Deno.test("an attempt whose body does not end is given up in its time, and asked again", async () => {
  const { ask, requests } = world([endless, reply(200)]);
  assert.equal((await ask({ timeoutMilliseconds: 20 })).attempts, 2);
  assert.equal(requests[0]?.signal?.aborted, true);
});

Deno.test("an attempt ends with the deadline, however much time of its own it has", async () => {
  const { ask } = world([endless]);
  // Whoever waited for the hour would not see the test end.
  await assert.rejects(ask({ timeoutMilliseconds: 3_600_000, deadline: 20, attempts: 1 }), {
    name: "TimeoutError",
  });
});

Deno.test("an aborted request is not asked again, also while it waits", async () => {
  const controller = new AbortController();
  const { ask, requests } = world([() => {
    controller.abort(new Error("enough"));
    return Promise.reject(new Error("connection reset"));
  }]);
  await assert.rejects(ask({ signal: controller.signal }));
  assert.equal(requests.length, 1);
  const later = new AbortController();
  const sleeping = sleep(3_600_000, later.signal);
  later.abort(new Error("enough"));
  await assert.rejects(sleeping, /enough/);
  await assert.rejects(sleep(3_600_000, later.signal), /enough/);
  await sleep(0);
});
