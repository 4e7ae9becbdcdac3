/**
 * The failures that adapters report, in the terms of the error registry. A `cause` is for the log and the operator:
 * statuses and codes, never a provider's own sentence, which may quote the prompt.
 */
import { codes } from "../../errors/error-codes.ts";
import type { Failure, SubmitOutcome } from "./provider.ts";

/**
 * Of what a provider calls its codes, those that are: words, joined by `_` or `.`. What else comes in their place may be
 * anything.
 */
export function codesIn(values: readonly string[]): string[] {
  return values.filter((value) => value.length <= 60 && /^[a-z]+(?:[._][a-z]+)*$/i.test(value));
}

/** The provider's content checker refused the prompt, or what came of it. */
export function againstPolicy(cause: string): Failure {
  return { code: codes["prompt/refused"], details: { reason: "provider_policy" }, cause };
}

export function timedOut(cause: string): Failure {
  return { code: codes["provider/timed-out"], details: {}, cause };
}

/** The provider failed for reasons of its own; another time it may not. */
export function unavailable(cause: string): Failure {
  return { code: codes["provider/unavailable"], details: {}, cause };
}

/** The provider does not take what the user gave: the prompt, or the image. Never for what we made of a request. */
export function rejected(cause: string): Failure {
  return { code: codes["provider/rejected"], details: { reason: "rejected" }, cause };
}

/** The generation ended without a video that could be used. */
export function invalidResult(cause: string): Failure {
  return { code: codes["provider/rejected"], details: { reason: "invalid_result" }, cause };
}

/** A request that this provider will not do for a reason of ours: a model that it does not have, a value it does not know. */
export function misconfigured(cause: string): Extract<SubmitOutcome, { outcome: "refused" }> {
  return { outcome: "refused", failure: unavailable(cause), needsOperator: true };
}
