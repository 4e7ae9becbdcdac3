import type { Port } from "../endpoint/context.ts";
import { sleep } from "./fetch-with-retry.ts";

/** The platform's fetch, for what a service streams from elsewhere. */
export const platformFetch: Port<typeof fetch> = ({ fetch }) => fetch;

/**
 * A fetch whose every exchange, reading the body included, ends after so many milliseconds: for libraries that wait
 * for ever, or only limit the time until the headers.
 */
export function limitTime(fetch: typeof globalThis.fetch, milliseconds: number): typeof globalThis.fetch {
  return (input, init) => {
    const timeout = AbortSignal.timeout(milliseconds);
    return fetch(input, {
      ...init,
      signal: init?.signal ? AbortSignal.any([init.signal, timeout]) : timeout,
    });
  };
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
