/** OpenAI's moderation on one machine. It lets every prompt pass, but for what its rules say; README.md tells them. */
import * as z from "zod";
import { type ApiAnswer, type ApiCall, gatewayError, startApi, withRetryAfter } from "../engine/api.ts";
import { takeRule } from "../engine/control.ts";
import { type ProviderRequest, providerRequest } from "../engine/request-log.ts";
import type { Simulator } from "../engine/simulator.ts";
import { type ActiveOpenAiRule, type OpenAiRule, openAiRule } from "./rules.ts";

export type { OpenAiRule } from "./rules.ts";

const openAiReport = z.object({
  /** Since the start or the last reset, the newest 1,000. */
  requests: z.array(providerRequest),
  rules: z.array(openAiRule),
});

/** Its `url` is for OPENAI_API_URL. */
export type OpenAiSimulator = Simulator<OpenAiRule, z.infer<typeof openAiReport>>;

const part = z.discriminatedUnion("type", [
  z.object({ type: z.literal("text"), text: z.string().min(1) }),
  z.object({ type: z.literal("image_url"), image_url: z.object({ url: z.url() }) }),
]);
const moderation = z.object({
  model: z.literal("omni-moderation-latest"),
  input: z.union([
    z.string().min(1).transform((text) => [{ type: "text" as const, text }]),
    z.array(part).min(1),
  ]),
});

const categories = [
  ...["harassment", "harassment/threatening", "sexual", "hate", "hate/threatening", "illicit"],
  ...["illicit/violent", "self-harm/intent", "self-harm/instructions", "self-harm", "sexual/minors"],
  ...["violence", "violence/graphic"],
];

/** Starts the simulator, for the account with this key; a free port without one. */
export async function startOpenAiSimulator(
  { port, key }: { readonly port?: number; readonly key: string },
): Promise<OpenAiSimulator> {
  const rules: ActiveOpenAiRule[] = [];
  const log: ProviderRequest[] = [];

  /** Null where the connection closes instead. */
  async function answerTo({ method, url, body, isOurs, pause }: ApiCall): Promise<ApiAnswer | null> {
    if (`${method} ${url.pathname}` !== "POST /v1/moderations") {
      return failure(404, "invalid_request_error", null);
    }
    const asked = moderation.safeParse(body);
    if (!asked.success) return failure(400, "invalid_request_error", null);
    const texts = asked.data.input.flatMap((part) => part.type === "text" ? [part.text] : []);
    const pictures = asked.data.input.flatMap((part) =>
      part.type === "image_url" ? [part.image_url.url] : []
    );
    const rule = takeRule(
      rules,
      ({ prompt, picture }) =>
        (prompt === undefined || texts.some((text) => text.includes(prompt))) &&
        (picture === undefined || picture === pictures.length > 0),
    );
    switch (rule?.effect) {
      case "down":
        return null;
      case "rate_limited":
        return withRetryAfter(failure(429, "requests", "rate_limit_exceeded"), rule.retryAfterSeconds);
      case "quota":
        return failure(429, "insufficient_quota", "insufficient_quota");
      case "server_error":
        return failure(500, "server_error", null);
      case "gateway":
        return gatewayError(502);
      case "garbage":
        return { status: 200, body: "<html>It works!</html>" };
      case "no_verdict":
        return { status: 200, body: { ...verdict([]), results: [] } };
      case "slow":
        await pause(rule.milliseconds);
        break;
    }
    if (!isOurs || rule?.effect === "unauthorized") {
      return failure(401, "invalid_request_error", "invalid_api_key");
    }
    for (const url of pictures) {
      const picture = await fetch(url);
      const type = picture.headers.get("content-type");
      await picture.body?.cancel();
      if (!picture.ok || !type?.startsWith("image/")) {
        return failure(400, "invalid_request_error", "invalid_image_url");
      }
    }
    return { status: 200, body: verdict(rule?.effect === "flagged" ? rule.categories : []) };
  }

  return await startApi({
    ...{ port, rules, log, rule: openAiRule, report: openAiReport },
    authorization: `Bearer ${key}`,
    host: "api",
    answer: async (call) => ({ answer: await answerTo(call) }),
  });
}

function failure(status: number, type: string, code: string | null): ApiAnswer {
  return { status, body: { error: { message: `A sentence about ${status}.`, type, param: null, code } } };
}

function verdict(met: readonly string[]) {
  const of = <Value>(value: (category: string) => Value) =>
    Object.fromEntries(categories.map((category) => [category, value(category)]));
  return {
    id: `modr-${crypto.randomUUID().replaceAll("-", "")}`,
    model: "omni-moderation-latest",
    results: [{
      flagged: met.length > 0,
      categories: of((category) => met.includes(category)),
      category_scores: of((category) => met.includes(category) ? 0.98 : 0.0001),
      category_applied_input_types: of(() => ["text"]),
    }],
  };
}
