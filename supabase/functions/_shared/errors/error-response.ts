import type { AppError } from "./app-error.ts";
import { type ErrorCode, errorCodes, itemDetail, retryAfterOf } from "./error-codes.ts";
import { errorMessage } from "./error-messages.ts";
import type { JsonValue } from "../platform/json.ts";
import type { Language } from "./languages.ts";

/** What is told of an error's details: the registry's keys, how long to wait included, and of several things which it is about. */
export function shownDetails(
  code: ErrorCode,
  details: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  // The body says how long to wait, since mobile SDKs drop headers of errors.
  const known: typeof details = { retry_after: retryAfterOf(code), ...details };
  return Object.fromEntries(
    [...errorCodes[code].details, itemDetail].filter((key) => (known[key] ?? null) !== null)
      .map((key) => [key, known[key]]),
  );
}

/**
 * The answer to a failure: the only place that builds an error body. It tells the code, the message and the
 * details that the registry lists, and of which item it is, beside the members that the operation's protocol asks for; cause,
 * stack and internal text stay behind.
 */
export function errorResponse(
  error: AppError,
  language: Language,
  requestId: string,
  members: Readonly<Record<string, JsonValue>> = {},
): Response {
  const { status } = errorCodes[error.code];
  const headers = new Headers(error.headers);
  headers.set("Content-Type", "application/json");
  // RFC 9110 requires a challenge beside 401; Bearer makes no browser ask for a password.
  if (status === 401) headers.set("WWW-Authenticate", "Bearer");
  const details = shownDetails(error.code, error.details);
  const retryAfter = details["retry_after"];
  if (typeof retryAfter === "number") headers.set("Retry-After", String(retryAfter));
  const body = {
    ...members,
    error: {
      code: error.code,
      message: errorMessage(error.code, language, details),
      details,
      request_id: requestId,
    },
  };
  return new Response(JSON.stringify(body), { status, headers });
}
