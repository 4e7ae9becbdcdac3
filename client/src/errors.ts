/** The one error class of the package. Its `details` are narrowed by its `code`. */
import { actions } from "./error-codes.ts";
import type { components } from "./openapi.ts";

type Schemas = components["schemas"];

/** A code of the backend's registry. */
export type ErrorCode = Schemas["ErrorCode"];
/** What `details` holds, by code; nothing for those that are not named. */
export type ErrorDetails = Schemas["ErrorDetails"];
type DetailsOf<Code> = Code extends keyof ErrorDetails ? ErrorDetails[Code] : Record<string, unknown>;
/** What the app does next, in the words of the guide. */
export type Action = (typeof actions)[ErrorCode];

interface Failed<Code extends ErrorCode | null> {
  code: Code;
  details: DetailsOf<Code>;
  message: string;
  /** Of the answer; null where there was none. */
  status: number | null;
  requestId?: string | undefined;
  /** Where it is not the code's. */
  action?: Action;
  cause?: unknown;
}

/** One kind of failure. */
export class FailureOf<Code extends ErrorCode | null> extends Error {
  override readonly name = "KinoraError";
  /** Null where Kinora did not answer: no network, no time, or the platform in its place. */
  readonly code: Code;
  readonly details: DetailsOf<Code>;
  /** The answer's; null where there was none. */
  readonly status: number | null;
  /** What the operator finds the request by in the logs. */
  readonly requestId: string | undefined;
  /** `same_key_later` is what the package does by itself, for as long as it is given. */
  readonly action: Action;

  constructor(failed: Failed<Code>) {
    super(failed.message, "cause" in failed ? { cause: failed.cause } : undefined);
    this.code = failed.code;
    this.details = failed.details;
    this.status = failed.status;
    this.requestId = failed.requestId;
    this.action = failed.action ?? actionOf(failed.code);
  }

  /** Whether what was asked for may have been done all the same: after a fault, as without an answer, nobody knows. */
  get mayBeDone(): boolean {
    return this.action === "same_key_later" && (this.code?.startsWith("ERR_6") ?? true);
  }
}

/** What a call throws, but for the reason of an AbortSignal of the app. */
export type KinoraError = { [Code in ErrorCode]: FailureOf<Code> }[ErrorCode] | FailureOf<null>;
/** For `instanceof`, after which `code` narrows `details`. */
export const KinoraError: {
  new (failed: Failed<ErrorCode | null>): KinoraError;
  readonly prototype: KinoraError;
} = FailureOf as never;

/** Without an answer nobody knows what became of a request: the same request, with the same key, tells. */
function actionOf(code: ErrorCode | null): Action {
  // A code that is newer than this package: nothing is known of it, so nothing is tried again.
  return code === null ? "same_key_later" : actions[code] ?? "stop";
}

/** What became of a request is not known. */
export function noAnswer(message: string, cause?: unknown, status: number | null = null): FailureOf<null> {
  return new FailureOf({ code: null, details: {}, message, status, cause });
}

/** An answer that is none of 2xx, with the body that was read of it. The platform's have no code. */
export function failureOf({ status, headers }: Response, body: unknown): KinoraError {
  const { error } = (body ?? {}) as { error?: Partial<Schemas["Error"]["error"]> };
  if (typeof error !== "object" || typeof error?.code !== "string") {
    return noAnswer(
      `The platform answered ${status} ${headers.get("sb-error-code") ?? ""}`.trim(),
      body,
      status,
    );
  }
  return new KinoraError({
    status,
    code: error.code,
    message: error.message ?? error.code,
    details: error.details ?? {},
    requestId: error.request_id,
  });
}

/** Seconds that the backend asked to wait; null where it did not. */
export function toldToWait({ details }: KinoraError): number | null {
  const { retry_after: seconds } = details as { retry_after?: unknown };
  return typeof seconds === "number" ? seconds : null;
}
