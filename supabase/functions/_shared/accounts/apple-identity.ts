/** Apple's word about somebody who signs in with it: the `payload` that it posts, a JWT signed with the keys that it publishes. */
import {
  createRemoteJWKSet,
  customFetch,
  errors,
  type JWTPayload,
  jwtVerify,
  type JWTVerifyGetKey,
} from "jose";
import * as z from "zod/mini";
import type { Port } from "../endpoint/context.ts";
import { describeFetchError } from "../platform/bounded-fetch.ts";
import type { AppleIdentityConfiguration } from "../platform/config.ts";
import { fetchWithRetry, retrying } from "../platform/fetch-with-retry.ts";
import { tryParseJson } from "../platform/json.ts";

/** A verified notification in our words: the JSON that procedures take as p_notification. */
export type AppleIdentityNotification = {
  /** Apple's `jti`; the same each time that it is sent. */
  notification_id: string;
  /** Apple's own words, such as consent-revoked; also those that are not known yet. */
  type: string;
  /** Who it is about, by the number that Apple gives to a person and a developer. */
  subject: string;
  /** When it happened, in ISO 8601. */
  event_at: string;
};

/** `unavailable`: Apple's keys are not to be had now, so that nothing is known about it. Both words are for the log. */
export type ReadNotification =
  | { notification: AppleIdentityNotification }
  | { refusal: string }
  | { unavailable: string };

export interface AppleIdentity {
  /** The notification that `payload` is, where Apple signed it for our app and not long ago. Throws nothing. */
  read(payload: string): Promise<ReadNotification>;
}

/** Null where nothing says which apps are ours. */
export const appleIdentity: Port<AppleIdentity | null> = (
  { config: { appleIdentity: config }, fetch, now },
) =>
  config === null
    ? null
    : { read: (payload) => readNotification(payload, keysOf(config, fetch), config, now()) };

class KeysUnavailable extends Error {}

/** Apple signs as either: its sign-in is moving to the second. */
const issuers = ["https://appleid.apple.com", "https://account.apple.com"];
/** What is stored is known for longer than this when it comes again, also what is about nobody (the rule identity_notifications). */
const maxAgeSeconds = 7 * 24 * 60 * 60;
/** Clocks differ. */
const clockToleranceSeconds = 60;
/** A key that Apple removes is believed no longer than this. */
const keysLiveMilliseconds = 60 * 60_000;
/** A forged token may name a key that nobody has: Apple is not asked for its keys again sooner than this. */
const refreshPauseMilliseconds = 30_000;
/** Before this a number counts seconds, as in Apple's documents, and not milliseconds, as in what it sends: the year 2286, or 1970. */
const firstMilliseconds = 10_000_000_000;

const claims = z.object({ jti: z.string().check(z.minLength(1), z.maxLength(255)), events: z.string() });
const event = z.object({
  type: z.string().check(z.regex(/^[a-z0-9-]{1,100}$/)),
  sub: z.string().check(z.regex(/^[\x21-\x7e]{1,255}$/)),
  // From 1970 to the year 5138, which both JavaScript and Postgres know.
  event_time: z.number().check(z.minimum(0), z.maximum(100_000_000_000_000)),
});

/** Outlive a request, as the configuration does. */
const keySets = new WeakMap<AppleIdentityConfiguration, JWTVerifyGetKey>();

async function readNotification(
  payload: string,
  keys: JWTVerifyGetKey,
  { clientIds }: AppleIdentityConfiguration,
  now: number,
): Promise<ReadNotification> {
  let verified: JWTPayload;
  try {
    verified = (await jwtVerify(payload, keys, {
      algorithms: ["RS256"],
      issuer: issuers,
      audience: [...clientIds],
      maxTokenAge: maxAgeSeconds,
      clockTolerance: clockToleranceSeconds,
      currentDate: new Date(now),
    })).payload;
  } catch (error) {
    if (error instanceof KeysUnavailable) return { unavailable: error.message };
    return { refusal: error instanceof errors.JOSEError ? error.code : "it is no token" };
  }
  const { jti, events } = claims.safeParse(verified).data ?? {};
  // An identity token is Apple's, for us and alive as well, and tells no event.
  const told = event.safeParse(tryParseJson(events ?? "")).data;
  if (jti === undefined || told === undefined) return { refusal: "it tells no event" };
  const { type, sub, event_time } = told;
  const milliseconds = event_time < firstMilliseconds ? event_time * 1000 : event_time;
  return {
    notification: {
      notification_id: jti,
      type,
      subject: sub,
      event_at: new Date(milliseconds).toISOString(),
    },
  };
}

/** Apple's keys, asked for when they are old, and when a token names one that is new. */
function keysOf(config: AppleIdentityConfiguration, fetch: typeof globalThis.fetch): JWTVerifyGetKey {
  const known = keySets.get(config);
  if (known !== undefined) return known;
  const remote = createRemoteJWKSet(new URL(config.jwksUrl), {
    cacheMaxAge: keysLiveMilliseconds,
    cooldownDuration: refreshPauseMilliseconds,
    timeoutDuration: 9_000,
    [customFetch]: async (url, { signal }) => {
      // A set of a few keys has some kB.
      const request = { timeoutMilliseconds: 4_000, maxBytes: 64 * 1024, attempts: 2, signal };
      const { status, text } = await fetchWithRetry(url, request, retrying(fetch));
      if (status !== 200) throw new Error(`Apple's keys are answered with ${status}`);
      return new Response(text);
    },
  });
  const keys: JWTVerifyGetKey = async (header, token) => {
    try {
      return await remote(header, token);
    } catch (error) {
      // That there is no such key is an answer; all else is none.
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) {
        throw error;
      }
      throw new KeysUnavailable(`Apple's keys: ${describeFetchError(error)}`);
    }
  };
  keySets.set(config, keys);
  return keys;
}
