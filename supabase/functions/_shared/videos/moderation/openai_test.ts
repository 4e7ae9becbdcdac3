import assert from "node:assert/strict";
import { testConfig } from "../../testing/config.ts";
import { testRuntime } from "../../testing/runtime.ts";
import { promptModeration } from "./moderation.ts";
import { openAiModeration } from "./openai.ts";

const config = { key: "sk-key", apiUrl: "https://api.openai.com" };

async function fixture(name: string): Promise<string> {
  return await Deno.readTextFile(new URL(`fixtures/openai/${name}.json`, import.meta.url));
}

/** OpenAI, which answers like this, and what it was sent. */
function asking(answer: () => Response | Promise<Response>) {
  const sent: { url: string; init: RequestInit | undefined }[] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    sent.push({ url: String(input), init });
    return await answer();
  };
  return {
    sent,
    judge: openAiModeration({ config, fetch, now: () => 0, pause: () => Promise.resolve() }).judge,
  };
}

Deno.test("the service gets the prompt, with the key, and the model's name", async () => {
  const body = await fixture("passed");
  const { sent, judge } = asking(() => new Response(body));
  assert.deepEqual(await judge("a red fox"), { verdict: "passed" });
  const [request, ...others] = sent;
  assert.equal(others.length, 0);
  assert.equal(request?.url, "https://api.openai.com/v1/moderations");
  assert.deepEqual(JSON.parse(String(request?.init?.body)), {
    model: "omni-moderation-latest",
    input: "a red fox",
  });
  assert.deepEqual([request?.init?.method, new Headers(request?.init?.headers).get("authorization")], [
    "POST",
    "Bearer sk-key",
  ]);
  assert.equal(request?.init?.redirect, "manual", "neither key nor prompt follow a redirect");
});

Deno.test("a flagged prompt is refused, with the categories that it met", async () => {
  const body = await fixture("refused");
  assert.deepEqual(await asking(() => new Response(body)).judge("x"), {
    verdict: "refused",
    categories: ["sexual", "violence/graphic"],
  });
});

Deno.test("whatever is no verdict says nothing about the prompt, and none of its words are kept", async () => {
  const errors = await Promise.all(
    ["rate-limit", "quota", "key", "server"].map((name) => fixture(`error-${name}`)),
  );
  const [rateLimit, quota, key, server] = errors;
  const passed = JSON.parse(await fixture("passed"));
  const secret = "the very prompt";
  const answers: [string, () => Response | Promise<Response>, number | null][] = [
    [
      "OpenAI answered 429 rate_limit_exceeded",
      () => new Response(rateLimit, { status: 429, headers: { "retry-after": "20" } }),
      20,
    ],
    ["OpenAI answered 429 insufficient_quota", () => new Response(quota, { status: 429 }), null],
    ["OpenAI answered 401 invalid_api_key", () => new Response(key, { status: 401 }), null],
    ["OpenAI answered 500 server_error", () => new Response(server, { status: 500 }), null],
    [
      "OpenAI answered 400 in no form of its own",
      () => Response.json({ error: { code: secret } }, { status: 400 }),
      null,
    ],
    ["OpenAI answered 502 in no form of its own", () => new Response(secret, { status: 502 }), null],
    [
      "OpenAI answered 302 in no form of its own",
      () => new Response(null, { status: 302, headers: { location: "https://elsewhere.example" } }),
      null,
    ],
    ["OpenAI answered 200 without a verdict", () => new Response(secret), null],
    ["OpenAI answered 200 without a verdict", () => Response.json({ ...passed, results: [] }), null],
    [
      "OpenAI answered 200 without a verdict",
      () => Response.json({ ...passed, results: [{ ...passed.results[0], flagged: "no" }] }),
      null,
    ],
    ["The answer is longer than 65536 bytes", () => new Response("x".repeat(64 * 1024 + 1)), null],
    ["no answer in time", () => Promise.reject(new DOMException("", "TimeoutError")), null],
    ["reset by (address)", () => Promise.reject(new TypeError("reset by https://api.openai.com/v1")), null],
  ];
  for (const [cause, answer, retryAfterSeconds] of answers) {
    assert.deepEqual(await asking(answer).judge(secret), {
      verdict: "unavailable",
      cause,
      retryAfterSeconds,
      ...(/401|quota/.test(cause) ? { needsOperator: true } : {}),
    });
  }
});

Deno.test("a service that fails once is asked again", async () => {
  const body = await fixture("passed");
  let asked = 0;
  const { judge } = asking(() => {
    asked += 1;
    return asked === 1 ? new Response("", { status: 503 }) : new Response(body);
  });
  assert.deepEqual(await judge("a red fox"), { verdict: "passed" });
  assert.equal(asked, 2);
});

Deno.test("a moderation service whose key is bad judges nothing, so that no prompt passes unjudged", async () => {
  const nobody = () => assert.fail("Nobody is asked");
  const moderation = promptModeration(
    testRuntime(nobody, { config: testConfig({ OPENAI_API_KEY: "a key of several words" }) }),
  );
  const verdict = await moderation?.judge("a red fox");
  assert.deepEqual([verdict?.verdict, verdict && "needsOperator" in verdict], ["unavailable", true]);
  assert.equal(promptModeration(testRuntime(nobody)), null, "without one the terms are all");
});

Deno.test("a picture goes to the service by its URL, beside the prompt", async () => {
  const body = await fixture("passed");
  const { sent, judge } = asking(() => new Response(body));
  await judge("a red fox", "https://storage.example.com/fox.png");
  assert.deepEqual(JSON.parse(String(sent[0]?.init?.body)).input, [
    { type: "text", text: "a red fox" },
    { type: "image_url", image_url: { url: "https://storage.example.com/fox.png" } },
  ]);
});
