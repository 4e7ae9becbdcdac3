/**
 * What Runway's answers mean. An error of its API is `{ error, docUrl }`, and has `issues` where it is about the input.
 * A task that failed says why in a code, which is read, and in a sentence, which is neither shown nor logged.
 */
import * as z from "zod/mini";
import type { BoundedAnswer } from "../../../platform/bounded-fetch.ts";
import { tryParseJson } from "../../../platform/json.ts";
import { isSuccess, withoutAcceptance } from "../exchanges.ts";
import { againstPolicy, codesIn, invalidResult, misconfigured, rejected, unavailable } from "../failures.ts";
import type { Failure, ProviderState, SubmitOutcome } from "../provider.ts";

const apiError = z.object({
  error: z.string(),
  docUrl: z.optional(z.string()),
  issues: z.catch(
    z.optional(z.array(z.object({ code: z.string(), path: z.catch(z.array(z.unknown()), []) }))),
    undefined,
  ),
});
const created = z.object({ id: z.string().check(z.minLength(1)) });

const task = z.object({
  status: z.enum(["PENDING", "THROTTLED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]),
  progress: z.catch(z.nullish(z.number()), null),
  output: z.optional(z.unknown()),
  failureCode: z.catch(z.nullish(z.string()), null),
});

const httpUrl = z.url({ protocol: /^https?$/ });
const videoOutput = z.pipe(
  z.pipe(z.array(z.unknown()), z.transform(([first]: unknown[]) => first)),
  httpUrl,
);

function readApiError(text: string): z.infer<typeof apiError> | null {
  return apiError.safeParse(tryParseJson(text)).data ?? null;
}

/** All that Runway answers itself point to its documentation. */
function isOwnForm(error: z.infer<typeof apiError> | null): boolean {
  return error?.docUrl !== undefined;
}

/** What an answer to a submission proves. A task's id is all that is needed to find it again. */
export function readSubmission(answer: BoundedAnswer, now: number): SubmitOutcome {
  const { status, text } = answer;
  if (isSuccess(answer)) {
    const parsed = created.safeParse(tryParseJson(text));
    return parsed.success
      ? { outcome: "accepted", requestId: parsed.data.id, references: {} }
      : { outcome: "unknown", cause: `Runway answered ${status} without a task` };
  }
  const error = readApiError(text);
  const issues = error?.issues?.map(({ code }) => code) ?? [];
  const codes = codesIn(issues);
  const cause = `Runway answered ${status}${codes.length === 0 ? "" : `: ${codes.join(", ")}`}`;
  // Without issues a 400 is about the account, such as one that has run out of credits: the operator's to mend, too.
  if (status === 400 && issues.length > 0) {
    const isAboutTheUsers = error?.issues?.some(({ path }) => fieldsOfTheUser.includes(String(path.at(0))));
    return isAboutTheUsers ? { outcome: "refused", failure: rejected(cause) } : misconfigured(cause);
  }
  if (status === 404 && isOwnForm(error)) return misconfigured(cause);
  const outcome = withoutAcceptance(answer, { cause, isOwnForm: isOwnForm(error), now });
  return status === 400 && outcome.outcome === "not_accepted" ? { ...outcome, needsOperator: true } : outcome;
}

/** Of all inputs, what the user wrote; the rest is ours. */
const fieldsOfTheUser = ["promptText", "promptImage"];

/** Whether Runway says that it does not know the task. A proxy's 404 has another form, and says nothing. */
export function isNotFound({ status, text }: BoundedAnswer): boolean {
  return status === 404 && isOwnForm(readApiError(text));
}

/** The state that an answer about a task tells, or null where it tells none. */
export function readTask(answer: BoundedAnswer): ProviderState | null {
  if (isNotFound(answer)) return { state: "not_found" };
  const parsed = task.safeParse(tryParseJson(answer.text));
  if (!isSuccess(answer) || !parsed.success) return null;
  const { progress, output, failureCode } = parsed.data;
  switch (parsed.data.status) {
    case "PENDING":
    case "THROTTLED":
      return { state: "queued" };
    case "RUNNING":
      return { state: "running", percent: percentOf(progress ?? null) };
    case "SUCCEEDED": {
      const video = videoOutput.safeParse(output);
      return video.success
        ? { state: "succeeded", videoUrl: video.data, thumbnailUrl: null }
        : { state: "failed", failure: invalidResult("the output has no video") };
    }
    // Runway bills what its moderation refuses like a video, and does not say what else it bills.
    case "FAILED":
      return { state: "failed", failure: failureOf(failureCode ?? "") };
    case "CANCELLED":
      return { state: "cancelled" };
  }
}

function percentOf(progress: number | null): number | null {
  return progress === null ? null : Math.round(Math.min(Math.max(progress, 0), 1) * 100);
}

function failureOf(code: string): Failure {
  // Codes are words in capitals; whatever else came in this place stays out of the log.
  const cause = `Runway's task failed${/^[A-Z0-9_.]{1,100}$/.test(code) ? `: ${code}` : ""}`;
  const isIn = (...groups: string[]) =>
    groups.some((group) => code === group || code.startsWith(`${group}.`));
  if (isIn("SAFETY", "INPUT_PREPROCESSING.SAFETY")) return againstPolicy(cause);
  // Runway's own check turned the video down, most often for what was asked for, such as lettering: asking for the
  // same again seldom helps, so that this is no outage.
  if (isIn("INTERNAL.BAD_OUTPUT")) return invalidResult(cause);
  if (isIn("ASSET")) return rejected(cause);
  // INTERNAL, INPUT_PREPROCESSING.INTERNAL, THIRD_PARTY.UNAVAILABLE and no code at all may be tried again later.
  return unavailable(cause);
}
