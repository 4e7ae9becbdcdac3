/** The Replicate simulator's predictions: what it keeps, and its answers to create, get and cancel. */
import * as z from "zod";
import { deliveriesOf, delivery } from "./deliveries.ts";
import type { Frame } from "./media.ts";
import {
  beginJob,
  logOf,
  phaseOf,
  promptOf,
  providerJob,
  type ProviderTimes,
  takePollFailure,
} from "./provider-jobs.ts";
import { isDropped, ruleFor } from "./provider-rules.ts";
import { type ApiAnswer, gatewayError } from "./provider-servers.ts";
import { hasModel, type InvalidField, invalidFields } from "./replicate-models.ts";
import { type ActiveReplicateRule, replicateRule } from "./replicate-rules.ts";

export const replicateJob = providerJob.extend({ model: z.string(), rule: replicateRule });
export type ReplicateJob = z.infer<typeof replicateJob>;

export const replicateState = z.object({
  token: z.string(),
  webhookSecret: z.string(),
  rules: z.array(replicateRule),
  jobs: z.array(replicateJob),
  deliveries: z.array(delivery),
});
export type ReplicateState = z.infer<typeof replicateState>;

const createRequest = z.object({
  input: z.record(z.string(), z.unknown()),
  webhook: z.url().optional(),
  webhook_events_filter: z.array(z.enum(["start", "output", "logs", "completed"])).optional(),
});

/** An error as Replicate's API answers it. */
export function apiError(status: number, title: string, detail: string, more: object = {}): ApiAnswer {
  return {
    status,
    body: { title, detail, status, ...more },
    headers: { "content-type": "application/problem+json" },
  };
}

/** The answer to a token that Replicate does not know. */
export const unauthenticated = apiError(
  401,
  "Unauthenticated",
  "You did not pass a valid authentication token",
);
const notFound = apiError(404, "Not found", "The requested resource could not be found.");
const pollFailures = { gateway: gatewayError(502), missing: notFound, unauthorized: unauthenticated };
const withoutRule: ActiveReplicateRule = replicateRule.parse({});

function inputRefusal(fields: InvalidField[]): ApiAnswer {
  const detail = fields.map(({ field, description }) => `- ${field}: ${description}\n`).join("");
  return apiError(422, "Input validation failed", detail, { invalid_fields: fields });
}

export interface Creation {
  /** Null where it was not accepted. */
  readonly job: ReplicateJob | null;
  /** Null where the connection closes instead. */
  readonly answer: ApiAnswer | null;
  readonly rule: ActiveReplicateRule;
}

/** Takes a prediction, or refuses it, as the rule that fits it has it. Changes the state. */
export function create(
  state: ReplicateState,
  { model, body, times, describe, mediaUrl }: {
    model: string;
    body: unknown;
    times: ProviderTimes;
    describe: (job: ReplicateJob) => object;
    mediaUrl: string;
  },
): Creation {
  const refuse = (answer: ApiAnswer | null, rule = withoutRule) => ({ job: null, answer, rule });
  if (!hasModel(model)) return refuse(notFound);
  const request = createRequest.safeParse(body).data;
  if (request === undefined) {
    return refuse(inputRefusal([{ type: "required", field: "input", description: "Required" }]));
  }
  const { input, webhook, webhook_events_filter: events } = request;
  const rule = ruleFor(state.rules, model, promptOf(input)) ?? withoutRule;
  const refusal = refusalOf(rule, mediaUrl);
  if (refusal !== null) return refuse(refusal, rule);
  const fields = invalidFields(model, input);
  if (fields.length > 0) return refuse(inputRefusal(fields), rule);
  if (isDropped(rule)) return refuse(null, rule);

  const requestId = crypto.randomUUID().replaceAll("-", "").slice(0, 26);
  const isToldTheEnd = webhook !== undefined && (events?.includes("completed") ?? true);
  const job: ReplicateJob = {
    ...beginJob({ requestId, input, webhookUrl: isToldTheEnd ? webhook : null }, rule, times),
    model,
    rule,
  };
  state.jobs.push(job);
  announceEnd(state, job);
  return { job, answer: acceptance(job, describe), rule };
}

function acceptance(job: ReplicateJob, describe: (job: ReplicateJob) => object): ApiAnswer | null {
  switch (job.rule.submit) {
    case "answer_lost":
      return null;
    case "malformed_answer":
      return { status: 201, body: { status: "starting" } };
    default:
      return { status: 201, body: describe(job) };
  }
}

function refusalOf(rule: ActiveReplicateRule, mediaUrl: string): ApiAnswer | null {
  switch (rule.submit) {
    case "rate_limited":
      return {
        status: 429,
        body: { detail: "Request was throttled. Your rate limit resets in ~30s.", status: 429 },
        ...(rule.retryAfterSeconds === undefined
          ? {}
          : { headers: { "retry-after": String(rule.retryAfterSeconds) } }),
      };
    case "locked":
      return apiError(402, "Insufficient credit", "You have insufficient credit to run this model.");
    case "error":
      return rule.ownBody ? apiError(rule.status, "Error", "Simulated error") : gatewayError(rule.status);
    case "refused":
      return inputRefusal([{ type: "custom", field: "input.prompt", description: "Not accepted" }]);
    case "redirected":
      return { status: 307, body: null, headers: { location: `${mediaUrl}/_elsewhere` } };
    default:
      return null;
  }
}

function announceEnd(
  state: ReplicateState,
  { requestId, webhookUrl: url, endsAt, rule }: ReplicateJob,
): void {
  if (url !== null && endsAt !== null) {
    state.deliveries.push(...deliveriesOf({ requestId, url, endsAt, rule }));
  }
}

/** The answer to `get` or `cancel`, and "not found" about what Replicate does not know. May change the state. */
export function answerAbout(
  state: ReplicateState,
  job: ReplicateJob | undefined,
  { action, describe }: { action: "get" | "cancel"; describe: (job: ReplicateJob) => object },
): ApiAnswer {
  if (job === undefined || job.forgotten) return notFound;
  const failure = takePollFailure(job, pollFailures);
  if (failure !== null) return failure;
  const before = describe(job);
  if (action === "get" || phaseOf(job, Date.now()) === "ended") return { status: 200, body: before };
  cancel(state, job);
  return { status: 200, body: job.rule.cancel === undefined ? describe(job) : before };
}

function cancel(state: ReplicateState, job: ReplicateJob): void {
  if (job.rule.cancel === "ignored") return;
  state.deliveries = state.deliveries.filter(({ requestId }) => requestId !== job.requestId);
  if (job.rule.cancel === "forgotten") {
    job.forgotten = true;
    return;
  }
  Object.assign(job, { cancelled: true, endsAt: Date.now() });
  announceEnd(state, job);
}

/** The prediction as Replicate tells it at `now`, in answers and in webhooks. */
export function predictionOf(
  job: ReplicateJob,
  { now, apiUrl, videoUrl }: { now: number; apiUrl: string; videoUrl: string },
): Record<string, unknown> {
  const { requestId, model, webhookUrl, startsAt, endsAt, rule } = job;
  const phase = phaseOf(job, now);
  const isRemoved = phase === "ended" && now >= (endsAt ?? Infinity) + rule.outputMilliseconds;
  const url = `${apiUrl}/v1/predictions/${requestId}`;
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
      ? outcomeOf(job, videoUrl)
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

/** The frame that was asked for, in the words of either model. */
export function frameOf({ input }: ReplicateJob): Frame {
  const isPortrait = typeof input === "object" && input !== null && "aspect_ratio" in input &&
    (input.aspect_ratio === "9:16" || input.aspect_ratio === "portrait");
  return isPortrait ? "portrait" : "landscape";
}
