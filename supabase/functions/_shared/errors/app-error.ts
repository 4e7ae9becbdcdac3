import type { ErrorCode } from "./error-codes.ts";
import type { JsonValue } from "../platform/json.ts";

export interface AppErrorOptions {
  /** What the client is told beside the message, in the registry's keys; the message is filled from it. */
  details?: Readonly<Record<string, JsonValue>>;
  /** Why, for the log alone; it never reaches a client. */
  cause?: unknown;
  /** Headers of the answer that carries the error, such as `Allow`. */
  headers?: Readonly<Record<string, string>>;
}

/**
 * An expected failure: thrown anywhere, answered by the wrapper as one localised error body. Whatever else is
 * thrown is answered as ERR_6003.
 */
export class AppError extends Error {
  override readonly name = "AppError";
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, JsonValue>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, options: AppErrorOptions = {}) {
    super(code, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.details = options.details ?? {};
    this.headers = options.headers ?? {};
  }
}
