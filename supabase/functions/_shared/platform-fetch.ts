import type { Port } from "./context.ts";

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
