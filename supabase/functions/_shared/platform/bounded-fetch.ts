/** Requests to other services: one deadline for the whole exchange, a limit on the body, no redirects. */

import { within } from "./platform-fetch.ts";

export interface BoundedRequest {
  readonly method?: "GET" | "POST" | "PUT" | "DELETE";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** For what must not happen twice. Without it the runtime may send a request again by itself. */
  readonly once?: boolean;
  /** For connecting, waiting and reading the body together. */
  readonly timeoutMilliseconds: number;
  readonly maxBytes: number;
  /** Ends the exchange earlier. */
  readonly signal?: AbortSignal | undefined;
}

export interface BoundedAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** The whole body, as text. */
  readonly text: string;
}

/**
 * One request. A redirect is answered as it is: the headers carry credentials, and whoever answers must not
 * choose where those go. Throws when there is no whole answer in time, or when its body is longer than allowed.
 */
export async function boundedFetch(
  fetch: typeof globalThis.fetch,
  url: string | URL,
  request: BoundedRequest,
): Promise<BoundedAnswer> {
  const { timeoutMilliseconds, maxBytes, signal, body = null, once = false, ...init } = request;
  return await within(timeoutMilliseconds, signal, async (signal) => {
    const response = await fetch(url, {
      ...init,
      // Deno 2.7 and later repeat a request whose connection closed before an answer, a POST too, and even where the
      // other side has read all of it; but not one with a stream, which is gone once it was read.
      body: once && body !== null ? new Blob([body]).stream() : body,
      redirect: "manual",
      signal,
    });
    return { status: response.status, headers: response.headers, text: await readText(response, maxBytes) };
  });
}

async function readText(response: Response, maxBytes: number): Promise<string> {
  // What a body of HTTP/1.1 or 2 says to be its length is its length, unless it was packed.
  const { headers } = response;
  const length = headers.get("content-encoding") === null ? headers.get("content-length") : null;
  if (length !== null && Number(length) <= maxBytes) return await response.text();
  const decoder = new TextDecoder();
  let text = "";
  let read = 0;
  // Leaving the loop early cancels the stream.
  for await (const chunk of response.body ?? []) {
    read += chunk.byteLength;
    if (read > maxBytes) throw new Error(`The answer is longer than ${maxBytes} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/**
 * Whether a fetch failed while connecting, which proves that the other side never saw the request. The runtime
 * tells it in words alone, in the error's message (Deno 2.1) or in its cause's (Deno 2.9); an end-to-end test
 * holds them, and words that are not recognised only make an outcome unknown.
 */
export function neverConnected(error: unknown): boolean {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (current.message.includes("client error (Connect)")) return true;
  }
  return false;
}

/** What went wrong with a fetch, for the log; without its address, which may hold a token. */
export function describeFetchError(error: unknown): string {
  if (!(error instanceof Error)) return "no answer";
  if (error.name === "TimeoutError") return "no answer in time";
  if (neverConnected(error)) return "no connection";
  const { message } = error.cause instanceof Error ? error.cause : error;
  return message.replaceAll(/\(?https?:\S+/g, "(address)");
}

/** Whoever asks for more is asked again after it: no header has a task wait for years, or says a number that no column takes. */
const maxRetryAfterSeconds = 24 * 3600;

/** The seconds until a time that a server names, in milliseconds since 1970: rounded up, and a day at most. */
export function secondsUntil(time: number, now: number): number {
  return Math.min(maxRetryAfterSeconds, Math.max(0, Math.ceil((time - now) / 1000)));
}

/**
 * The seconds that a Retry-After header asks for, rounded up, and a day at most; null without one, or where it is not
 * readable.
 */
export function retryAfterSeconds(headers: Headers, now: number): number | null {
  const value = headers.get("retry-after") ?? "";
  if (/^\d{1,9}$/.test(value)) return Math.min(maxRetryAfterSeconds, Number(value));
  // Date.parse takes much for a date, "-1" for one.
  const time = /^[A-Z][a-z]{2}, /.test(value) ? Date.parse(value) : NaN;
  return Number.isNaN(time) ? null : secondsUntil(time, now);
}
