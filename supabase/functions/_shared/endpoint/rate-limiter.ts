/**
 * What the functions know of rate limits: the policies' names, the headers that tell a client its limits, and
 * the refusals an isolate remembers. Counting and deciding is the procedures' (`guard.take`), but for strangers, who do
 * not come so far.
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
  "signed_urls",
  "reads",
  "writes",
  "exports",
  "takedown_notices",
  "takedown_notices_network",
  "replays",
  "admin",
  "admin_credits",
  "purchases",
  "sandbox_credits",
  "sandbox_credits_global",
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

/** Keys that this isolate has answered. */
export interface AnsweredKeys {
  add(key: string): void;
  has(key: string): boolean;
}

/** Some megabytes, as refusals are; the oldest make room. */
const maxKeys = 10_000;

/**
 * The idempotency keys whose outcome an isolate knows to be stored: a replay costs nothing of a limit, so that a remembered
 * refusal does not stop it. A key that another isolate has answered waits for the refusal to be over, a minute at most.
 */
export function rememberAnsweredKeys(capacity = maxKeys): AnsweredKeys {
  const keys = new Set<string>();
  return {
    has: (key) => keys.has(key),
    add(key) {
      const oldest = keys.values().next().value;
      if (keys.size >= capacity && oldest !== undefined && !keys.has(key)) keys.delete(oldest);
      keys.add(key);
    },
  };
}

/** What one network may send that is refused before anybody knows who it is. */
export const strangersLimit = { policy: "unauthenticated", limit: 300, window: 60 } as const;

export interface Strangers {
  /** Counts one request of a network that was refused, and says whether it had room. `now` in milliseconds. */
  take(network: string | null, now: number): Limit;
}

/** A network's count has some 100 bytes; the oldest make room. */
const maxNetworks = 10_000;

/**
 * Counts in the isolate, so that strangers cost the database nothing: by the minute in which a network's first request was
 * refused. Whoever proves who they are is never refused by it, whatever others of their network send.
 */
export function limitStrangers(capacity = maxNetworks): Strangers {
  const networks = new Map<string, { count: number; until: number }>();
  const { limit, window } = strangersLimit;
  return {
    take(network, now) {
      const name = network ?? "unknown";
      let counted = networks.get(name);
      if (counted === undefined || now >= counted.until) {
        networks.delete(name);
        const oldest = networks.keys().next().value;
        if (networks.size >= capacity && oldest !== undefined) networks.delete(oldest);
        counted = { count: 0, until: now + window * 1000 };
        networks.set(name, counted);
      }
      const allowed = counted.count < limit;
      if (allowed) counted.count += 1;
      return {
        ...strangersLimit,
        allowed,
        current: counted.count,
        remaining: limit - counted.count,
        reset: Math.max(1, Math.ceil((counted.until - now) / 1000)),
      };
    },
  };
}
