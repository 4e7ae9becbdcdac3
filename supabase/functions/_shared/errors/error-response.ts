import type { AppError } from "./app-error.ts";
import { errorCodes, itemDetail, retryAfterOf } from "./error-codes.ts";
import { errorMessage } from "./error-messages.ts";
import type { Language } from "./languages.ts";

/**
 * The answer to a failure: the only place that builds an error body. It tells the code, the message and the
 * details that the registry lists, and of which item it is; cause, stack and internal text stay behind.
 */
export function errorResponse(error: AppError, language: Language, requestId: string): Response {
  const { status, details: keys } = errorCodes[error.code];
  const headers = new Headers(error.headers);
  headers.set("Content-Type", "application/json");
  // RFC 9110 requires a challenge beside 401; Bearer makes no browser ask for a password.
  if (status === 401) headers.set("WWW-Authenticate", "Bearer");
  // The body says how long to wait, since mobile SDKs drop headers of errors.
  const known: AppError["details"] = { retry_after: retryAfterOf(error.code), ...error.details };
  const details = Object.fromEntries(
    [...keys, itemDetail].filter((key) => (known[key] ?? null) !== null).map((key) => [key, known[key]]),
  );
  const retryAfter = details.retry_after;
  if (typeof retryAfter === "number") headers.set("Retry-After", String(retryAfter));
  const body = {
    error: {
      code: error.code,
      message: errorMessage(error.code, language, details),
      details,
      request_id: requestId,
    },
  };
  return new Response(JSON.stringify(body), { status, headers });
}
