/**
 * Apple's DeviceCheck: two bits per device and team, which survive the app and its account. Apple has no test
 * and set, so the caller serialises query and update. What Apple did not say clearly is `unavailable`, which
 * means neither a fresh device nor a claimed one.
 */
import * as z from "zod/mini";
import { appleToken, forgetAppleToken } from "../platform/apple-token.ts";
import {
  type BoundedAnswer,
  boundedFetch,
  describeFetchError,
  neverConnected,
} from "../platform/bounded-fetch.ts";
import type { AppleConfig } from "../platform/config.ts";
import type { Port } from "../endpoint/context.ts";
import { fetchWithRetry, retrying } from "../platform/fetch-with-retry.ts";

type DeviceCheckConfig = Pick<AppleConfig, "teamId" | "deviceCheck">;

export interface Bits {
  readonly bit0: boolean;
  readonly bit1: boolean;
}

/**
 * `bits`: Apple's word; `known` is false for a device whose bits were never set, and both are false then.
 * `refused`: Apple does not take the device token. `unavailable`: Apple could not be asked.
 */
export type QueryOutcome =
  | ({ outcome: "bits"; known: boolean } & Bits)
  | { outcome: "refused" | "unavailable"; cause: string };

/**
 * `not_updated`: Apple has not set the bits and will not, since it said so or was never asked. `unknown`: it may have
 * set them, or still do.
 */
export type UpdateOutcome =
  | { outcome: "updated" }
  | { outcome: "not_updated" | "unknown"; cause: string };

export interface DeviceCheckOptions {
  /** Ends the call earlier than its own time-out does. */
  readonly signal?: AbortSignal;
}

export interface DeviceCheck {
  /** `deviceToken` in base64 on one line. Asks once more where Apple did not answer. */
  query(deviceToken: string, options?: DeviceCheckOptions): Promise<QueryOutcome>;
  /** Sets both bits. Sends nothing once the signal has aborted. The same update may be sent again, whatever came of it. */
  update(deviceToken: string, bits: Bits, options?: DeviceCheckOptions): Promise<UpdateOutcome>;
}

/** Apple answers in well under a second, and others of the caller's network may have to wait meanwhile. */
const timeoutMilliseconds = 4_000;
/** Apple's answers are a few dozen bytes. */
const maxBytes = 16 * 1024;

const bits = z.object({ bit0: z.boolean(), bit1: z.boolean() });
const neverSet = /^(failed to find bit state|bit state not found)$/i;
/** Of Apple's texts for 400, those that are about our part of the request and not about the device's token. */
const ourFault = /authorization|bits|time ?stamp|transaction/i;

/** What Apple's texts are about, those for 400 and 401 alike. */
const subjectsOfErrors = /authorization token|device token|bits|time ?stamp|transaction[ _]id/gi;

interface NoAnswer {
  readonly status: null;
  readonly cause: string;
  /** Whether Apple may have got the request. */
  readonly mayBeSent: boolean;
}

/** The adapter. `now` in milliseconds since 1970. */
export function deviceCheck(
  { config, fetch, now = Date.now }: {
    config: DeviceCheckConfig;
    fetch: typeof globalThis.fetch;
    now?: () => number;
  },
): DeviceCheck {
  async function post(
    operation: "query_two_bits" | "update_two_bits",
    deviceToken: string,
    fields: Partial<Bits>,
    signal: AbortSignal | undefined,
  ): Promise<BoundedAnswer | NoAnswer> {
    let mayBeSent = false;
    try {
      const token = await appleToken(config.deviceCheck, { iss: config.teamId }, { now: now() });
      signal?.throwIfAborted();
      mayBeSent = true;
      const request = {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body: JSON.stringify({
          device_token: deviceToken,
          transaction_id: crypto.randomUUID(),
          timestamp: now(),
          ...fields,
        }),
        timeoutMilliseconds,
        maxBytes,
        signal,
      } as const;
      const url = `${config.deviceCheck.url}/v1/${operation}`;
      const answer = operation === "query_two_bits"
        ? await fetchWithRetry(url, { ...request, attempts: 2, idempotent: true }, retrying(fetch, now))
        // Whether an update was refused must be the word about the one that was sent.
        : await boundedFetch(fetch, url, { ...request, once: true });
      if (answer.status === 401) forgetAppleToken(config.deviceCheck);
      return answer;
    } catch (error) {
      return {
        status: null,
        cause: describeFetchError(error),
        mayBeSent: mayBeSent && !neverConnected(error),
      };
    }
  }

  return {
    async query(deviceToken, { signal } = {}) {
      return readQuery(await post("query_two_bits", deviceToken, {}, signal));
    },

    async update(deviceToken, { bit0, bit1 }, { signal } = {}) {
      return readUpdate(await post("update_two_bits", deviceToken, { bit0, bit1 }, signal));
    },
  };
}

/** Apple answers 200 with plain text for a device that it does not know, so the text is read first. */
function readQuery(answer: BoundedAnswer | NoAnswer): QueryOutcome {
  if (answer.status === null || answer.status !== 200) return readFailure(answer);
  const text = answer.text.trim();
  if (neverSet.test(text)) return { outcome: "bits", known: false, bit0: false, bit1: false };
  try {
    return { outcome: "bits", known: true, ...bits.parse(JSON.parse(text)) };
  } catch {
    return unavailable("Apple answered 200 with a text that is not known");
  }
}

/**
 * A 4xx proves that nothing was done, but for 408, which says that the request came too slowly to tell. Where the runtime
 * has repeated the request by itself, it proves it of the last one: then a device may lose its credits, and gets none twice.
 */
function readUpdate(answer: BoundedAnswer | NoAnswer): UpdateOutcome {
  if (answer.status === null) {
    return { outcome: answer.mayBeSent ? "unknown" : "not_updated", cause: answer.cause };
  }
  const { status, text } = answer;
  if (status === 200) {
    // Apple's answer has no body. A page was written by somebody else on the way.
    if (!text.trimStart().startsWith("<")) return { outcome: "updated" };
    return { outcome: "unknown", cause: "200 with a page, which Apple does not send" };
  }
  const isRefused = status >= 400 && status < 500 && status !== 408;
  return { outcome: isRefused ? "not_updated" : "unknown", cause: describeRefusal(answer) };
}

function readFailure(
  answer: BoundedAnswer | NoAnswer,
): { outcome: "refused" | "unavailable"; cause: string } {
  if (answer.status === null) return unavailable(answer.cause);
  const { status, text } = answer;
  const isRefused = status === 400 && !ourFault.test(text);
  return { outcome: isRefused ? "refused" : "unavailable", cause: describeRefusal(answer) };
}

function describeRefusal({ status, text }: BoundedAnswer): string {
  // Only what the text is about: whoever answered may quote the device token.
  const subjects = Array.from(
    text.slice(0, 200).matchAll(subjectsOfErrors),
    ([subject]) => subject.toLowerCase(),
  );
  return `Apple answered ${status}${subjects.length === 0 ? "" : `: ${subjects.join(", ")}`}`;
}

function unavailable(cause: string): { outcome: "unavailable"; cause: string } {
  return { outcome: "unavailable", cause };
}

/** Without Apple's keys nothing can be verified, and nothing is granted. */
const cause = "DeviceCheck is not configured";

export const appleDeviceCheck: Port<DeviceCheck> = ({ config, fetch, now }) =>
  config.apple === null
    ? {
      query: () => Promise.resolve({ outcome: "unavailable", cause }),
      update: () => Promise.resolve({ outcome: "not_updated", cause }),
    }
    : deviceCheck({ config: config.apple, fetch, now });
