/** Runway on one machine: its tasks, as Runway speaks of them; it has no webhooks. README.md tells the switches. */
import * as z from "zod";
import type { ApiAnswer, ApiCall } from "../engine/api.ts";
import { logOf, type Phase, textIn } from "../engine/jobs.ts";
import {
  formsOf,
  type Job,
  type ProviderProtocol,
  type Route,
  type RunningProvider,
} from "../engine/protocol.ts";
import { type ProviderOptions, type ProviderSimulator, startProvider } from "../engine/provider.ts";
import { inputIssues, isEndpoint, orderIn } from "./models.ts";
import { type ActiveRunwayRule, type RunwayRule, runwayRule } from "./rules.ts";

export type { RunwayRule } from "./rules.ts";

/** The only one there is. */
const apiVersion = "2024-11-06";

const runwayAccount = z.object({
  /** For RUNWAY_API_SECRET. */
  secret: z.string(),
});
type RunwayAccount = z.infer<typeof runwayAccount>;

export type RunwayOptions = ProviderOptions & Partial<RunwayAccount>;
const forms = formsOf(runwayRule);
type RunwayReport = z.infer<typeof forms.report>;

/** Its `url` is for RUNWAY_API_URL, its `mediaHost` for RUNWAY_RESULT_HOSTS. */
export type RunwaySimulator = ProviderSimulator<RunwayRule, RunwayReport, RunwayAccount>;

type RunwayJob = Job<ActiveRunwayRule>;
type Running = RunningProvider<ActiveRunwayRule, RunwayAccount>;

/** An error as Runway's API answers it. */
function apiError(status: number, error: string, more: object = {}): ApiAnswer {
  return { status, body: { error, ...more, docUrl: "https://docs.dev.runwayml.com/api" } };
}

function inputRefusal(issues: readonly object[]): ApiAnswer {
  return apiError(400, "Validation of body failed", { issues });
}

const unauthorized = apiError(401, "The API key is not valid.");

const runway: ProviderProtocol<ActiveRunwayRule, RunwayRule, RunwayReport, RunwayAccount> = {
  forms,
  account: runwayAccount,
  newAccount: () => ({ secret: `key_${crypto.randomUUID().replaceAll("-", "")}` }),
  authorization: ({ secret }) => `Bearer ${secret}`,
  host: "api",
  newRequestId: () => crypto.randomUUID(),
  unauthorized,
  notFound: apiError(404, "Task not found."),
  refusals: {
    rateLimited: apiError(429, "Your daily task limit has been reached."),
    locked: apiError(400, "You do not have enough credits to run this task."),
    error: (status) => apiError(status, "Simulated error"),
    refused: () => inputRefusal([{ code: "custom", path: ["promptText"], message: "Not accepted" }]),
  },
  route,
  accepted: ({ requestId }) => ({ status: 200, body: { id: requestId } }),
  malformedAnswer: { status: 200, body: {} },
  orderIn,
  webhooks: null,
};

/** Starts the simulator, which goes on where an earlier one with the same state file was. */
export function startRunwaySimulator(options: RunwayOptions = {}): Promise<RunwaySimulator> {
  return startProvider(runway, options);
}

function route({ method, headers, url, body, isOurs }: ApiCall, running: Running): Route<ActiveRunwayRule> {
  if (!isOurs) return { answer: unauthorized };
  if (headers.get("x-runway-version") !== apiVersion) {
    return { answer: apiError(400, "The API version in the X-Runway-Version header is not valid.") };
  }
  if (`${method} ${url.pathname}` === "GET /v1/organization") {
    const body = {
      creditBalance: running.says.balance,
      tier: { maxMonthlyCreditSpend: 100_000, models: {} },
      usage: { models: {} },
    };
    return { answer: { status: 200, body } };
  }
  if (`${method} ${url.pathname}` === "POST /v1/organization/usage") {
    const date = textIn(body, "startDate");
    const usedCredits = [{ amount: running.says.billed, model: "veo3.1" }];
    return { answer: { status: 200, body: { models: ["veo3.1"], results: [{ date, usedCredits }] } } };
  }
  const [, endpoint = ""] = /^\/v1\/(\w+)$/.exec(url.pathname) ?? [];
  if (method === "POST" && isEndpoint(endpoint)) {
    const issues = inputIssues(endpoint, body);
    const [model, prompt] = [textIn(body, "model"), textIn(body, "promptText")];
    return {
      submission: { model, prompt, input: body, webhookUrl: null },
      refusal: issues.length > 0 ? inputRefusal(issues) : null,
    };
  }
  const [, requestId] = /^\/v1\/tasks\/([^/]+)$/.exec(url.pathname) ?? [];
  if (requestId === undefined || (method !== "GET" && method !== "DELETE")) {
    return { answer: apiError(405, "Method not allowed.") };
  }
  const tell = (job: RunwayJob, phase: Phase): ApiAnswer => {
    if (method === "GET") return { status: 200, body: taskOf(job, phase, running.videoUrl(job)) };
    // What has ended is deleted, and its video with it.
    running.cancel(job, { isForgotten: phase === "ended" || job.rule.cancel !== "remembered" });
    return { status: 204, body: null };
  };
  return { requestId, job: running.find(requestId), tell };
}

function taskOf(job: RunwayJob, phase: Phase, videoUrl: string): Record<string, unknown> {
  const { requestId: id, startsAt, endsAt, rule } = job;
  const task = { id, createdAt: new Date(job.submittedAt).toISOString() };
  switch (phase) {
    case "queued":
      return { ...task, status: rule.throttled ? "THROTTLED" : "PENDING" };
    case "running": {
      // What never ends stays in the middle.
      const progress = endsAt === null ? 0.5 : (Date.now() - startsAt) / (endsAt - startsAt);
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
