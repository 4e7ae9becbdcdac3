/**
 * What the functions know of rate limits: the policies' names, the headers that tell a client its limits, and
 * the refusals an isolate remembers. Counting and deciding is the procedures' (`guard.take`).
 */
import type { Limit } from "./context.ts";

/** The limits themselves are rows that the operator can change. */
export const policyNames = [
  "video_generation",
  "uncaptured_jobs",
  "generation_attempts",
  "generation_attempts_network",
  "device_check",
  "device_check_network",
  "device_grants",
  "device_grants_global",
  "reads",
  "writes",
  "replays",
  "admin",
  "admin_credits",
] as const;

export type PolicyName = (typeof policyNames)[number];

/** Tells the limits that the procedure took, as the IETF's draft writes them; the one nearest to refusal first. */
export function setRateLimitHeaders(headers: Headers, limits: readonly Limit[]): void {
  if (limits.length === 0) return;
  const left = ({ allowed, remaining, limit }: Limit) => allowed ? remaining / limit : -1;
  const sorted = limits.toSorted((a, b) => left(a) - left(b));
  headers.set("RateLimit-Policy", sorted.map((l) => `"${l.policy}";q=${l.limit};w=${l.window}`).join(", "));
  headers.set("RateLimit", sorted.map((l) => `"${l.policy}";r=${l.remaining};t=${l.reset}`).join(", "));
}

/** A refusal by ERR_4004 that still holds. */
export interface Refusal {
  readonly policy: string;
  /** Seconds, at least 1. */
  readonly retryAfter: number;
  readonly limits: readonly Limit[];
}

export interface RememberedRefusals {
  /** `subject` is whoever would be refused again; `now` in milliseconds. */
  remember(subject: string, refusal: Refusal, now: number): void;
  find(subject: string, now: number): Refusal | null;
}

/** Seconds: the operator's change of a limit must take effect within a minute. */
const maxMemory = 60;

/** 10,000 refusals are some megabytes of the isolate's 256; the oldest make room. */
const maxRefusals = 10_000;

/**
 * Refusals that this isolate has seen, each until its reset or for a minute, whichever is shorter. Whoever keeps
 * calling while refused then costs the database nothing.
 */
export function rememberRefusals(capacity = maxRefusals): RememberedRefusals {
  const refusals = new Map<string, { refusal: Refusal; at: number; until: number }>();
  return {
    remember(subject, refusal, now) {
      // An answer from memory comes by here again; it must not make the memory longer.
      if (this.find(subject, now) !== null) return;
      const oldest = refusals.keys().next().value;
      if (refusals.size >= capacity && oldest !== undefined) refusals.delete(oldest);
      const until = now + Math.min(refusal.retryAfter, maxMemory) * 1000;
      refusals.set(subject, { refusal, at: now, until });
    },
    find(subject, now) {
      const remembered = refusals.get(subject);
      if (remembered === undefined) return null;
      if (now >= remembered.until) {
        refusals.delete(subject);
        return null;
      }
      const { refusal, at } = remembered;
      const remaining = (seconds: number) => Math.max(1, Math.ceil(seconds - (now - at) / 1000));
      return {
        policy: refusal.policy,
        retryAfter: remaining(refusal.retryAfter),
        limits: refusal.limits.map((limit) => ({ ...limit, reset: remaining(limit.reset) })),
      };
    },
  };
}
