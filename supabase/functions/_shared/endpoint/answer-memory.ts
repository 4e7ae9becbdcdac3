/**
 * What an isolate remembers of answers that are the same for everybody, by the policy of their operation. Nobody is asked for
 * them: neither whether the caller's account is active, nor a rate limit (docs/decisions/0068).
 */
import { AppError } from "../errors/app-error.ts";
import { codes } from "../errors/error-codes.ts";
import type { Logger } from "../platform/logger.ts";
import type { Answer } from "./context.ts";
import type { CachePolicy, Declaration } from "./operation.ts";

interface Known {
  readonly answer: Answer<unknown>;
  /** When its question was asked, in milliseconds: it is at least as new as that. */
  readonly askedAt: number;
}

interface Memory {
  known: Known | null;
  /** A question that has no answer yet. */
  open: { readonly answer: Promise<Known>; readonly askedAt: number } | null;
  /** Until when the database, which was away, is not asked again. */
  awayUntil: number;
}

export interface AnswerMemory {
  /**
   * The answer of an operation that has a policy: from memory, or else asked; whoever wants it meanwhile waits for the same
   * question. Rejects with what `ask` does, where there is nothing left to answer with.
   */
  recall(
    operation: Declaration,
    cache: CachePolicy,
    ask: () => Promise<Answer<unknown>>,
    at: { readonly log: Logger; now(): number },
  ): Promise<Answer<unknown>>;
}

/** As long as ERR_6001 tells its caller to wait. */
const pauseMilliseconds = 2_000;

/** How often a caller waits for others' questions, which end in refusals of those others, before they ask for themselves. */
const maxWaits = 2;

export function rememberAnswers(): AnswerMemory {
  const memories = new Map<Declaration, Memory>();
  return {
    async recall(operation, cache, ask, { log, now }) {
      const memory = memories.get(operation) ?? { known: null, open: null, awayUntil: 0 };
      memories.set(operation, memory);
      const { maxAgeSeconds, staleIfErrorSeconds } = cache;
      const isYounger = (askedAt: number, seconds: number) => now() < askedAt + seconds * 1000;
      const stale = () => {
        const { known } = memory;
        return known !== null && isYounger(known.askedAt, maxAgeSeconds + staleIfErrorSeconds) ? known : null;
      };

      for (let waits = 0;; waits += 1) {
        const { known, open } = memory;
        if (known !== null && isYounger(known.askedAt, maxAgeSeconds)) return marked(known, cache, now());
        const old = now() < memory.awayUntil ? stale() : null;
        if (old !== null) return marked(old, cache, now());
        // One that was asked so long ago is not worth waiting for.
        const isWaiting = open !== null && isYounger(open.askedAt, maxAgeSeconds) && waits < maxWaits;
        try {
          if (!isWaiting) return (await asked(memory, ask, now)).answer;
          return marked(await open.answer, cache, now());
        } catch (error) {
          if (isAway(error)) {
            if (!isWaiting) memory.awayUntil = now() + pauseMilliseconds;
            const last = stale();
            if (last === null) throw error;
            log.warn("answered_from_memory", { age_ms: now() - last.askedAt, error });
            return marked(last, cache, now());
          }
          // A refusal is its caller's own.
          if (!isWaiting) throw error;
        }
      }
    },
  };
}

/** Asks, and lets others wait for it. */
async function asked(memory: Memory, ask: () => Promise<Answer<unknown>>, now: () => number): Promise<Known> {
  const askedAt = now();
  const open = { askedAt, answer: ask().then((answer): Known => ({ answer, askedAt })) };
  memory.open = open;
  try {
    const known = await open.answer;
    // One that was asked later may have come before.
    if (memory.known === null || memory.known.askedAt <= askedAt) memory.known = known;
    return known;
  } finally {
    if (memory.open === open) memory.open = null;
  }
}

function isAway(error: unknown): boolean {
  return error instanceof AppError && error.code === codes["database/unavailable"];
}

/** With its age (RFC 9111), and how long it is fresh (RFC 9211): less than 0 where it is older than it should be. */
function marked({ answer, askedAt }: Known, { maxAgeSeconds }: CachePolicy, now: number): Answer<unknown> {
  const age = Math.max(0, Math.floor((now - askedAt) / 1000));
  return {
    ...answer,
    headers: {
      ...answer.headers,
      "Age": `${age}`,
      "Cache-Status": `kinora; hit; ttl=${maxAgeSeconds - age}`,
    },
  };
}

/** What is told to clients, and to whatever keeps answers for one of them alone. */
export function cacheControlOf(policy: CachePolicy | undefined): string {
  if (policy === undefined) return "no-store";
  return `private, max-age=${policy.maxAgeSeconds}, stale-if-error=${policy.staleIfErrorSeconds}`;
}
