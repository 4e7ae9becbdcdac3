import type { Config } from "../platform/config.ts";

/** What browsers may send beyond the safelisted: the contract's headers, and those that supabase-js adds. */
const allowedHeaders = [
  "accept-language",
  "apikey",
  "authorization",
  "content-type",
  "idempotency-key",
  "if-none-match",
  "traceparent",
  "tracestate",
  "baggage",
  "x-client-info",
  "x-region",
  "x-retry-count",
  "x-request-id",
].join(", ");

/** What scripts may read beyond the safelisted. */
const exposedHeaders = [
  "Age",
  "Allow",
  "Cache-Status",
  "Content-Language",
  "ETag",
  "Idempotency-Replayed",
  "Location",
  "RateLimit",
  "RateLimit-Policy",
  "Retry-After",
  "traceparent",
  "X-Request-Id",
].join(", ");

/** Lets browsers of the allowed origins read the answer. No cookies are used, so `*` gives nothing away. */
export function setCorsHeaders(
  headers: Headers,
  origin: string | null,
  allowed: Config["corsAllowOrigin"],
): void {
  headers.set("Access-Control-Expose-Headers", exposedHeaders);
  if (allowed === "*") {
    headers.set("Access-Control-Allow-Origin", "*");
    return;
  }
  // Also where the origin is refused: a cache must not give that answer to another origin.
  headers.append("Vary", "Origin");
  if (origin !== null && allowed.includes(origin)) headers.set("Access-Control-Allow-Origin", origin);
}

/** The answer to a browser that asks before it calls. */
export function preflightResponse(methods: readonly string[]): Response {
  return new Response(null, {
    status: 204,
    headers: {
      "Allow": methods.join(", "),
      "Access-Control-Allow-Methods": methods.join(", "),
      "Access-Control-Allow-Headers": allowedHeaders,
      // A day, which browsers cut to their own maximum (2 h in Chromium): the answer only changes with a deploy.
      "Access-Control-Max-Age": "86400",
    },
  });
}
