/** Trying again, waiting, and ending in time: what all calls have in common. */
import { KinoraError, noAnswer, toldToWait } from "./errors.ts";

/** What every call takes. */
export interface CallOptions {
  /** Ends the call, which then throws the signal's reason. What was sent may have been done all the same. */
  signal?: AbortSignal | undefined;
  /** Milliseconds for all of the call, with what it tries again, or for each page of a list; 60,000 where it is not said. */
  timeout?: number | undefined;
  /** Of messages: `en`, `tr` or `es`, or any list as `Accept-Language` has it. */
  language?: string | undefined;
}

/** Milliseconds, where a call is not told others. */
const defaultTimeout = 60_000;
/** Milliseconds for one answer: longer than the slowest endpoint takes, which asks Apple or a provider. */
export const answerTimeout = 30_000;
/** Seconds between two tries at most, where the backend does not say how long to wait. */
const longestPause = 60;

/**
 * Calls `attempt` until it resolves, fails for good, or the time is over. What may be tried again is: at once after the time
 * that the backend tells, else after a random one of up to 1, 2, 4, … 60 seconds, so that those who failed together do not
 * come back together. Where the time would be over before the next try, it throws now what has failed; and so where
 * `mayRepeat` says no.
 */
export async function persist<T>(
  attempt: (signal: AbortSignal) => Promise<T>,
  { signal, timeout = defaultTimeout }: CallOptions,
  limit = answerTimeout,
  mayRepeat: () => boolean = () => true,
): Promise<T> {
  const end = performance.now() + timeout;
  for (let tries = 0;; tries++) {
    throwIfAborted(signal);
    try {
      return await within(Math.min(limit, end - performance.now()), attempt, signal);
    } catch (error) {
      throwIfAborted(signal);
      if (!(error instanceof KinoraError) || error.action !== "same_key_later" || !mayRepeat()) throw error;
      const seconds = toldToWait(error) ?? Math.random() * Math.min(longestPause, 2 ** tries);
      if (performance.now() + seconds * 1000 >= end) throw error;
      await pause(seconds, signal);
    }
  }
}

/** For a call of several steps: gives what each step takes, with the time that is left of the call's. */
export function untilEnd(
  { timeout = defaultTimeout, ...options }: CallOptions,
): () => CallOptions & { timeout: number } {
  const end = performance.now() + timeout;
  return () => ({ ...options, timeout: end - performance.now() });
}

/**
 * Resolves after so many seconds, or as soon as `news` does, or rejects with the signal's reason. Leaves no timer and no
 * listener.
 */
export async function pause(
  seconds: number,
  signal: AbortSignal | undefined,
  news?: Promise<void>,
): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    const over = new Promise<void>((resolve) => timer = setTimeout(resolve, seconds * 1000));
    await unlessAborted(news === undefined ? over : Promise.race([over, news]), signal);
  } finally {
    clearTimeout(timer);
  }
}

/** What the promise becomes, or the signal's reason as soon as it is aborted; the promise then goes on alone. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  throwIfAborted(signal);
  let abort = () => {};
  const aborted = new Promise<never>((_, reject) => abort = () => reject(reasonOf(signal)));
  signal?.addEventListener("abort", abort);
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/**
 * Work that ends with the signal or after so many milliseconds, also where what it waits for knows nothing of signals,
 * as a refresh of the session does. By hand, since React Native has neither AbortSignal.any nor AbortSignal.timeout, and
 * its signals keep no reason.
 */
export async function within<T>(
  milliseconds: number,
  attempt: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  const controller = new AbortController();
  let end: (reason: unknown) => void = () => {};
  const ended = new Promise<never>((_, reject) =>
    end = (reason) => {
      reject(reason);
      controller.abort(reason);
    }
  );
  const abort = () => end(reasonOf(signal));
  signal?.addEventListener("abort", abort);
  const timer = setTimeout(
    () => end(noAnswer(`No answer within ${Math.round(milliseconds)} ms`)),
    // A timer of more than 2^31 milliseconds would fire at once.
    Math.min(milliseconds, 2 ** 31 - 1),
  );
  try {
    return await Promise.race([attempt(controller.signal), ended]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/** Some of React Native's signals have no `throwIfAborted`. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw reasonOf(signal);
}

function reasonOf(signal: AbortSignal | undefined): unknown {
  return signal?.reason ?? new Error("The call was aborted");
}
