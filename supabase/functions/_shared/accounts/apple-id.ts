/**
 * Sign in with Apple, as whoever leaves needs it (TN3194): an authorization code is exchanged for a token, and that is
 * revoked. Each call is sent once; the task that makes them asks again.
 */
import * as z from "zod/mini";
import type { Port } from "../endpoint/context.ts";
import { appleToken, forgetAppleToken } from "../platform/apple-token.ts";
import { boundedFetch, describeFetchError, retryAfterSeconds } from "../platform/bounded-fetch.ts";
import type { AppleSignInConfig } from "../platform/config.ts";
import { tryParseJson } from "../platform/json.ts";

/**
 * `refused`: Apple will not take the code or token, however often. `unauthorized`: our key is wrong, which only the operator
 * can mend. `retryAfter` in seconds, where Apple says so.
 */
export interface AppleIdFailure {
  readonly failure: "unavailable" | "rate_limited" | "unauthorized" | "refused";
  readonly retryAfter?: number;
  /** For the log: the status and Apple's name for the error, and nothing of anybody's. */
  readonly cause: string;
}

export interface AppleId {
  /** What a code stands for. It is good for 5 minutes, and once: Apple may have taken it where the answer is lost. */
  exchange(authorizationCode: string): Promise<{ refreshToken: string } | AppleIdFailure>;
  /** Ends the person's consent. Sent twice, it is as if sent once. */
  revoke(refreshToken: string): Promise<{ revoked: true } | AppleIdFailure>;
}

/** Who the client secret is for, wherever it is sent. */
const audience = "https://appleid.apple.com";
/** Apple's most is six months; it is made anew after 25 minutes. */
const secretLifeSeconds = 30 * 60;
/** Apple answers within a second; a task that waits longer keeps others from the worker. */
const timeoutMilliseconds = 10_000;
/** An answer has two tokens, of 2 kB at most. */
const maxBytes = 64 * 1024;

const tokens = z.object({ refresh_token: z.string().check(z.minLength(1), z.maxLength(4_096)) });
/** Apple's names for errors are those of OAuth. */
const errorAnswer = z.object({ error: z.string().check(z.regex(/^[a-z_]{1,50}$/)) });

/** The adapter. `now` in milliseconds since 1970. */
export function appleId(
  { config, fetch, now = Date.now }: {
    config: AppleSignInConfig;
    fetch: typeof globalThis.fetch;
    now?: () => number;
  },
): AppleId {
  async function post<Known>(
    path: string,
    form: Readonly<Record<string, string>>,
    read: (text: string) => Known | undefined,
  ): Promise<Known | AppleIdFailure> {
    try {
      const claims = { iss: config.teamId, sub: config.clientId, aud: audience };
      const client_secret = await appleToken(config, claims, { now: now(), lifeSeconds: secretLifeSeconds });
      const { status, headers, text } = await boundedFetch(fetch, `${config.url}${path}`, {
        method: "POST",
        headers: { accept: "application/json", "content-type": "application/x-www-form-urlencoded" },
        body: new URLSearchParams({ client_id: config.clientId, client_secret, ...form }).toString(),
        timeoutMilliseconds,
        maxBytes,
      });
      if (status === 200) {
        return read(text) ??
          { failure: "unavailable", cause: "Apple answered 200 with a text that is not known" };
      }
      const failure = failureOf(status, headers, text, now());
      if (failure.failure === "unauthorized") forgetAppleToken(config);
      return failure;
    } catch (error) {
      return { failure: "unavailable", cause: describeFetchError(error) };
    }
  }

  return {
    exchange: (code) =>
      post("/auth/token", { grant_type: "authorization_code", code }, (text) => {
        const answer = tokens.safeParse(tryParseJson(text)).data;
        return answer && { refreshToken: answer.refresh_token };
      }),
    revoke: (token) =>
      post("/auth/revoke", { token, token_type_hint: "refresh_token" }, (text) =>
        // Apple's answer is empty; any other is whoever stands between us and Apple.
        text.trim() === "" ? { revoked: true as const } : undefined),
  };
}

function failureOf(status: number, headers: Headers, text: string, now: number): AppleIdFailure {
  const error = errorAnswer.safeParse(tryParseJson(text)).data?.error;
  const cause = error === undefined ? `Apple answered ${status}` : `Apple answered ${status}: ${error}`;
  const retryAfter = retryAfterSeconds(headers, now);
  const later = retryAfter === null ? {} : { retryAfter };
  if (status === 429) return { failure: "rate_limited", cause, ...later };
  if (status === 401 || error === "invalid_client" || error === "unauthorized_client") {
    return { failure: "unauthorized", cause };
  }
  // Without Apple's own word it may be anybody's.
  if (status === 400 && error !== undefined) return { failure: "refused", cause };
  return { failure: "unavailable", cause, ...later };
}

/** Null where the key for it is not configured: then Apple is not told. */
export const appleSignIn: Port<AppleId | null> = ({ config, fetch, now }) =>
  config.appleSignIn === null ? null : appleId({ config: config.appleSignIn, fetch, now });
