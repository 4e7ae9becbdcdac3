/** The adapter for OpenAI's moderation against a service that speaks its protocol, and breaks it. */
import assert from "node:assert/strict";
import { type OpenAiRule, startOpenAiSimulator } from "../../local/simulators/openai/openai.ts";
import type { Verdict } from "../../supabase/functions/_shared/videos/moderation/moderation.ts";
import { openAiModeration } from "../../supabase/functions/_shared/videos/moderation/openai.ts";

const key = "sk-proj-0123456789";

const unavailable = (cause: string, retryAfterSeconds: number | null = null) =>
  ({ verdict: "unavailable", cause, retryAfterSeconds }) as const;
const forTheOperator = (cause: string) => ({ ...unavailable(cause), needsOperator: true }) as const;
/** So often is a question asked that may pass. */
const times = 3;

Deno.test("each way to answer is a verdict, or none", async () => {
  await using simulator = await startOpenAiSimulator({ key });
  const { judge } = openAiModeration({ config: { key, apiUrl: simulator.url }, fetch });
  const cases: [OpenAiRule, Verdict][] = [
    [{ effect: "slow", milliseconds: 10 }, { verdict: "passed" }],
    [{ effect: "flagged" }, { verdict: "refused", categories: ["sexual"] }],
    [{ effect: "flagged", categories: ["violence", "hate"] }, {
      verdict: "refused",
      categories: ["hate", "violence"],
    }],
    [{ effect: "rate_limited", times }, unavailable("OpenAI answered 429 rate_limit_exceeded")],
    [
      { effect: "rate_limited", retryAfterSeconds: 20 },
      unavailable("OpenAI answered 429 rate_limit_exceeded", 20),
    ],
    [{ effect: "quota", times }, forTheOperator("OpenAI answered 429 insufficient_quota")],
    [{ effect: "server_error", times }, unavailable("OpenAI answered 500 server_error")],
    [{ effect: "unauthorized" }, forTheOperator("OpenAI answered 401 invalid_api_key")],
    [{ effect: "gateway", times }, unavailable("OpenAI answered 502 in no form of its own")],
    [{ effect: "garbage" }, unavailable("OpenAI answered 200 without a verdict")],
    [{ effect: "no_verdict" }, unavailable("OpenAI answered 200 without a verdict")],
  ];
  for (const [rule, verdict] of cases) {
    const prompt = `A fox that meets ${rule.effect}`;
    await simulator.control.rules({ prompt, ...rule });
    assert.deepEqual(await judge(prompt), verdict, rule.effect);
    assert.deepEqual(await judge(prompt), { verdict: "passed" }, "a rule is used up");
  }
  const { requests } = await simulator.control.report();
  assert.deepEqual(requests[0]?.body, { model: "omni-moderation-latest", input: "A fox that meets slow" });
  assert(requests.every(({ authorization }) => authorization === "ours"));
});

Deno.test("a connection that closes, a wrong key and nobody there are no verdicts", async () => {
  await using simulator = await startOpenAiSimulator({ key });
  const judge = (given: string, apiUrl = simulator.url) =>
    openAiModeration({ config: { key: given, apiUrl }, fetch }).judge("A fox");
  // The runtime asks again by itself where a connection closes before an answer.
  await simulator.control.rules({ effect: "down", times: null });
  assert.equal((await judge(key)).verdict, "unavailable");
  await simulator.control.reset();
  assert.deepEqual(await judge("another"), forTheOperator("OpenAI answered 401 invalid_api_key"));
  assert.deepEqual(
    await judge(key, `${simulator.url}/nowhere`),
    unavailable("OpenAI answered 404 invalid_request_error"),
  );
  await simulator[Symbol.asyncDispose]();
  assert.deepEqual(await judge(key), unavailable("no connection"));
});
