import assert from "node:assert/strict";
import { fetchWithRetry } from "../platform/fetch-with-retry.ts";
import { testConfig } from "../testing/config.ts";
import { countedFetch, countRetry } from "./counted-fetch.ts";
import { isolateMetrics } from "./metrics.ts";

const config = testConfig({
  FAL_KEY: "id:secret",
  FAL_ACCOUNT_ID: "user_1",
  REPLICATE_API_TOKEN: "r8_token",
  REPLICATE_WEBHOOK_SECRET: `whsec_${"A".repeat(32)}`,
  RUNWAY_API_SECRET: "key_secret",
  OPENAI_API_KEY: "sk-key",
});
const { url } = config.supabase;

type Answer = (input: URL | Request | string) => Promise<Response>;

function counting(answer: Answer) {
  const metrics = isolateMetrics();
  let clock = 0;
  const fetch = countedFetch(
    (input) => {
      clock += 100;
      return answer(input);
    },
    config,
    metrics,
    () => clock,
  );
  return { metrics, fetch };
}

const answering = (status: number) => counting(() => Promise.resolve(new Response(null, { status })));

Deno.test("an exchange is counted by whom it asks, what for, and how it ended; with its time", async () => {
  const cases: [method: string, url: string, labels: Record<string, string>][] = [
    ["POST", `${url}/rest/v1/rpc/generate_video`, { procedure: "generate_video" }],
    ["POST", `${url}/rest/v1/rpc/credits?select=x`, { procedure: "credits" }],
    ["POST", "https://queue.fal.run/a/model?fal_webhook=x", { provider: "fal", operation: "submit" }],
    ["GET", "https://queue.fal.run/a/model/requests/1/status", { provider: "fal", operation: "poll" }],
    ["PUT", "https://queue.fal.run/a/model/requests/1/cancel", { provider: "fal", operation: "cancel" }],
    ["GET", "https://rest.fal.ai/.well-known/jwks.json", { provider: "fal", operation: "webhook_keys" }],
    ["POST", "https://api.replicate.com/v1/predictions", { provider: "replicate", operation: "submit" }],
    ["POST", "https://api.replicate.com/v1/predictions/1/cancel", {
      provider: "replicate",
      operation: "cancel",
    }],
    ["GET", "https://api.replicate.com/v1/predictions/1", { provider: "replicate", operation: "poll" }],
    ["DELETE", "https://api.dev.runwayml.com/v1/tasks/1", { provider: "runway", operation: "cancel" }],
    ["POST", "https://api.openai.com/v1/moderations", { provider: "openai", operation: "judge" }],
  ];
  const ends: [status: number, outcome: string][] = [
    [200, "ok"],
    [304, "ok"],
    [404, "refused"],
    [429, "busy"],
    [500, "failed"],
  ];
  for (const [method, address, labels] of cases) {
    for (const [status, outcome] of ends) {
      const { metrics, fetch } = answering(status);
      // As a library gives it: a text, a URL, or a request.
      for (const input of [address, new URL(address), new Request(address, { method })]) {
        await fetch(input, input instanceof Request ? undefined : { method });
      }
      const [calls, seconds] = metrics.take();
      const name = "procedure" in labels ? "data_api" : "provider";
      assert.deepEqual([calls?.name, calls?.labels, calls?.count], [
        `${name}_calls`,
        { ...labels, outcome },
        3,
      ]);
      assert.deepEqual([seconds?.name, seconds?.labels, seconds?.count], [`${name}_seconds`, labels, 3]);
      assert.ok(Math.abs((seconds?.sum ?? 0) - 0.3) < 1e-9);
    }
  }
});

Deno.test("an exchange without an answer is counted, and its error is the caller's", async () => {
  const { metrics, fetch } = counting(() => Promise.reject(new TypeError("no connection")));
  await assert.rejects(fetch(`${url}/rest/v1/rpc/credits`), /no connection/);
  const [calls] = metrics.take();
  assert.deepEqual(calls?.labels, { procedure: "credits", outcome: "unanswered" });
});

Deno.test("what is asked elsewhere is asked, and not counted: no label holds an address", async () => {
  const { metrics, fetch } = answering(200);
  for (
    const address of ["https://elsewhere.example/secret", `${url}/storage/v1/object/a`, `${url}/auth/v1/user`]
  ) {
    assert.equal((await fetch(address)).status, 200);
  }
  assert.deepEqual(metrics.take(), []);
});

Deno.test("what is repeated is counted as a retry of its service, and each try as a call", async () => {
  let tries = 0;
  const { metrics, fetch } = counting(() => {
    tries += 1;
    return Promise.resolve(new Response(null, { status: tries < 3 ? 503 : 200 }));
  });
  const environment = { fetch, now: () => 0, random: () => 0, sleep: () => Promise.resolve() };
  const request = { timeoutMilliseconds: 1_000, maxBytes: 10 };
  await fetchWithRetry("https://api.replicate.com/v1/predictions/1", request, environment);
  countRetry(fetch, `${url}/rest/v1/rpc/credits`);
  countRetry(fetch, "https://elsewhere.example/");
  countRetry(globalThis.fetch, "https://api.replicate.com/");
  const counted = metrics.take().filter(({ buckets }) => buckets.length === 0);
  assert.deepEqual(counted.map(({ name, labels, count }) => [name, Object.values(labels), count]), [
    ["provider_calls", ["replicate", "poll", "failed"], 2],
    ["retries", ["replicate"], 2],
    ["provider_calls", ["replicate", "poll", "ok"], 1],
    ["retries", ["data_api"], 1],
  ]);
});
