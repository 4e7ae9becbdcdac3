/**
 * Asks again where asking again may help: with full jitter, the server's Retry-After and a deadline, and only
 * what may be repeated. Libraries that do this, such as ky, cannot be given a clock, and their time-out ends at
 * the headers.
 */
import { type BoundedAnswer, boundedFetch, type BoundedRequest, retryAfterSeconds } from "./bounded-fetch.ts";
import { countRetry } from "../ops/counted-fetch.ts";
import { sleep } from "./sleep.ts";

/** `timeoutMilliseconds` is that of one attempt. */
export interface RetriedRequest extends BoundedRequest {
  /** At most, the first included; 3 by default. */
  readonly attempts?: number;
  /** Milliseconds since 1970. No attempt starts at or after it, and none goes on. */
  readonly deadline?: number;
  /** Says of a POST that doing it twice is doing it once. */
  readonly idempotent?: boolean;
}

export interface RetriedAnswer extends BoundedAnswer {
  readonly attempts: number;
}

/** What an attempt is made of besides the request; tests give their own time and chance. */
export interface RetryEnvironment {
  readonly fetch: typeof fetch;
  readonly now: () => number;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** Resolves after the milliseconds; rejects with the signal's reason when it is aborted before. */
  readonly sleep: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
}

/** 408, 429 and 5xx that may pass. Not 501 or 505: asking again does not teach the server anything. */
const passingStatuses = [408, 429, 500, 502, 503, 504];

/** The longest wait before the second attempt; it doubles with each, so that a busy server gets room. */
const firstDelay = 250;

/** Nobody waits longer than this; whom a server asks to do so gets its answer instead. */
const maxDelay = 10_000;

/**
 * The first answer that does not say "try again", or the last one. Throws the last attempt's error where that got
 * no answer. A POST is sent once, unless it is `idempotent`.
 */
export async function fetchWithRetry(
  url: string | URL,
  { attempts: most = 3, deadline = Infinity, idempotent, ...request }: RetriedRequest,
  { fetch, now, random, sleep }: RetryEnvironment,
): Promise<RetriedAnswer> {
  const mayRepeat = request.method !== "POST" || idempotent === true;
  for (let attempts = 1;; attempts += 1) {
    const timeLeft = deadline - now();
    if (timeLeft <= 0) throw new DOMException("The deadline has passed", "TimeoutError");
    const timeoutMilliseconds = Math.min(request.timeoutMilliseconds, timeLeft);
    const outcome = await attempt(() => boundedFetch(fetch, url, { ...request, timeoutMilliseconds }));

    const asked = outcome.answer && retryAfterSeconds(outcome.answer.headers, now());
    const jitter = random() * Math.min(maxDelay, firstDelay * 2 ** (attempts - 1));
    // Jitter comes on top of what a server asks for, or all that it refused come back together.
    const delay = (asked ?? 0) * 1000 + jitter;
    const isOver = !mayRepeat || attempts >= most || request.signal?.aborted === true ||
      (outcome.answer !== null && !passingStatuses.includes(outcome.answer.status)) ||
      delay > maxDelay || now() + delay >= deadline;
    if (!isOver) {
      countRetry(fetch, url);
      await sleep(delay, request.signal);
      continue;
    }
    if (outcome.answer === null) throw outcome.error;
    return { ...outcome.answer, attempts };
  }
}

/** The environment of whoever has no other time and chance than the real ones. */
export function retrying(
  fetch: typeof globalThis.fetch,
  now: () => number = Date.now,
  pause: RetryEnvironment["sleep"] = sleep,
): RetryEnvironment {
  return { fetch, now, random: Math.random, sleep: pause };
}

type Outcome = { answer: BoundedAnswer; error: null } | { answer: null; error: unknown };

async function attempt(ask: () => Promise<BoundedAnswer>): Promise<Outcome> {
  try {
    return { answer: await ask(), error: null };
  } catch (error) {
    return { answer: null, error };
  }
}
