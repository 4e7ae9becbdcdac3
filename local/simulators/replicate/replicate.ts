/** Replicate on one machine: its official models' predictions and its webhooks. README.md tells the switches. */
import * as z from "zod";
import type { ApiAnswer, ApiCall } from "../engine/api.ts";
import { logOf, type Phase, phaseOf, textIn } from "../engine/jobs.ts";
import {
  formsOf,
  type Job,
  type ProviderProtocol,
  type Route,
  type RunningProvider,
} from "../engine/protocol.ts";
import { type ProviderOptions, type ProviderSimulator, startProvider } from "../engine/provider.ts";
import { hasModel, type InvalidField, invalidFields, orderIn } from "./models.ts";
import { type ActiveReplicateRule, type ReplicateRule, replicateRule } from "./rules.ts";
import { newWebhookSecret, replicateDeliveryPolicy, replicateSigner } from "./webhooks.ts";

export type { ReplicateRule } from "./rules.ts";

const replicateAccount = z.object({
  /** For REPLICATE_API_TOKEN. */
  token: z.string(),
  /** For REPLICATE_WEBHOOK_SECRET. */
  webhookSecret: z.string(),
});
type ReplicateAccount = z.infer<typeof replicateAccount>;

export type ReplicateOptions = ProviderOptions & Partial<ReplicateAccount>;
const forms = formsOf(replicateRule);
type ReplicateReport = z.infer<typeof forms.report>;

/** Its `url` is for REPLICATE_API_URL, its `mediaHost` for REPLICATE_RESULT_HOSTS. */
export type ReplicateSimulator = ProviderSimulator<ReplicateRule, ReplicateReport, ReplicateAccount>;

type ReplicateJob = Job<ActiveReplicateRule>;
type Running = RunningProvider<ActiveReplicateRule, ReplicateAccount>;

/** An error as Replicate's API answers it. */
function apiError(status: number, title: string, detail: string, more: object = {}): ApiAnswer {
  return {
    status,
    body: { title, detail, status, ...more },
    headers: { "content-type": "application/problem+json" },
  };
}

const notFound = apiError(404, "Not found", "The requested resource could not be found.");
const unauthorized = apiError(401, "Unauthenticated", "You did not pass a valid authentication token");

function inputRefusal(fields: InvalidField[]): ApiAnswer {
  const detail = fields.map(({ field, description }) => `- ${field}: ${description}\n`).join("");
  return apiError(422, "Input validation failed", detail, { invalid_fields: fields });
}

const replicate: ProviderProtocol<ActiveReplicateRule, ReplicateRule, ReplicateReport, ReplicateAccount> = {
  forms,
  account: replicateAccount,
  newAccount: () => ({
    token: `r8_${crypto.randomUUID().replaceAll("-", "")}`,
    webhookSecret: newWebhookSecret(),
  }),
  authorization: ({ token }) => `Bearer ${token}`,
  host: "api",
  newRequestId: () => crypto.randomUUID().replaceAll("-", "").slice(0, 26),
  unauthorized,
  notFound,
  refusals: {
    rateLimited: {
      status: 429,
      body: { detail: "Request was throttled. Your rate limit resets in ~30s.", status: 429 },
    },
    locked: apiError(402, "Insufficient credit", "You have insufficient credit to run this model."),
    error: (status) => apiError(status, "Error", "Simulated error"),
    refused: () => inputRefusal([{ type: "custom", field: "input.prompt", description: "Not accepted" }]),
  },
  route,
  accepted: (job, running) => ({ status: 201, body: predictionOf(job, running) }),
  malformedAnswer: { status: 201, body: { status: "starting" } },
  /** In the words of either model. */
  orderIn,
  webhooks: {
    policy: replicateDeliveryPolicy,
    sign: ({ webhookSecret }) => replicateSigner(webhookSecret),
    body: (job, { kind }, running) => ({
      ...predictionOf(job, running),
      // Another account has no prediction of ours to tell of.
      ...(kind === "other_account" ? { id: crypto.randomUUID().replaceAll("-", "") } : {}),
    }),
  },
};

/** Starts the simulator, and sends what an earlier one with the same state file still had to deliver. */
export function startReplicateSimulator(options: ReplicateOptions = {}): Promise<ReplicateSimulator> {
  return startProvider(replicate, options);
}

function route({ method, url, body, isOurs }: ApiCall, running: Running): Route<ActiveReplicateRule> {
  if (!isOurs) return { answer: unauthorized };
  const { pathname } = url;
  if (method === "GET" && pathname === "/v1/webhooks/default/secret") {
    return { answer: { status: 200, body: { key: running.account.webhookSecret } } };
  }
  const [, model] = /^\/v1\/models\/([^/]+\/[^/]+)\/predictions$/.exec(pathname) ?? [];
  if (method === "POST" && model !== undefined) return creation(model, body);
  const [, requestId, suffix] = /^\/v1\/predictions\/([^/]+)(\/cancel)?$/.exec(pathname) ?? [];
  if (requestId === undefined || method !== (suffix === undefined ? "GET" : "POST")) {
    return { answer: apiError(404, "Not found", "There is no such endpoint.") };
  }
  const tell = (job: ReplicateJob, phase: Phase): ApiAnswer => {
    const before = predictionOf(job, running);
    const { cancel } = job.rule;
    if (suffix === undefined || phase === "ended" || cancel === "ignored") {
      return { status: 200, body: before };
    }
    running.cancel(job, { isForgotten: cancel === "forgotten" });
    return { status: 200, body: cancel === undefined ? predictionOf(job, running) : before };
  };
  return { requestId, job: running.find(requestId), tell };
}

const createRequest = z.object({
  input: z.record(z.string(), z.unknown()),
  webhook: z.url().optional(),
  webhook_events_filter: z.array(z.enum(["start", "output", "logs", "completed"])).optional(),
});

function creation(model: string, body: unknown): Route<ActiveReplicateRule> {
  if (!hasModel(model)) return { answer: notFound };
  const request = createRequest.safeParse(body).data;
  if (request === undefined) {
    return { answer: inputRefusal([{ type: "required", field: "input", description: "Required" }]) };
  }
  const { input, webhook, webhook_events_filter: events } = request;
  const isToldTheEnd = webhook !== undefined && (events?.includes("completed") ?? true);
  const webhookUrl = isToldTheEnd ? webhook : null;
  const invalid = invalidFields(model, input);
  return {
    submission: { model, prompt: textIn(input, "prompt"), input, webhookUrl },
    refusal: invalid.length > 0 ? inputRefusal(invalid) : null,
  };
}

/** The prediction as Replicate tells it now, in answers and in webhooks. */
function predictionOf(job: ReplicateJob, running: Running): Record<string, unknown> {
  const { requestId, model, webhookUrl, startsAt, endsAt, rule } = job;
  const now = Date.now();
  const phase = phaseOf(job, now);
  const isRemoved = phase === "ended" && now >= (endsAt ?? Infinity) + rule.outputMilliseconds;
  const url = `${running.url}/v1/predictions/${requestId}`;
  const time = (milliseconds: number) => new Date(milliseconds).toISOString();
  return {
    id: requestId,
    model,
    version: "hidden",
    input: isRemoved ? {} : job.input,
    logs: "",
    ...(phase === "ended" ? logOf(rule) : {}),
    output: null,
    data_removed: isRemoved,
    error: null,
    source: "api",
    created_at: time(job.submittedAt),
    ...(phase !== "queued" && startsAt <= (endsAt ?? now) ? { started_at: time(startsAt) } : {}),
    ...(phase === "ended" && endsAt !== null ? { completed_at: time(endsAt) } : {}),
    ...(phase === "ended"
      ? outcomeOf(job, running.videoUrl(job))
      : { status: phase === "queued" ? "starting" : "processing" }),
    ...(isRemoved ? { output: null } : {}),
    ...(webhookUrl === null ? {} : { webhook: webhookUrl, webhook_events_filter: ["completed"] }),
    urls: { get: url, cancel: `${url}/cancel`, web: `https://replicate.com/p/${requestId}` },
  };
}

function outcomeOf({ cancelled, rule }: ReplicateJob, videoUrl: string): Record<string, unknown> {
  if (cancelled) return { status: "canceled" };
  switch (rule.outcome) {
    case "failed":
      return { status: "failed", error: rule.error };
    case "content_policy": {
      const error =
        "The input or output was flagged as sensitive. Please try again with different inputs. (E005)";
      return { status: "failed", error };
    }
    case "result_missing":
      return { status: "succeeded", output: null };
    case "result_malformed":
      return { status: "succeeded", output: { frames: 120 } };
    default:
      return { status: "succeeded", output: outputOf(rule, videoUrl) };
  }
}

function outputOf({ output }: ActiveReplicateRule, video: string): unknown {
  const forms = { list: [video], files: { video, thumbnail: video.replace(/\.mp4$/, ".jpg") } };
  return output === undefined ? video : forms[output];
}
