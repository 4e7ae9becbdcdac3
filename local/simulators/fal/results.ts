/** What the fal simulator's requests come to, and how fal tells it. */
import type { ApiAnswer } from "../engine/api.ts";
import { logOf } from "../engine/jobs.ts";
import type { Job } from "../engine/protocol.ts";
import { inputErrors, modelOutput } from "./models.ts";
import type { ActiveFalRule } from "./rules.ts";

type FalJob = Job<ActiveFalRule>;

const statusOfErrorType: Readonly<Record<string, number>> = {
  request_timeout: 504,
  startup_timeout: 504,
  runner_scheduling_failure: 503,
  runner_connection_timeout: 503,
  runner_disconnected: 503,
  runner_connection_refused: 503,
  runner_connection_error: 503,
  runner_incomplete_response: 502,
  runner_server_error: 500,
  internal_error: 500,
  bad_request: 400,
};

/** The platform's own error. */
export function platformError(status: number, errorType: string, detail: string): ApiAnswer {
  return {
    status,
    body: { detail, error_type: errorType },
    headers: { "x-fal-error-type": errorType },
  };
}

/** A model's error about what it was asked for. */
export function inputRefusal(detail: readonly unknown[]): ApiAnswer {
  return { status: 422, body: { detail }, headers: { "x-fal-needs-retry": "0" } };
}

/** As fal answers for a prompt that a content checker flagged. */
export function contentPolicyViolation(input: unknown): ApiAnswer {
  return inputRefusal([{
    loc: ["body", "prompt"],
    msg: "The content could not be processed because it contained material flagged by a content checker.",
    type: "content_policy_violation",
    url: "https://docs.fal.ai/errors#content_policy_violation",
    input,
  }]);
}

/** The runner's answer, which is the request's result once it is complete. */
export function resultOf(job: FalJob, videoUrl: string, fileSize: number): ApiAnswer {
  if (job.cancelled) return platformError(499, "client_cancelled", "Request cancelled by the client.");
  const errors = inputErrors(job.model, job.input);
  if (errors.length > 0) return inputRefusal(errors);
  const { outcome, errorType } = job.rule;
  switch (outcome) {
    case "failed":
      return platformError(statusOfErrorType[errorType] ?? 500, errorType, `Simulated ${errorType}`);
    case "content_policy":
      return contentPolicyViolation(job.input);
    case "result_missing":
      return { status: 200, body: { seed: 7 } };
    case "result_malformed":
      return { status: 200, body: '{"video": {"url": "http' };
    default:
      return {
        status: 200,
        body: { ...logOf(job.rule), ...modelOutput(job.model, job.requestId, videoUrl, fileSize) },
      };
  }
}

/** The body of the webhook that tells of a result. */
export function webhookBody(job: FalJob, result: ApiAnswer): Record<string, unknown> {
  const ids = { request_id: job.requestId, gateway_request_id: job.requestId };
  if (result.status !== 200) {
    return { ...ids, status: "ERROR", error: `Invalid status code: ${result.status}`, payload: result.body };
  }
  const isUnserialisable = job.rule.webhook === "without_payload" || typeof result.body === "string";
  return isUnserialisable
    ? { ...ids, status: "OK", payload: null, payload_error: "Response payload is not JSON serializable" }
    : { ...ids, status: "OK", payload: result.body };
}
