/** What the adapters' exchanges have in common: their bounds, and what is proved where a submission was not accepted. */
import {
  type BoundedAnswer,
  describeFetchError,
  neverConnected,
  retryAfterSeconds,
} from "../bounded-fetch.ts";
import type { SubmitOutcome } from "./provider.ts";

/**
 * Providers take a submission within a second. A lost answer costs its user the wait until the deadline, so that we
 * wait long, and still leave a worker most of the 150 s that it has.
 */
export const submitTimeoutMilliseconds = 30_000;
/** For what may simply be asked again. */
export const readTimeoutMilliseconds = 10_000;
/** An output is a few URLs, with its input and its log beside it at most. */
export const maximumAnswerBytes = 1024 * 1024;

export type NotTaken = Extract<SubmitOutcome, { outcome: "not_accepted" | "unknown" }>;

/** What a submission that got no answer has become: only a connection that never was proves that nobody has it. */
export function withoutAnswer(error: unknown): NotTaken {
  const cause = describeFetchError(error);
  return neverConnected(error)
    ? { outcome: "not_accepted", cause, retryAfterSeconds: null }
    : { outcome: "unknown", cause };
}

/**
 * What an answer without a request id proves. A gateway's 503 may come after the provider took the request, so that
 * one counts only in the provider's own form, which the adapter recognises.
 */
export function withoutAcceptance(
  { status, headers }: BoundedAnswer,
  { cause, isOwnForm, now }: { cause: string; isOwnForm: boolean; now: number },
): NotTaken {
  const isClientError = status >= 400 && status < 500 && status !== 408;
  if (!isClientError && !(status === 503 && isOwnForm)) return { outcome: "unknown", cause };
  return {
    outcome: "not_accepted",
    cause,
    retryAfterSeconds: retryAfterSeconds(headers, now),
    ...(status === 429 ? { isBusy: true } : {}),
  };
}
