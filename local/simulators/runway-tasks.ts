/** The Runway simulator's tasks: what it keeps, and its answers to create, get and delete. */
import * as z from "zod";
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
import { inputIssues, type RunwayEndpoint } from "./runway-models.ts";
import { type ActiveRunwayRule, runwayRule } from "./runway-rules.ts";

export const runwayJob = providerJob.extend({ model: z.string(), rule: runwayRule });
export type RunwayJob = z.infer<typeof runwayJob>;

export const runwayState = z.object({
  secret: z.string(),
  rules: z.array(runwayRule),
  jobs: z.array(runwayJob),
});
export type RunwayState = z.infer<typeof runwayState>;

const ofModel = z.looseObject({ model: z.string() });

/** An error as Runway's API answers it. */
export function apiError(status: number, error: string, more: object = {}): ApiAnswer {
  return { status, body: { error, ...more, docUrl: "https://docs.dev.runwayml.com/api" } };
}

/** The answer to a key that Runway does not know. */
export const unauthorized = apiError(401, "The API key is not valid.");
const notFound = apiError(404, "Task not found.");
const pollFailures = { gateway: gatewayError(502), missing: notFound, unauthorized };
const withoutRule: ActiveRunwayRule = runwayRule.parse({});

export interface Creation {
  /** Null where it was not accepted. */
  readonly job: RunwayJob | null;
  /** Null where the connection closes instead. */
  readonly answer: ApiAnswer | null;
  readonly rule: ActiveRunwayRule;
}

/** Takes a task, or refuses it, as the rule that fits it has it. Changes the state. */
export function create(
  state: RunwayState,
  { endpoint, body, times, mediaUrl }: {
    endpoint: RunwayEndpoint;
    body: unknown;
    times: ProviderTimes;
    mediaUrl: string;
  },
): Creation {
  const model = ofModel.safeParse(body).data?.model ?? "";
  const rule = ruleFor(state.rules, model, promptOf(body, "promptText")) ?? withoutRule;
  const refusal = refusalOf(rule, mediaUrl);
  if (refusal !== null) return { job: null, answer: refusal, rule };
  const issues = inputIssues(endpoint, body);
  if (issues.length > 0) return { job: null, answer: inputRefusal(issues), rule };
  if (isDropped(rule)) return { job: null, answer: null, rule };

  const job: RunwayJob = {
    ...beginJob({ requestId: crypto.randomUUID(), input: body, webhookUrl: null }, rule, times),
    model,
    rule,
  };
  state.jobs.push(job);
  return { job, answer: acceptance(job), rule };
}

function acceptance({ rule, requestId }: RunwayJob): ApiAnswer | null {
  switch (rule.submit) {
    case "answer_lost":
      return null;
    case "malformed_answer":
      return { status: 200, body: {} };
    default:
      return { status: 200, body: { id: requestId } };
  }
}

function inputRefusal(issues: readonly object[]): ApiAnswer {
  return apiError(400, "Validation of body failed", { issues });
}

function refusalOf(rule: ActiveRunwayRule, mediaUrl: string): ApiAnswer | null {
  switch (rule.submit) {
    case "rate_limited": {
      const refusal = apiError(429, "Your daily task limit has been reached.");
      return rule.retryAfterSeconds === undefined
        ? refusal
        : { ...refusal, headers: { "retry-after": String(rule.retryAfterSeconds) } };
    }
    case "locked":
      return apiError(400, "You do not have enough credits to run this task.");
    case "error":
      return rule.ownBody ? apiError(rule.status, "Simulated error") : gatewayError(rule.status);
    case "refused":
      return inputRefusal([{ code: "custom", path: ["promptText"], message: "Not accepted" }]);
    case "redirected":
      return { status: 307, body: null, headers: { location: `${mediaUrl}/_elsewhere` } };
    default:
      return null;
  }
}

/** The answer about a task, and "not found" about what Runway does not know. May change the state. */
export function answerAbout(
  job: RunwayJob | undefined,
  { method, videoUrl }: { method: "GET" | "DELETE"; videoUrl: (requestId: string) => string },
): ApiAnswer {
  if (job === undefined || job.forgotten) return notFound;
  const failure = takePollFailure(job, pollFailures);
  if (failure !== null) return failure;
  const now = Date.now();
  if (method === "GET") return { status: 200, body: taskOf(job, now, videoUrl(job.requestId)) };
  // What has ended is deleted, and its video with it.
  if (phaseOf(job, now) === "ended" || job.rule.cancel !== "remembered") job.forgotten = true;
  else Object.assign(job, { cancelled: true, endsAt: now });
  return { status: 204, body: null };
}

function taskOf(job: RunwayJob, now: number, videoUrl: string): Record<string, unknown> {
  const { requestId: id, startsAt, endsAt, rule } = job;
  const task = { id, createdAt: new Date(job.submittedAt).toISOString() };
  switch (phaseOf(job, now)) {
    case "queued":
      return { ...task, status: rule.throttled ? "THROTTLED" : "PENDING" };
    case "running": {
      // What never ends stays in the middle.
      const progress = endsAt === null ? 0.5 : (now - startsAt) / (endsAt - startsAt);
      return { ...task, status: "RUNNING", progress };
    }
    case "ended":
      return { ...task, ...logOf(rule), ...outcomeOf(job, videoUrl) };
  }
}

function outcomeOf({ cancelled, rule }: RunwayJob, videoUrl: string): Record<string, unknown> {
  if (cancelled) return { status: "CANCELLED" };
  const failed = (failureCode: string | null, failure: string) => ({
    status: "FAILED",
    failure,
    ...(failureCode === null ? {} : { failureCode }),
  });
  switch (rule.outcome) {
    case "failed":
      return failed(rule.failureCode, "An unexpected error occurred.");
    case "content_policy":
      return failed("SAFETY.INPUT.TEXT", "The text did not pass content moderation.");
    case "result_missing":
      return { status: "SUCCEEDED", output: [] };
    case "result_malformed":
      return { status: "SUCCEEDED", output: "output.mp4" };
    default:
      return { status: "SUCCEEDED", output: [`${videoUrl}?_jwt=simulated`] };
  }
}

/** The frame that was asked for: `ratio` is the picture's size. */
export function frameOf({ input }: RunwayJob): Frame {
  const ratio = typeof input === "object" && input !== null && "ratio" in input ? String(input.ratio) : "";
  const [width = 0, height = 0] = ratio.split(":").map(Number);
  return height > width ? "portrait" : "landscape";
}
