import assert from "node:assert/strict";
import type { Limit } from "./context.ts";
import { rememberRefusals, setRateLimitHeaders } from "./rate-limiter.ts";

function limit(overrides: Partial<Limit> = {}): Limit {
  return {
    policy: "reads",
    allowed: true,
    current: 20,
    limit: 120,
    window: 60,
    remaining: 100,
    reset: 3,
    ...overrides,
  };
}

Deno.test("the headers tell each limit in the draft's form, the one nearest to refusal first", () => {
  const headers = new Headers();
  setRateLimitHeaders(headers, [
    limit(),
    limit({ policy: "video_generation", limit: 10, window: 3600, remaining: 7, reset: 1820 }),
    limit({ policy: "generation_attempts", limit: 60, remaining: 0, reset: 8 }),
    limit({
      policy: "generation_attempts_network",
      allowed: false,
      limit: 300,
      window: 3600,
      remaining: 0,
      reset: 9,
    }),
  ]);
  assert.equal(
    headers.get("RateLimit-Policy"),
    '"generation_attempts_network";q=300;w=3600, "generation_attempts";q=60;w=60, "video_generation";q=10;w=3600, "reads";q=120;w=60',
  );
  assert.equal(
    headers.get("RateLimit"),
    '"generation_attempts_network";r=0;t=9, "generation_attempts";r=0;t=8, "video_generation";r=7;t=1820, "reads";r=100;t=3',
  );
});

Deno.test("without limits there are no headers about them", () => {
  const headers = new Headers();
  setRateLimitHeaders(headers, []);
  assert.deepEqual([...headers], []);
});

Deno.test("a refusal is remembered until its reset, and its waiting time runs down", () => {
  const refusals = rememberRefusals();
  const refusal = { policy: "reads", retryAfter: 10, limits: [limit({ allowed: false, reset: 10 })] };
  refusals.remember("a", refusal, 1_000);
  assert.equal(refusals.find("b", 1_000), null);
  assert.deepEqual(refusals.find("a", 1_000), refusal);
  assert.equal(refusals.find("a", 4_001)?.retryAfter, 7);
  assert.equal(refusals.find("a", 4_001)?.limits[0]?.reset, 7);
  assert.equal(refusals.find("a", 10_999)?.retryAfter, 1);
  assert.equal(refusals.find("a", 11_000), null);
});

Deno.test("no refusal is remembered for more than a minute", () => {
  const refusals = rememberRefusals();
  refusals.remember("a", { policy: "reads", retryAfter: 3600, limits: [] }, 0);
  assert.equal(refusals.find("a", 59_999)?.retryAfter, 3541);
  assert.equal(refusals.find("a", 60_000), null);
});

Deno.test("being refused from memory does not make the memory longer", () => {
  const refusals = rememberRefusals();
  refusals.remember("a", { policy: "reads", retryAfter: 10, limits: [] }, 0);
  refusals.remember("a", { policy: "reads", retryAfter: 10, limits: [] }, 9_000);
  assert.equal(refusals.find("a", 10_000), null);
});

Deno.test("the memory is bounded: the oldest make room", () => {
  const refusals = rememberRefusals(3);
  for (const subject of ["a", "b", "c", "d"]) {
    refusals.remember(subject, { policy: "reads", retryAfter: 10, limits: [] }, 0);
  }
  assert.equal(refusals.find("a", 1), null);
  for (const subject of ["b", "c", "d"]) assert.notEqual(refusals.find(subject, 1), null, subject);
});
