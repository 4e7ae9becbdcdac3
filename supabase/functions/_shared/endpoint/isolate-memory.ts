/** What an isolate remembers between requests, so that whoever was refused costs the database nothing. */
import { AppError } from "../errors/app-error.ts";
import { codes, errorCodes, itemDetail } from "../errors/error-codes.ts";
import type { Caller, Idempotency, Limit } from "./context.ts";
import { type AnswerMemory, rememberAnswers } from "./answer-memory.ts";
import type { Method } from "./operation.ts";
import {
  type AnsweredKeys,
  limitStrangers,
  type PolicyName,
  type Refusal,
  rememberAnsweredKeys,
  type RememberedRefusals,
  rememberRefusals,
  type Strangers,
} from "./rate-limiter.ts";

export interface IsolateMemory {
  readonly refusals: RememberedRefusals;
  readonly answeredKeys: AnsweredKeys;
  readonly strangers: Strangers;
  readonly answers: AnswerMemory;
}

export function isolateMemory(): IsolateMemory {
  return {
    refusals: rememberRefusals(),
    answeredKeys: rememberAnsweredKeys(),
    strangers: limitStrangers(),
    answers: rememberAnswers(),
  };
}

/** Policies that ask how much a request wants: of these, a smaller one may be admitted. */
const askHowMuch: readonly string[] = [
  "admin_credits",
  "sandbox_credits",
  "sandbox_credits_global",
] satisfies PolicyName[];

export interface Asked {
  readonly method: Method;
  readonly caller: Caller;
  readonly network: string | null;
  readonly idempotency: Idempotency | null;
}

export interface MemoryOfCaller {
  /** The refusal that still holds for this request; null where there is none, or where its answer is a replay. */
  refusal(now: number): Refusal | null;
  /** The operation has answered, or has thrown. */
  answered(error: unknown, limits: readonly Limit[], now: number): void;
}

/** The memory of whoever asks this: their refusals, at this operation, whatever their request and its key are. */
export function memoryOf(
  { refusals, answeredKeys }: IsolateMemory,
  { method, caller, network, idempotency }: Asked,
): MemoryOfCaller {
  const subject = JSON.stringify([method, caller, network]);
  const request = JSON.stringify([subject, idempotency?.fingerprint]);
  const key = idempotency === null ? null : JSON.stringify([method, caller, idempotency.key]);
  return {
    refusal: (now) =>
      key !== null && answeredKeys.has(key)
        ? null
        : refusals.find(subject, now) ?? refusals.find(request, now),
    answered(error, limits, now) {
      const isStored = error === null || (error instanceof AppError && errorCodes[error.code].replayed);
      if (key !== null && isStored) answeredKeys.add(key);
      if (!(error instanceof AppError) || error.code !== codes["limit/rate-exceeded"]) return;
      const { policy, retry_after: retryAfter } = error.details;
      if (typeof policy !== "string" || typeof retryAfter !== "number") return;
      // There was room for the items before that one: fewer may be had now.
      if (Number(error.details[itemDetail] ?? 0) > 0) return;
      const asksHowMuch = askHowMuch.includes(policy);
      // Without a key, nothing here tells one request from another that asks for less.
      if (asksHowMuch && idempotency === null) return;
      refusals.remember(asksHowMuch ? request : subject, { policy, retryAfter, limits }, now);
    },
  };
}

/**
 * The failure of a request whose sender proved nothing, counted for its network; ERR_4004 where that has had many, whose
 * limit is then set in `limits`.
 */
export function refuseStranger(
  failure: AppError,
  { network, limits }: { readonly network: string | null; readonly limits: Map<string, Limit> },
  { strangers }: IsolateMemory,
  now: number,
): AppError {
  const limit = strangers.take(network, now);
  if (limit.allowed) return failure;
  limits.set(limit.policy, limit);
  return new AppError(codes["limit/rate-exceeded"], {
    details: { policy: limit.policy, retry_after: limit.reset },
    cause: failure.cause ?? failure.code,
  });
}
