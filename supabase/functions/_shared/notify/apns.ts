/**
 * Apple's push service (APNs). Requests of an isolate share one connection, as `fetch` speaks HTTP/2. A push that is sent
 * again has the same id, so that whoever looks at Apple's side sees one.
 */
import * as z from "zod/mini";
import type { Port } from "../endpoint/context.ts";
import { appleToken, forgetAppleToken } from "../platform/apple-token.ts";
import {
  type BoundedAnswer,
  boundedFetch,
  describeFetchError,
  retryAfterSeconds,
} from "../platform/bounded-fetch.ts";
import type { ApnsConfig } from "../platform/config.ts";
import { tryParseJson } from "../platform/json.ts";
import type { PushEnvironment } from "./contract.ts";

export interface Push {
  /** The device, in hexadecimal. */
  readonly token: string;
  /** Where the app said that Apple knows the device. */
  readonly environment: PushEnvironment;
  readonly apnsId: string;
  /** What replaces an earlier push with the same; null where nothing does. */
  readonly collapseId: string | null;
  /** Until when Apple keeps it for a device that is away, in seconds since 1970. */
  readonly expiresAt: number;
  readonly priority: 5 | 10;
  /** JSON, of 4,096 bytes at most. */
  readonly payload: string;
}

/** What Apple said. `reason` is one of its words, or says why there is none. */
export type PushAnswer =
  /** Apple has it; `environment` is where it knows the device. */
  | { readonly outcome: "sent"; readonly environment: PushEnvironment }
  /** Apple knows no such device any more: since `goneAt`, in milliseconds since 1970, where it tells. */
  | { readonly outcome: "gone"; readonly reason: string; readonly goneAt: number | null }
  /** Not this push, or not to this device; asking again changes nothing. */
  | { readonly outcome: "refused"; readonly reason: string }
  /** Perhaps later; not before so many seconds, where Apple names a time. */
  | { readonly outcome: "failed"; readonly reason: string; readonly retryAfter: number | null }
  /** Apple does not take our key or our topic, which the operator alone can mend. */
  | { readonly outcome: "unauthorized"; readonly reason: string };

export interface PushService {
  /** Sends a push. Never throws. */
  send(push: Push, signal: AbortSignal): Promise<PushAnswer>;
}

/** Apple answers in some tens of milliseconds. */
const timeoutMilliseconds = 10_000;
/** Apple's answers are a few dozen bytes. */
const maxBytes = 16 * 1024;

/** A word such as `BadDeviceToken`: it is logged, and whoever else answers may quote the device or the payload. */
const ApplesWord = z.object({
  reason: z.string().check(z.regex(/^[A-Z][A-Za-z]{2,39}$/)),
  timestamp: z.optional(z.int()),
});

/** What is wrong with our key, or with what it is for. */
const ofOurKey: readonly string[] = [
  ...["ExpiredProviderToken", "InvalidProviderToken", "MissingProviderToken", "Forbidden", "BadCertificate"],
  ...["BadCertificateEnvironment", "MissingTopic", "BadTopic", "TopicDisallowed"],
];

/** The adapter. `now` in milliseconds since 1970. */
export function apnsService(
  { config, fetch, now = Date.now }: {
    config: ApnsConfig;
    fetch: typeof globalThis.fetch;
    now?: () => number;
  },
): PushService {
  async function post(
    push: Push,
    environment: PushEnvironment,
    signal: AbortSignal,
  ): Promise<BoundedAnswer & { providerToken: string }> {
    const providerToken = await appleToken(config, { iss: config.teamId }, { now: now() });
    const answer = await boundedFetch(fetch, `${config.urls[environment]}/3/device/${push.token}`, {
      method: "POST",
      headers: {
        authorization: `bearer ${providerToken}`,
        "content-type": "application/json",
        "apns-topic": config.topic,
        "apns-push-type": "alert",
        "apns-id": push.apnsId,
        "apns-priority": String(push.priority),
        // What is over is tried once, and not kept.
        "apns-expiration": String(push.expiresAt * 1000 > now() ? push.expiresAt : 0),
        ...(push.collapseId === null ? {} : { "apns-collapse-id": push.collapseId }),
      },
      body: push.payload,
      timeoutMilliseconds,
      maxBytes,
      signal,
    });
    return { ...answer, providerToken };
  }

  async function ask(push: Push, environment: PushEnvironment, signal: AbortSignal): Promise<PushAnswer> {
    try {
      const answer = await post(push, environment, signal);
      const said = read(answer, environment, now());
      if (said.outcome !== "unauthorized" || said.reason !== "ExpiredProviderToken") return said;
      forgetAppleToken(config, answer.providerToken);
      return read(await post(push, environment, signal), environment, now());
    } catch (error) {
      return { outcome: "failed", reason: describeFetchError(error), retryAfter: null };
    }
  }

  return {
    async send(push, signal) {
      const said = await ask(push, push.environment, signal);
      if (said.outcome !== "gone" || said.reason !== "BadDeviceToken") return said;
      // An app that does not know where it is says the wrong one.
      return await ask(push, push.environment === "production" ? "sandbox" : "production", signal);
    },
  };
}

function read(answer: BoundedAnswer, environment: PushEnvironment, now: number): PushAnswer {
  const { status, text, headers } = answer;
  if (status === 200) return { outcome: "sent", environment };
  const word = ApplesWord.safeParse(tryParseJson(text)).data;
  const reason = word?.reason ?? `Apple answered ${status}`;
  if (status === 410) return { outcome: "gone", reason, goneAt: word?.timestamp ?? null };
  if (reason === "BadDeviceToken") return { outcome: "gone", reason, goneAt: null };
  if (ofOurKey.includes(reason)) return { outcome: "unauthorized", reason };
  // A key may be for production alone: then it is right that it reaches no device of a developer's.
  if (reason === "BadEnvironmentKeyInToken" && environment === "production") {
    return { outcome: "unauthorized", reason };
  }
  if (status === 408 || status === 429 || status >= 500 || word === undefined) {
    return { outcome: "failed", reason, retryAfter: retryAfterSeconds(headers, now) };
  }
  return { outcome: "refused", reason };
}

/** Null where the project has no key for it. */
export const apns: Port<PushService | null> = ({ config, fetch, now }) =>
  config.apns === null ? null : apnsService({ config: config.apns, fetch, now });
