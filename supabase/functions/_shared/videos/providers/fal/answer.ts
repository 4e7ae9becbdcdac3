/**
 * What fal's answers mean. fal has two forms of error: a model's own, `{ detail: [{ loc, msg, type, … }] }`, and
 * the platform's, `{ detail: "…", error_type: "…" }` with the type in `X-Fal-Error-Type` too. Both are read by
 * their types; the messages may quote the prompt, so they are neither matched nor logged.
 */
import { codes } from "../../../errors/error-codes.ts";
import * as z from "zod/mini";
import type { BoundedAnswer } from "../../../platform/bounded-fetch.ts";
import { tryParseJson } from "../../../platform/json.ts";
import { isSuccess, unreachableBy, withoutAcceptance } from "../exchanges.ts";
import {
  againstPolicy,
  codesIn,
  invalidResult,
  misconfigured,
  rejected,
  timedOut,
  unavailable,
} from "../failures.ts";
import type {
  CancelOutcome,
  Failure,
  ProviderReferences,
  ProviderState,
  SubmitOutcome,
} from "../provider.ts";

/** An error in one of fal's own forms. */
export interface FalError {
  /** Null where only a webhook tells of the error, and not its status. */
  readonly status: number | null;
  /** The platform's type, then the model's. */
  readonly types: readonly string[];
  /** What of the input a model's error is about. */
  readonly fields: readonly string[];
}

const errorBody = z.object({
  detail: z.union([
    z.string(),
    z.array(z.object({ type: z.string(), loc: z.catch(z.array(z.unknown()), []) })),
  ]),
  error_type: z.nullish(z.string()),
});

const submitted = z.object({
  request_id: z.string().check(z.minLength(1)),
  status_url: z.optional(z.string()),
  response_url: z.optional(z.string()),
  cancel_url: z.optional(z.string()),
});

const file = z.object({ url: z.url({ protocol: /^https?$/ }) });
const result = z.object({ video: file, thumbnail: z.catch(z.nullish(file), null) });

/** The error that an answer's body holds, or null where the body is not fal's: a proxy's page, for instance. */
export function readError(body: unknown, status: number | null, headers?: Headers): FalError | null {
  const parsed = errorBody.safeParse(body);
  if (!parsed.success) return null;
  const { detail, error_type } = parsed.data;
  const platform = error_type ?? headers?.get("x-fal-error-type") ?? null;
  const errors = typeof detail === "string" ? [] : detail;
  return {
    status,
    types: [...(platform === null ? [] : [platform]), ...errors.map(({ type }) => type)],
    fields: errors.map(({ loc }) => String(loc.at(1) ?? "")),
  };
}

export type Submitted = z.infer<typeof submitted>;

/** What an answer to a submission proves. */
export function readSubmission(
  answer: BoundedAnswer,
  now: number,
  referencesOf: (submitted: Submitted) => ProviderReferences,
): SubmitOutcome {
  const { status, headers, text } = answer;
  const body = tryParseJson(text);
  if (isSuccess(answer)) {
    const parsed = submitted.safeParse(body);
    return parsed.success
      ? { outcome: "accepted", requestId: parsed.data.request_id, references: referencesOf(parsed.data) }
      : { outcome: "unknown", cause: `fal answered ${status} without a request id` };
  }
  const error = readError(body, status, headers);
  const cause = describe({ status, types: error?.types ?? [] });
  if (error !== null && (status === 400 || status === 422)) {
    const refusal = failure(error);
    const isFinal = refusal.code === codes["prompt/refused"] || refusal.code === codes["provider/rejected"];
    if (isFinal) return { outcome: "refused", failure: refusal };
  }
  // An app or a value that fal does not have; what else a 400 says, such as of the account, may pass.
  if (error !== null && (status === 404 || status === 422)) return misconfigured(cause);
  // fal's own 503 names its kind.
  return withoutAcceptance(answer, { cause, isOwnForm: error !== null && error.types.length > 0, now });
}

/** What a status says about a generation that is complete; fal completes failures, too. */
export interface Completion {
  readonly failed: boolean;
  readonly errorType: string | null;
}

const generationStatus = z.object({
  status: z.enum(["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]),
  error: z.optional(z.unknown()),
  error_type: z.nullish(z.string()),
});
const statusWord = z.object({ status: z.string() });

/** fal's own word; any other 404 may be a proxy's. */
function isNotFound(status: number, body: unknown): boolean {
  return status === 404 && statusWord.safeParse(body).data?.status === "NOT_FOUND";
}

/** What an answer about the status tells; the end of a complete one is its result's to tell. Null where it tells nothing. */
export function readStatus(
  answer: BoundedAnswer,
): ProviderState | { state: "completed"; completion: Completion } | null {
  const body = tryParseJson(answer.text);
  if (isNotFound(answer.status, body)) return { state: "not_found" };
  const parsed = generationStatus.safeParse(body);
  if (!isSuccess(answer) || !parsed.success) return null;
  const { error, error_type } = parsed.data;
  switch (parsed.data.status) {
    case "IN_QUEUE":
      return { state: "queued" };
    case "IN_PROGRESS":
      // fal tells no share of the work done.
      return { state: "running", percent: null };
    case "COMPLETED": {
      const errorType = error_type ?? null;
      const failed = errorType !== null || (error !== undefined && error !== null && error !== "");
      return { state: "completed", completion: { failed, errorType } };
    }
  }
}

/** What an answer to a cancellation tells, or null where it tells nothing. */
export function readCancellation(answer: BoundedAnswer): CancelOutcome | null {
  const { status, text } = answer;
  const body = tryParseJson(text);
  const word = statusWord.safeParse(body).data?.status;
  if (isNotFound(status, body)) return { outcome: "not_found" };
  if (status === 400 && word === "ALREADY_COMPLETED") return { outcome: "too_late" };
  // "OK" says that it was removed from the queue before any work; all else is a signal to a runner.
  if (status === 200 && word === "OK") return { outcome: "cancelled", isUnbilled: true };
  return isSuccess(answer) ? { outcome: "requested" } : null;
}

/** These say that fal does not serve us now, nothing about a generation. */
const refusalsOfTheCaller = [401, 403, 408, 429];

/** The state of a generation that is complete, by the answer to the request for its result. */
export function readResult(answer: BoundedAnswer, completion: Completion): ProviderState {
  const { status, headers, text } = answer;
  const body = tryParseJson(text);
  const isOutput = isSuccess(answer);
  if (isOutput && !completion.failed) return outputState(body);

  const error = isOutput ? null : readError(body, status, headers);
  const types = [
    ...new Set([...(completion.errorType === null ? [] : [completion.errorType]), ...error?.types ?? []]),
  ];
  // An error without a type is the model's own only as 422; a 400, for one, also means "still in progress".
  const isVerdict = error !== null && (types.length > 0 || status === 422) &&
    !refusalsOfTheCaller.includes(status);
  const fields = error?.fields ?? [];
  if (isVerdict) return failureState({ status, types, fields });
  if (completion.failed && (isOutput || error !== null || types.length > 0)) {
    return failureState({ status: null, types, fields });
  }
  return { state: "unreachable", ...unreachableBy(answer, `fal answered ${status} for the result`) };
}

/** A generation's output: the video's URL, or a failure where there is none. */
export function outputState(output: unknown): ProviderState {
  const parsed = result.safeParse(output);
  return parsed.success
    ? {
      state: "succeeded",
      videoUrl: parsed.data.video.url,
      thumbnailUrl: parsed.data.thumbnail?.url ?? null,
    }
    : { state: "failed", failure: invalidResult("the output has no video") };
}

/**
 * How a generation ended that did not succeed. fal bills videos by what comes out, and never a server's error; what it
 * answers with 422, a refused prompt for one, it may bill for the work until then.
 */
export function failureState(error: FalError): ProviderState {
  const isCancelled = error.status === 499 || error.types.includes("client_cancelled");
  if (isCancelled) return { state: "cancelled", isUnbilled: true };
  const ended = { state: "failed", failure: failure(error) } as const;
  return isServerError(error) ? { ...ended, isUnbilled: true } : ended;
}

/** By the status where it is known; a webhook tells the types alone. */
function isServerError({ status, types }: FalError): boolean {
  if (status !== null) return status >= 500;
  return types.some((type) => serverErrors.includes(type) || type.startsWith("runner_"));
}

const serverErrors = [
  "downstream_service_error",
  "downstream_service_unavailable",
  "generation_timeout",
  "internal_error",
  "internal_server_error",
  "request_timeout",
  "startup_timeout",
];

/** Of all inputs, what the user wrote; the rest is ours. */
const fieldsOfTheUser = ["prompt", "image_url"];

/**
 * By type where fal names one, else by status. Nothing is asked again here: fal has repeated what can be
 * repeated (up to 10 times) before it calls a generation failed. Only what names something of the user's is theirs.
 */
function failure(error: FalError): Failure {
  const cause = describe(error);
  const has = (...types: string[]) => types.some((type) => error.types.includes(type));
  if (has("content_policy_violation")) return againstPolicy(cause);
  if (has("request_timeout", "startup_timeout", "generation_timeout")) return timedOut(cause);
  if (has("no_media_generated")) return invalidResult(cause);
  if (error.status === 504) return timedOut(cause);
  return error.fields.some((field) => fieldsOfTheUser.includes(field)) ? rejected(cause) : unavailable(cause);
}

function describe({ status, types }: Pick<FalError, "status" | "types">): string {
  const codes = codesIn(types);
  const named = codes.length === 0 ? "" : `: ${codes.join(", ")}`;
  return status === null ? `fal reported an error${named}` : `fal answered ${status}${named}`;
}
