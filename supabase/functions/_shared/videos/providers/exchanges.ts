/** What the adapters' exchanges have in common: their bounds, what is asked again, and what an answer proves. */
import {
  type BoundedAnswer,
  boundedFetch,
  describeFetchError,
  neverConnected,
  retryAfterSeconds,
} from "../../platform/bounded-fetch.ts";
import { fetchWithRetry, retrying } from "../../platform/fetch-with-retry.ts";
import { sleep } from "../../platform/sleep.ts";
import { misconfigured } from "./failures.ts";
import type { CancelOutcome, Generation, ProviderState, SubmitOutcome, Unreachable } from "./provider.ts";

/**
 * Providers take a submission within a second. A lost answer costs its user the wait until the deadline, so that we
 * wait long, and still leave a worker most of the 150 s that it has.
 */
const submitTimeoutMilliseconds = 30_000;
/** For one try of what may simply be asked again, and for all of its tries. */
const readTimeoutMilliseconds = 10_000;
const askingMilliseconds = 25_000;
/** An output is a few URLs; what may come beside it, a model's log, is seldom longer than some hundred kB. */
const maxBytes = 8 * 1024 * 1024;

/** What an adapter is made of beside its configuration. `now` in milliseconds since 1970. */
export interface ExchangeEnvironment {
  readonly fetch: typeof globalThis.fetch;
  readonly now?: () => number;
  /** Lets time pass between two tries. */
  readonly pause?: typeof sleep;
}

type Headers = Readonly<Record<string, string>>;

/** What a generation is to a provider. */
export interface ProviderRequest {
  readonly url: string | URL;
  readonly body: unknown;
  readonly headers?: Headers;
}

export interface Exchanges {
  /**
   * Sends what would be done twice if it were sent twice; null for a generation that the provider cannot make. What it has
   * become without an answer is an outcome. `read` is told the time in milliseconds since 1970.
   */
  submit(
    generation: Generation,
    request: ProviderRequest | null,
    read: (answer: BoundedAnswer, now: number) => SubmitOutcome,
  ): Promise<SubmitOutcome>;
  /** Asks for `what`, and again where that may help. `read` gives null for an answer that says nothing of the generation. */
  poll(
    url: string | URL,
    what: string,
    read: (answer: BoundedAnswer) => ProviderState | null | Promise<ProviderState>,
  ): Promise<ProviderState>;
  /** Asks for the end of a generation, as `poll` asks for its state. */
  cancel(
    method: "POST" | "PUT" | "DELETE",
    url: string | URL,
    read: (answer: BoundedAnswer) => CancelOutcome | null,
  ): Promise<CancelOutcome>;
  /** Asks for what is no generation, with a body where the provider wants one; null where no answer came. */
  look(url: string | URL, body?: Readonly<Record<string, string>>): Promise<BoundedAnswer | null>;
}

/** Exchanges in JSON with the provider `name`, which wants these headers with each request, its credentials among them. */
export function exchanges(
  name: string,
  credentials: Headers,
  { fetch, now = Date.now, pause = sleep }: ExchangeEnvironment,
): Exchanges {
  const headers = { ...credentials, accept: "application/json" };

  /** What `read` makes of the answer, or what says nothing of the generation. */
  async function ask<Known>(
    method: "GET" | "POST" | "PUT" | "DELETE",
    url: string | URL,
    what: string,
    read: (answer: BoundedAnswer) => Known | null | Promise<Known>,
  ): Promise<{ known: Known } | { unreachable: Unreachable }> {
    try {
      const answer = await fetchWithRetry(url, {
        method,
        headers,
        idempotent: true,
        timeoutMilliseconds: readTimeoutMilliseconds,
        deadline: now() + askingMilliseconds,
        maxBytes,
      }, retrying(fetch, now, pause));
      const known = await read(answer);
      if (known !== null) return { known };
      return { unreachable: unreachableBy(answer, `${name} answered ${answer.status} ${what}`) };
    } catch (error) {
      return { unreachable: { cause: describeFetchError(error) } };
    }
  }

  return {
    async submit({ providerModel }, request, read) {
      if (request === null) return misconfigured(`no input for ${providerModel}`);
      let answer: BoundedAnswer;
      try {
        answer = await boundedFetch(fetch, request.url, {
          method: "POST",
          headers: { ...headers, ...request.headers, "content-type": "application/json" },
          body: JSON.stringify(request.body),
          // No provider takes an idempotency key: a second request would be a second generation, paid twice.
          once: true,
          timeoutMilliseconds: submitTimeoutMilliseconds,
          maxBytes,
        });
      } catch (error) {
        return withoutAnswer(error);
      }
      return read(answer, now());
    },
    async poll(url, what, read) {
      const answer = await ask("GET", url, `for the ${what}`, read);
      return "known" in answer ? answer.known : { state: "unreachable", ...answer.unreachable };
    },
    async look(url, body) {
      try {
        return await fetchWithRetry(url, {
          method: body === undefined ? "GET" : "POST",
          headers: body === undefined ? headers : { ...headers, "content-type": "application/json" },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          idempotent: true,
          timeoutMilliseconds: readTimeoutMilliseconds,
          deadline: now() + askingMilliseconds,
          maxBytes,
        }, retrying(fetch, now, pause));
      } catch {
        return null;
      }
    },
    async cancel(method, url, read) {
      const answer = await ask(method, url, "to the cancellation", read);
      return "known" in answer ? answer.known : { outcome: "unreachable", ...answer.unreachable };
    },
  };
}

export function isSuccess({ status }: BoundedAnswer): boolean {
  return status >= 200 && status < 300;
}

export type NotTaken = Extract<SubmitOutcome, { outcome: "not_accepted" | "unknown" }>;

/** What a submission that got no answer has become: only a connection that never was proves that nobody has it. */
export function withoutAnswer(error: unknown): NotTaken {
  const cause = describeFetchError(error);
  return neverConnected(error)
    ? { outcome: "not_accepted", cause, retryAfterSeconds: null }
    : { outcome: "unknown", cause };
}

/**
 * What an answer without a request id proves. A gateway's 503 may come after the provider took the request, so that
 * one counts only in the provider's own form, which the adapter recognises.
 */
export function withoutAcceptance(
  { status, headers }: BoundedAnswer,
  { cause, isOwnForm, now }: { cause: string; isOwnForm: boolean; now: number },
): NotTaken {
  const isClientError = status >= 400 && status < 500 && status !== 408;
  if (!isClientError && !(status === 503 && isOwnForm)) return { outcome: "unknown", cause };
  return {
    outcome: "not_accepted",
    cause,
    retryAfterSeconds: retryAfterSeconds(headers, now),
    ...(status === 429 ? { isBusy: true } : {}),
    ...needsOperator(status),
  };
}

/** Statuses for a key or a balance that the provider does not take. */
function needsOperator(status: number): { needsOperator?: true } {
  return [401, 402, 403].includes(status) ? { needsOperator: true } : {};
}

/** What an answer says that says nothing about the generation. */
export function unreachableBy({ status }: BoundedAnswer, cause: string): Unreachable {
  return { cause, ...needsOperator(status) };
}
