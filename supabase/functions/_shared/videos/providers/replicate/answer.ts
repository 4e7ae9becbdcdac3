/**
 * What Replicate's answers mean. An error of its API is `{ title, detail, status }`, with the answer's own status in
 * it. A prediction's error is a sentence that may quote the prompt; of it only Replicate's codes are read.
 */
import * as z from "zod/mini";
import type { BoundedAnswer } from "../../../platform/bounded-fetch.ts";
import { tryParseJson } from "../../../platform/json.ts";
import { isSuccess, withoutAcceptance } from "../exchanges.ts";
import { againstPolicy, invalidResult, misconfigured, rejected, timedOut, unavailable } from "../failures.ts";
import type { CancelOutcome, Failure, ProviderState, SubmitOutcome, Unbilled } from "../provider.ts";

const apiError = z.object({
  title: z.optional(z.string()),
  detail: z.string(),
  status: z.number(),
  invalid_fields: z.catch(z.optional(z.array(z.object({ field: z.string() }))), undefined),
});

/** Of its errors, as far as they are known; what else comes as a title may quote the prompt. */
const titles = [
  "Input validation failed",
  "Insufficient credit",
  "Invalid version or not permitted",
  "Not found",
  "Service unavailable",
  "Unauthenticated",
] as const;

const prediction = z.object({
  id: z.string().check(z.minLength(1)),
  status: z.enum(["starting", "processing", "succeeded", "failed", "canceled", "aborted"]),
  output: z.optional(z.unknown()),
  error: z.optional(z.unknown()),
  started_at: z.optional(z.unknown()),
});
type Prediction = z.infer<typeof prediction>;

const httpUrl = z.url({ protocol: /^https?$/ });
const file = z.union([
  httpUrl,
  z.pipe(z.object({ url: httpUrl }), z.transform(({ url }: { url: string }) => url)),
]);
const first = z.transform(([first]: unknown[]) => first);
const alone = z.transform((video: string) => ({ video, thumbnail: null }));
/** A file, several files, or files by their names: each model has its own form. */
const videoOutput = z.union([
  z.pipe(file, alone),
  z.pipe(z.pipe(z.array(z.unknown()), first), z.pipe(file, alone)),
  z.object({ video: file, thumbnail: z.catch(z.nullish(file), null) }),
]);

/** The prediction that a text describes, or null where it describes none. */
export function parsePrediction(text: string): Prediction | null {
  return prediction.safeParse(tryParseJson(text)).data ?? null;
}

/** The prediction in an answer, or null where Replicate answered something else. */
function readPrediction(answer: BoundedAnswer): Prediction | null {
  return isSuccess(answer) ? parsePrediction(answer.text) : null;
}

/** Whether Replicate says that it does not know the prediction; any other 404 may be a proxy's. */
function isNotFound(answer: BoundedAnswer): boolean {
  return answer.status === 404 && readApiError(answer) !== null;
}

function readApiError({ status, text }: BoundedAnswer): z.infer<typeof apiError> | null {
  const parsed = apiError.safeParse(tryParseJson(text));
  return parsed.success && parsed.data.status === status ? parsed.data : null;
}

/** What an answer to a submission proves. A prediction's id is all that is needed to find it again. */
export function readSubmission(answer: BoundedAnswer, now: number): SubmitOutcome {
  const created = readPrediction(answer);
  if (created !== null) return { outcome: "accepted", requestId: created.id, references: {} };
  const error = readApiError(answer);
  const title = titles.find((each) => each === error?.title);
  const cause = `Replicate answered ${answer.status}${title === undefined ? "" : `: ${title}`}`;
  if (answer.status === 422 && title === "Input validation failed") {
    return error?.invalid_fields?.some(({ field }) => fieldsOfTheUser.includes(field))
      ? { outcome: "refused", failure: rejected(cause) }
      : misconfigured(cause);
  }
  // No such model or version, or none for this account.
  if (error !== null && (answer.status === 404 || answer.status === 422)) return misconfigured(cause);
  return withoutAcceptance(answer, { cause, isOwnForm: error !== null, now });
}

/** The state that an answer about a prediction tells, or null where it tells none. */
export function readState(answer: BoundedAnswer): ProviderState | null {
  if (isNotFound(answer)) return { state: "not_found" };
  const prediction = readPrediction(answer);
  return prediction && predictionState(prediction);
}

/** What an answer to a cancellation tells, or null where it tells nothing. */
export function readCancellation(answer: BoundedAnswer): CancelOutcome | null {
  if (isNotFound(answer)) return { outcome: "not_found" };
  const prediction = readPrediction(answer);
  switch (prediction?.status) {
    case "canceled":
    case "aborted":
      return { outcome: "cancelled", ...billOf(prediction) };
    case "succeeded":
    case "failed":
      return { outcome: "too_late" };
    case "starting":
    case "processing":
      return { outcome: "requested" };
    default:
      return null;
  }
}

/** The state of a prediction in the port's terms. */
export function predictionState(prediction: Prediction): ProviderState {
  const { status, output, error } = prediction;
  switch (status) {
    case "starting":
      return { state: "queued" };
    case "processing":
      // Only a model's log tells a share of the work, each model's in its own way.
      return { state: "running", percent: null };
    case "succeeded": {
      const parsed = videoOutput.safeParse(output);
      // Also where it was there: Replicate removes it after an hour, and says null.
      if (!parsed.success) return { state: "failed", failure: invalidResult("the output has no video") };
      const { video, thumbnail } = parsed.data;
      return { state: "succeeded", videoUrl: video, thumbnailUrl: thumbnail ?? null };
    }
    case "failed":
      return { state: "failed", failure: failureOf(error), ...billOf(prediction) };
    case "canceled":
      return { state: "cancelled", ...billOf(prediction) };
    case "aborted":
      return {
        state: "failed",
        failure: timedOut("Replicate did not start the prediction in time"),
        isUnbilled: true,
      };
  }
}

/** Of all inputs, what the user wrote; the rest is ours. */
const fieldsOfTheUser = ["input.prompt", "input.image", "input.start_image", "input.input_reference"];

/** Replicate bills the time that a prediction ran, whatever came of it; one that never started, or was aborted, is free. */
function billOf({ status, started_at }: Prediction): Unbilled {
  return status === "aborted" || (started_at ?? null) === null ? { isUnbilled: true } : {};
}

function failureOf(error: unknown): Failure {
  const text = typeof error === "string" ? error : "";
  const codes = [...new Set(text.match(/\bE\d{3,4}\b/g))];
  const cause = `Replicate's prediction failed${codes.length === 0 ? "" : `: ${codes.join(", ")}`}`;
  // The older models have no code for it, and these words in common.
  if (codes.includes("E005") || /\bNSFW\b/.test(text)) return againstPolicy(cause);
  if (codes.includes("E6716")) return timedOut(cause);
  // E006 is the model's word for an input that it does not take. Any other exception may be anybody's fault.
  return codes.includes("E006") ? rejected(cause) : unavailable(cause);
}
