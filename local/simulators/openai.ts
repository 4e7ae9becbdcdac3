/** OpenAI's moderation on one machine. It lets every prompt pass, but for what its rules say; README.md tells them. */
import * as z from "zod";
import { type SimulatorControl, simulatorControl } from "./control.ts";
import { type ActiveOpenAiRule, type OpenAiRule, openAiRule, ruleFor } from "./openai-rules.ts";
import { Pauses } from "./pause.ts";
import { type ApiAnswer, gatewayError, startApiServer } from "./provider-servers.ts";
import { type ProviderRequest, providerRequest } from "./request-log.ts";

export type { OpenAiRule } from "./openai-rules.ts";

const openAiReport = z.object({
  /** Since the start or the last reset, the newest 1,000. */
  requests: z.array(providerRequest),
  rules: z.array(openAiRule),
});
export type OpenAiReport = z.infer<typeof openAiReport>;

export interface OpenAiOptions {
  /** A free one without it. */
  readonly port?: number;
  readonly key: string;
}

export interface OpenAiSimulator extends AsyncDisposable {
  /** For OPENAI_API_URL. */
  readonly url: string;
  readonly port: number;
  readonly control: SimulatorControl<OpenAiRule, OpenAiReport>;
}

const moderation = z.object({ model: z.literal("omni-moderation-latest"), input: z.string().min(1) });

const categories = [
  ...["harassment", "harassment/threatening", "sexual", "hate", "hate/threatening", "illicit"],
  ...["illicit/violent", "self-harm/intent", "self-harm/instructions", "self-harm", "sexual/minors"],
  ...["violence", "violence/graphic"],
];

/** The switches and the log of the simulator at `url`. */
export function openAiControl(url: string): SimulatorControl<OpenAiRule, OpenAiReport> {
  return simulatorControl<OpenAiRule, OpenAiReport>(url, (body) => openAiReport.parse(body));
}

export async function startOpenAiSimulator({ port = 0, key }: OpenAiOptions): Promise<OpenAiSimulator> {
  const rules: ActiveOpenAiRule[] = [];
  const log: ProviderRequest[] = [];
  const pauses = new Pauses();
  const server = await startApiServer({
    port,
    log,
    authorization: `Bearer ${key}`,
    host: "api",
    control: {
      ...{ schema: openAiRule, rules, changed: () => {}, report: () => ({}) },
      elapse: (milliseconds) => pauses.elapse(milliseconds),
    },
    async answer({ request, url, body, isOurs }) {
      return { answer: await answerTo(`${request.method} ${url.pathname}`, body, isOurs), requestId: null };
    },
  });

  /** Null where the connection closes instead. */
  async function answerTo(call: string, body: unknown, isOurs: boolean): Promise<ApiAnswer | null> {
    if (call !== "POST /v1/moderations") return failure(404, "invalid_request_error", null);
    const asked = moderation.safeParse(body);
    if (!asked.success) return failure(400, "invalid_request_error", null);
    const rule = ruleFor(rules, asked.data.input);
    switch (rule?.effect) {
      case "down":
        return null;
      case "rate_limited": {
        const { retryAfterSeconds: seconds } = rule;
        const headers = seconds === undefined ? {} : { "retry-after": `${seconds}` };
        return { ...failure(429, "requests", "rate_limit_exceeded"), headers };
      }
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
        await pauses.pause(rule.milliseconds);
        break;
    }
    if (!isOurs || rule?.effect === "unauthorized") {
      return failure(401, "invalid_request_error", "invalid_api_key");
    }
    return { status: 200, body: verdict(rule?.effect === "flagged" ? rule.categories : []) };
  }

  return {
    url: server.url,
    port: server.port,
    control: openAiControl(server.url),
    async [Symbol.asyncDispose]() {
      pauses[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
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
