import type { Port } from "../endpoint/context.ts";
import { sleep } from "./sleep.ts";

/** The platform's fetch, for what a service streams from elsewhere. */
export const platformFetch: Port<typeof fetch> = ({ fetch }) => fetch;

/** The signal's work must have ended after so many milliseconds; its time-out ends with it. */
export async function within<Result>(
  milliseconds: number,
  signal: AbortSignal | null | undefined,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  // AbortSignal.timeout would go off even so, long after the work: at each of an isolate's exchanges one more timer.
  const late = new AbortController();
  const timer = setTimeout(
    () => late.abort(new DOMException("The time is over", "TimeoutError")),
    milliseconds,
  );
  try {
    return await work(signal ? AbortSignal.any([signal, late.signal]) : late.signal);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * A fetch whose answers come whole, body included, within so many milliseconds: for libraries that wait for ever, or only
 * limit the time until the headers.
 */
export function limitTime(fetch: typeof globalThis.fetch, milliseconds: number): typeof globalThis.fetch {
  return (input, init) =>
    within(milliseconds, init?.signal, async (signal) => {
      const response = await fetch(input, { ...init, signal });
      if (response.body === null) return response;
      const body = await response.arrayBuffer();
      return new Response(body, response);
    });
}

/**
 * Before each further try, in milliseconds. What the gateway makes of a secret key is a token of a few seconds, which a
 * server whose clock is a second behind does not take yet.
 */
const pausesAfterUnauthorized = [250, 1_250];

/**
 * A fetch for calls of the platform with a secret key. Single ones of them are answered 401 (PostgREST: PGRST303) though
 * the key is right: nothing was done then, whatever was asked for, so that the call is made again. A key that is wrong
 * gets its 401 after 1.5 s. A body that streams can be sent once only. `pause` waits so many milliseconds.
 */
export function repeatUnauthorized(
  fetch: typeof globalThis.fetch,
  pause: (milliseconds: number) => Promise<unknown> = sleep,
): typeof globalThis.fetch {
  return async (input, init) => {
    for (const milliseconds of pausesAfterUnauthorized) {
      const response = await fetch(input, init);
      if (response.status !== 401) return response;
      await response.body?.cancel();
      await pause(milliseconds);
    }
    return await fetch(input, init);
  };
}
