/** The fal simulator's queue: what it keeps, and its answers to submit, status, result and cancel. */
import * as z from "zod";
import { deliveriesOf, delivery } from "./deliveries.ts";
import {
  contentPolicyViolation,
  type FalJob,
  falJob,
  inputRefusal,
  platformError,
  statusOf,
} from "./fal-jobs.ts";
import { hasModel } from "./fal-models.ts";
import { type ActiveFalRule, falRule } from "./fal-rules.ts";
import { beginJob, promptOf, type ProviderTimes, takePollFailure } from "./provider-jobs.ts";
import { isDropped, ruleFor } from "./provider-rules.ts";
import { type ApiAnswer, gatewayError } from "./provider-servers.ts";

export const falState = z.object({
  /** The private key that webhooks are signed with. */
  signingKey: z.record(z.string(), z.unknown()),
  key: z.string(),
  accountId: z.string(),
  rules: z.array(falRule),
  jobs: z.array(falJob),
  deliveries: z.array(delivery),
});
export type FalState = z.infer<typeof falState>;

/** The answer to a key that fal does not know. */
export const unauthorized: ApiAnswer = { status: 401, body: { detail: "invalid key credentials" } };
const notFound: ApiAnswer = { status: 404, body: { status: "NOT_FOUND" } };
const pollFailures = { gateway: gatewayError(502), missing: notFound, unauthorized };
const withoutRule: ActiveFalRule = falRule.parse({});

export interface Submission {
  /** Null where it was not accepted. */
  readonly job: FalJob | null;
  /** Null where the connection closes instead. */
  readonly answer: ApiAnswer | null;
  readonly rule: ActiveFalRule;
}

/** Takes a submission, or refuses it, as the rule that fits it has it. Changes the state. */
export function submit(
  state: FalState,
  { endpoint, input, webhookUrl, times, queueUrl, mediaUrl }: {
    endpoint: string;
    input: unknown;
    webhookUrl: string | null;
    times: ProviderTimes;
    queueUrl: string;
    mediaUrl: string;
  },
): Submission {
  const rule = ruleFor(state.rules, endpoint, promptOf(input)) ?? withoutRule;
  const refusal = refusalOf(rule, endpoint, input, mediaUrl);
  if (refusal !== null) return { job: null, answer: refusal, rule };
  if (isDropped(rule)) return { job: null, answer: null, rule };

  const job: FalJob = {
    ...beginJob({ requestId: crypto.randomUUID(), input, webhookUrl }, rule, times),
    endpoint,
    rule,
  };
  state.jobs.push(job);
  announceEnd(state, job);
  return { job, answer: acceptance(state, job, rule.submit === "foreign_urls" ? mediaUrl : queueUrl), rule };
}

function acceptance(state: FalState, job: FalJob, base: string): ApiAnswer | null {
  switch (job.rule.submit) {
    case "answer_lost":
      return null;
    case "malformed_answer":
      return { status: 200, body: { status: "IN_QUEUE" } };
    default: {
      const body = statusBody(state, job, job.submittedAt, base);
      return { status: 200, body: { ...body, gateway_request_id: job.requestId } };
    }
  }
}

function refusalOf(
  rule: ActiveFalRule,
  endpoint: string,
  input: unknown,
  mediaUrl: string,
): ApiAnswer | null {
  if (!hasModel(endpoint)) {
    const [, app] = endpoint.split("/");
    return { status: 404, body: { detail: `Application '${app ?? ""}' not found` } };
  }
  switch (rule.submit) {
    case "rate_limited":
      return {
        status: 429,
        body: { detail: "Too many requests", error_type: "concurrent_requests_limit" },
        headers: {
          "x-fal-needs-retry": "1",
          ...(rule.retryAfterSeconds === undefined ? {} : { "retry-after": String(rule.retryAfterSeconds) }),
        },
      };
    case "locked":
      return { status: 403, body: { detail: "User is locked. Reason: Exhausted balance." } };
    case "error":
      return rule.ownBody
        ? platformError(rule.status, rule.errorType, `Simulated ${rule.errorType}`)
        : gatewayError(rule.status);
    case "refused":
      return inputRefusal([{
        loc: ["body", "prompt"],
        msg: "Input is not accepted",
        type: "value_error",
        input,
      }]);
    case "content_policy":
      return contentPolicyViolation(input);
    case "redirected":
      return { status: 307, body: "", headers: { location: `${mediaUrl}/_elsewhere` } };
    default:
      return null;
  }
}

function announceEnd(state: FalState, { requestId, webhookUrl: url, endsAt, rule }: FalJob): void {
  if (url !== null && endsAt !== null) {
    state.deliveries.push(...deliveriesOf({ requestId, url, endsAt, rule }));
  }
}

/** The answer about a job, and nothing about one that fal does not know. */
export function answerAbout(
  state: FalState,
  { method, app, requestId, suffix, queueUrl, resultOf, changed }: {
    method: string;
    /** Owner and app. */
    app: string;
    requestId: string;
    suffix: string;
    queueUrl: string;
    resultOf: (job: FalJob) => ApiAnswer;
    changed: () => void;
  },
): ApiAnswer {
  const job = state.jobs.find((each) => each.requestId === requestId && appOf(each.endpoint) === app);
  if (job === undefined || job.forgotten) return notFound;
  const now = Date.now();
  const failure = takePollFailure(job, pollFailures);
  if (failure !== null) {
    changed();
    return failure;
  }
  if (method === "PUT" && suffix === "/cancel") {
    const answer = cancel(state, job, now);
    changed();
    return answer;
  }
  if (method !== "GET") return { status: 405, body: { detail: "Method Not Allowed" } };
  const isComplete = statusOf(job, now) === "COMPLETED";
  if (suffix === "/status") {
    const failed = isComplete ? failureFields(resultOf(job)) : {};
    // fal answers 202 until the request is complete.
    return { status: isComplete ? 200 : 202, body: { ...statusBody(state, job, now, queueUrl), ...failed } };
  }
  if (suffix === "" || suffix === "/response") {
    return isComplete ? resultOf(job) : { status: 400, body: { detail: "Request is still in progress" } };
  }
  return notFound;
}

/** The sub-path of an endpoint is no part of its requests' URLs. */
function appOf(endpoint: string): string {
  return endpoint.split("/").slice(0, 2).join("/");
}

function statusBody(state: FalState, job: FalJob, now: number, base: string): Record<string, unknown> {
  const url = `${base}/${appOf(job.endpoint)}/requests/${job.requestId}`;
  const status = statusOf(job, now);
  const ahead = state.jobs.filter((each) =>
    each.submittedAt < job.submittedAt && statusOf(each, now) === "IN_QUEUE"
  );
  return {
    status,
    request_id: job.requestId,
    response_url: url,
    status_url: `${url}/status`,
    cancel_url: `${url}/cancel`,
    ...(status === "IN_QUEUE" ? { queue_position: ahead.length } : { logs: null }),
    ...(status === "COMPLETED" && job.endsAt !== null
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

function cancel(state: FalState, job: FalJob, now: number): ApiAnswer {
  const status = statusOf(job, now);
  if (status === "COMPLETED") return { status: 400, body: { status: "ALREADY_COMPLETED" } };
  const accepted: ApiAnswer = { status: 202, body: { status: "CANCELLATION_REQUESTED" } };
  if (job.rule.cancel === "ignored") return accepted;

  state.deliveries = state.deliveries.filter((delivery) => delivery.requestId !== job.requestId);
  if (job.rule.cancel === "forgotten") {
    job.forgotten = true;
    return accepted;
  }
  Object.assign(job, { cancelled: true, endsAt: now });
  // A runner's answer to a cancellation is delivered; what never reached a runner has none.
  if (status === "IN_PROGRESS") announceEnd(state, job);
  return accepted;
}
