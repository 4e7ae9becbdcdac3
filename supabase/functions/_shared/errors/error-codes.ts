/**
 * The registry of errors, as the HTTP contract lists them. Codes are never renumbered; new ones are appended.
 * Clients act on the code; the texts are in error-messages.ts.
 */

/** What the client does next, in its own words of the contract. */
export type ClientAction =
  | "buy"
  | "fix"
  | "later"
  | "new_device_token_later"
  | "new_key"
  | "new_key_later"
  | "read_state"
  | "same_key_later"
  | "sign_in"
  | "stop";

/** The level an outcome is logged with: `info` is the caller's own affair, `critical` wakes somebody. */
export type Severity = "info" | "warn" | "error" | "critical";

/** Beside the keys of its code, what an error of a request for several things may tell: which of them it is about, from 0. */
export const itemDetail = "index";

interface Definition {
  readonly status: number;
  /** Room and cause, for dashboards and alerts. */
  readonly category: `${string}/${string}`;
  readonly severity: Severity;
  readonly action: ClientAction;
  /** The keys of `error.details`; the placeholders of the texts are among them. */
  readonly details: readonly string[];
  /** Whether a keyed request that ended so answers the same again, instead of being tried anew. */
  readonly replayed: boolean;
  /** Seconds, where whoever fails so does not say how long to wait: what `details.retry_after` is then. */
  readonly retryAfter?: number;
}

// deno-fmt-ignore: one line a code, to be read beside the contract's table
export const errorCodes = {
  ERR_4001: { status: 402, category: "payment/insufficient-credits", severity: "info", action: "buy", details: ["required", "available"], replayed: true },
  ERR_4002: { status: 422, category: "model/not-available", severity: "info", action: "fix", details: ["model_id"], replayed: true },
  ERR_4003: { status: 422, category: "prompt/refused", severity: "info", action: "fix", details: ["reason"], replayed: true },
  ERR_4004: { status: 429, category: "limit/rate-exceeded", severity: "info", action: "same_key_later", details: ["policy", "retry_after"], replayed: false },
  ERR_4005: { status: 401, category: "auth/unauthenticated", severity: "info", action: "sign_in", details: [], replayed: false },
  ERR_4006: { status: 403, category: "auth/forbidden", severity: "warn", action: "stop", details: [], replayed: false },
  ERR_4007: { status: 404, category: "resource/not-found", severity: "info", action: "stop", details: [], replayed: true },
  ERR_4008: { status: 400, category: "request/malformed", severity: "info", action: "fix", details: ["fields"], replayed: false },
  ERR_4009: { status: 409, category: "resource/wrong-state", severity: "info", action: "read_state", details: ["status"], replayed: true },
  ERR_4010: { status: 400, category: "idempotency/key-missing", severity: "info", action: "fix", details: [], replayed: false },
  ERR_4011: { status: 422, category: "idempotency/key-reused", severity: "warn", action: "new_key", details: [], replayed: false },
  ERR_4012: { status: 409, category: "idempotency/in-progress", severity: "info", action: "same_key_later", details: ["retry_after"], replayed: false },
  ERR_4013: { status: 413, category: "request/too-large", severity: "info", action: "fix", details: ["limit_bytes"], replayed: false },
  ERR_4014: { status: 405, category: "request/method-not-allowed", severity: "info", action: "fix", details: [], replayed: false },
  ERR_4015: { status: 403, category: "device/not-verified", severity: "warn", action: "new_device_token_later", details: [], replayed: true },
  ERR_4016: { status: 422, category: "purchase/not-verified", severity: "warn", action: "stop", details: ["reason"], replayed: true },
  ERR_4017: { status: 403, category: "auth/suspended", severity: "info", action: "stop", details: [], replayed: false },
  ERR_4018: { status: 415, category: "request/not-json", severity: "info", action: "fix", details: [], replayed: false },
  ERR_4019: { status: 422, category: "upload/not-usable", severity: "info", action: "fix", details: ["reason"], replayed: true },
  ERR_4020: { status: 409, category: "upload/quota-exceeded", severity: "info", action: "read_state", details: ["used_bytes", "quota_bytes"], replayed: false },
  ERR_4021: { status: 409, category: "consent/missing", severity: "info", action: "fix", details: ["processors"], replayed: false },
  ERR_4022: { status: 410, category: "video/removed", severity: "info", action: "stop", details: ["reason", "appeal"], replayed: true },
  ERR_5001: { status: 504, category: "provider/timed-out", severity: "error", action: "new_key", details: [], replayed: true },
  ERR_5002: { status: 503, category: "provider/unavailable", severity: "error", action: "new_key_later", details: [], replayed: true },
  ERR_5003: { status: 502, category: "provider/rejected", severity: "error", action: "fix", details: ["reason"], replayed: true },
  ERR_6001: { status: 503, category: "database/unavailable", severity: "error", action: "same_key_later", details: ["retry_after"], replayed: false, retryAfter: 2 },
  ERR_6002: { status: 500, category: "storage/failed", severity: "error", action: "same_key_later", details: [], replayed: false },
  ERR_6003: { status: 500, category: "internal/error", severity: "critical", action: "same_key_later", details: [], replayed: false },
  ERR_6004: { status: 503, category: "feature/switched-off", severity: "info", action: "later", details: ["feature", "retry_after"], replayed: false, retryAfter: 300 },
} as const satisfies Record<`ERR_${number}`, Definition>;

export type ErrorCode = keyof typeof errorCodes;

/** The codes by what they mean, for sources to be read: `codes["auth/forbidden"]`. On the wire they are numbers. */
export const codes = Object.fromEntries(
  Object.entries(errorCodes).map(([code, { category }]) => [category, code]),
) as { readonly [Code in ErrorCode as (typeof errorCodes)[Code]["category"]]: Code };

/** The seconds that whoever fails so is asked to wait, where nobody has said another number; null where nobody waits. */
export function retryAfterOf(code: ErrorCode): number | null {
  const definition: Definition = errorCodes[code];
  return definition.retryAfter ?? null;
}

/** Whether a text, such as a procedure's refusal, is one of the registry's codes. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && Object.hasOwn(errorCodes, value);
}

/** ERR_5xxx and ERR_6xxx: a provider's affair or ours, and not the caller's. */
export function isServerFault(code: ErrorCode): boolean {
  return /^ERR_[56]/.test(code);
}
