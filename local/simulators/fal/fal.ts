/** fal.ai on one machine: its queue and its webhooks with their keys, as fal speaks. README.md tells the switches. */
import * as z from "zod";
import type { ApiAnswer, ApiCall } from "../engine/api.ts";
import { type Phase, phaseOf, textIn } from "../engine/jobs.ts";
import {
  formsOf,
  type Job,
  type ProviderProtocol,
  type Route,
  type RunningProvider,
} from "../engine/protocol.ts";
import { type ProviderOptions, type ProviderSimulator, startProvider } from "../engine/provider.ts";
import { hasModel, orderIn } from "./models.ts";
import { contentPolicyViolation, inputRefusal, platformError, resultOf, webhookBody } from "./results.ts";
import { type ActiveFalRule, type FalRule, falRule } from "./rules.ts";
import { falDeliveryPolicy, falSigner, newSigningKey, publicKeysOf, signingKey } from "./webhooks.ts";

export type { FalRule } from "./rules.ts";

const falAccount = z.object({
  /** For FAL_KEY. */
  key: z.string(),
  /** For FAL_ACCOUNT_ID. */
  accountId: z.string(),
  /** The private key that webhooks are signed with. */
  signingKey,
});
type FalAccount = z.infer<typeof falAccount>;

export type FalOptions = ProviderOptions & Partial<FalAccount>;
const forms = formsOf(falRule);
export type FalReport = z.infer<typeof forms.report>;

/** Its `url`, the queue's, is for FAL_QUEUE_URL; its `mediaHost` for FAL_RESULT_HOSTS. */
export type FalSimulator = ProviderSimulator<FalRule, FalReport, FalAccount> & {
  /** For FAL_JWKS_URL. */
  readonly jwksUrl: string;
};

type FalJob = Job<ActiveFalRule>;
type Running = RunningProvider<ActiveFalRule, FalAccount>;

const notFound: ApiAnswer = { status: 404, body: { status: "NOT_FOUND" } };
const unauthorized: ApiAnswer = { status: 401, body: { detail: "invalid key credentials" } };
const jwksPath = "/.well-known/jwks.json";

const fal: ProviderProtocol<ActiveFalRule, FalRule, FalReport, FalAccount> = {
  forms,
  account: falAccount,
  newAccount: async () => ({
    key: `${crypto.randomUUID()}:${crypto.randomUUID().replaceAll("-", "")}`,
    accountId: `user_${crypto.randomUUID()}`,
    signingKey: await newSigningKey(),
  }),
  authorization: ({ key }) => `Key ${key}`,
  host: "queue",
  newRequestId: () => crypto.randomUUID(),
  unauthorized,
  notFound,
  refusals: {
    rateLimited: {
      status: 429,
      body: { detail: "Too many requests", error_type: "concurrent_requests_limit" },
      headers: { "x-fal-needs-retry": "1" },
    },
    locked: { status: 403, body: { detail: "User is locked. Reason: Exhausted balance." } },
    error: (status, { errorType }) => platformError(status, errorType, `Simulated ${errorType}`),
    refused: (input) =>
      inputRefusal([{ loc: ["body", "prompt"], msg: "Input is not accepted", type: "value_error", input }]),
    contentPolicy: contentPolicyViolation,
  },
  route,
  accepted(job, running) {
    const base = job.rule.submit === "foreign_urls" ? running.mediaUrl : running.url;
    const body = statusBody(job, phaseOf(job, job.submittedAt), base, running);
    return { status: 200, body: { ...body, gateway_request_id: job.requestId } };
  },
  malformedAnswer: { status: 200, body: { status: "IN_QUEUE" } },
  headersOf: (requestId) => ({ "x-fal-request-id": requestId }),
  orderIn,
  webhooks: {
    policy: falDeliveryPolicy,
    sign: falSigner,
    body: (job, _delivery, running) => webhookBody(job, resultIn(job, running)),
  },
};

/** Starts the simulator, and sends what an earlier one with the same state file still had to deliver. */
export async function startFalSimulator(options: FalOptions = {}): Promise<FalSimulator> {
  const simulator = await startProvider(fal, options);
  return { ...simulator, jwksUrl: `${simulator.url}${jwksPath}` };
}

function route({ method, url, body, isOurs }: ApiCall, running: Running): Route<ActiveFalRule> {
  const { pathname, searchParams } = url;
  if (pathname === jwksPath) return { answer: { status: 200, body: publicKeysOf(running.account) } };
  if (!isOurs) return { answer: unauthorized };
  if (method === "GET" && pathname.startsWith("/v1/")) return { answer: aboutAccount(pathname, running) };
  const [, app, requestId, suffix = ""] =
    /^\/([^/]+\/[^/]+)(?:\/.+)?\/requests\/([^/]+)(\/\w+)?$/.exec(pathname) ?? [];
  if (requestId !== undefined) {
    const known = running.find(requestId);
    const job = known !== undefined && appOf(known.model) === app ? known : undefined;
    return { requestId, job, tell: (job, phase) => answerAbout(job, phase, `${method} ${suffix}`, running) };
  }
  if (method !== "POST") return { answer: { status: 404, body: { detail: "Not Found" } } };
  const model = pathname.slice(1);
  if (!hasModel(model)) {
    return {
      answer: { status: 404, body: { detail: `Application '${model.split("/")[1] ?? ""}' not found` } },
    };
  }
  const webhookUrl = searchParams.get("fal_webhook");
  return { submission: { model, prompt: textIn(body, "prompt"), input: body, webhookUrl } };
}

/** Its Platform APIs. The form of `summary` is assumed; fal's document tells its members. */
function aboutAccount(pathname: string, { says: { balance, locked, billed } }: Running): ApiAnswer {
  if (locked) return fal.refusals.locked;
  switch (pathname) {
    case "/v1/account/billing":
      return {
        status: 200,
        body: { username: "kinora", credits: { current_balance: balance / 100, currency: "USD" } },
      };
    case "/v1/models/usage": {
      const item = {
        endpoint_id: "fal-ai/veo3/fast",
        unit: "seconds",
        quantity: billed / 10,
        unit_price: 0.1,
        currency: "USD",
      };
      return {
        status: 200,
        body: { has_more: false, next_cursor: null, summary: [{ ...item, cost_total: billed / 100 }] },
      };
    }
    default:
      return notFound;
  }
}

function answerAbout(job: FalJob, phase: Phase, call: string, running: Running): ApiAnswer {
  const isComplete = phase === "ended";
  switch (call) {
    case "PUT /cancel":
      return cancel(job, phase, running);
    case "GET /status": {
      const failed = isComplete ? failureFields(resultIn(job, running)) : {};
      // fal answers 202 until the request is complete.
      const status = isComplete ? 200 : 202;
      return { status, body: { ...statusBody(job, phase, running.url, running), ...failed } };
    }
    case "GET ":
    case "GET /response":
      return isComplete
        ? resultIn(job, running)
        : { status: 400, body: { detail: "Request is still in progress" } };
    default:
      return call.startsWith("GET ") ? notFound : { status: 405, body: { detail: "Method Not Allowed" } };
  }
}

function resultIn(job: FalJob, running: Running): ApiAnswer {
  return resultOf(job, running.videoUrl(job), running.videoSize(job));
}

/** The sub-path of a model is no part of its requests' URLs. */
function appOf(model: string): string {
  return model.split("/").slice(0, 2).join("/");
}

const statuses = { queued: "IN_QUEUE", running: "IN_PROGRESS", ended: "COMPLETED" } as const;

function statusBody(job: FalJob, phase: Phase, base: string, { jobs }: Running): Record<string, unknown> {
  const url = `${base}/${appOf(job.model)}/requests/${job.requestId}`;
  const now = Date.now();
  const ahead = jobs.filter((each) => each.submittedAt < job.submittedAt && phaseOf(each, now) === "queued");
  return {
    status: statuses[phase],
    request_id: job.requestId,
    response_url: url,
    status_url: `${url}/status`,
    cancel_url: `${url}/cancel`,
    ...(phase === "queued" ? { queue_position: ahead.length } : { logs: null }),
    ...(phase === "ended" && job.endsAt !== null
      ? { metrics: { inference_time: Math.max(0, job.endsAt - job.startsAt) / 1000 } }
      : {}),
  };
}

/** How a status tells that a complete request failed. */
function failureFields({ status, body }: ApiAnswer): Record<string, unknown> {
  if (status === 200) return {};
  const isPlatform = typeof body === "object" && body !== null && "error_type" in body && "detail" in body;
  return isPlatform
    ? { error: body.detail, error_type: body.error_type }
    : { error: `Invalid status code: ${status}` };
}

function cancel(job: FalJob, phase: Phase, running: Running): ApiAnswer {
  if (phase === "ended") return { status: 400, body: { status: "ALREADY_COMPLETED" } };
  if (job.rule.cancel !== "ignored") {
    // A runner's answer to a cancellation is delivered; what never reached a runner has none.
    running.cancel(job, { isForgotten: job.rule.cancel === "forgotten", isTold: phase === "running" });
  }
  return { status: 202, body: { status: "CANCELLATION_REQUESTED" } };
}
