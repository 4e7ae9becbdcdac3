/**
 * The App Store Server API. What Apple answers is signed like everything else of theirs and is verified by whoever reads it;
 * what could not be asked is `unavailable`, and is asked again by the task that wanted to know. Each call is sent once.
 */
import * as z from "zod/mini";
import type { Port } from "../../endpoint/context.ts";
import { appleToken, forgetAppleToken } from "../../platform/apple-token.ts";
import {
  boundedFetch,
  describeFetchError,
  retryAfterSeconds,
  secondsUntil,
} from "../../platform/bounded-fetch.ts";
import type { AppStoreApiConfiguration } from "../../platform/config.ts";
import { tryParseJson } from "../../platform/json.ts";
import type { StoreEnvironment } from "./fields.ts";

/**
 * `not_found`: Apple knows no such transaction in that environment. `refused`: Apple will not take this request, however often.
 * `unauthorized`: our key is wrong, which only the operator can mend. `retryAfter` in seconds, where Apple says so.
 */
export interface AppStoreFailure {
  readonly failure: "unavailable" | "unauthorized" | "rate_limited" | "not_found" | "refused";
  readonly retryAfter?: number;
  /** For the log: the status and Apple's number for the error, and nothing of anybody's. */
  readonly cause: string;
}

/** What Apple is told about a purchase whose customer wants it refunded. Only about customers who consented. */
export interface ConsumptionRequest {
  readonly customerConsented: true;
  /** Of the purchase, in thousandths of a percent. */
  readonly consumptionPercentage: number;
  readonly deliveryStatus:
    | "DELIVERED"
    | "UNDELIVERED_QUALITY_ISSUE"
    | "UNDELIVERED_WRONG_ITEM"
    | "UNDELIVERED_SERVER_OUTAGE"
    | "UNDELIVERED_OTHER";
  readonly refundPreference: "DECLINE" | "GRANT_FULL" | "GRANT_PRORATED";
  readonly sampleContentProvided: boolean;
}

export interface AppStoreApi {
  /** What is true of a transaction now. */
  transaction(
    environment: StoreEnvironment,
    transactionId: string,
  ): Promise<{ signedTransaction: string } | AppStoreFailure>;
  /**
   * The notifications that Apple sent, or tried to, from `from` on and before `to`: up to 20, and what gives the next ones, or
   * null. The token goes with the same times. `from` may lie 180 days back, and 30 in the sandbox; earlier it is `refused`.
   */
  notificationHistory(
    environment: StoreEnvironment,
    period: { readonly from: Date; readonly to: Date },
    paginationToken: string | null,
  ): Promise<{ signedPayloads: string[]; nextToken: string | null } | AppStoreFailure>;
  /** Has Apple send a notification of the type TEST. */
  requestTest(environment: StoreEnvironment): Promise<{ testToken: string } | AppStoreFailure>;
  /** Answers a CONSUMPTION_REQUEST. Sent twice, it is as if sent once. */
  sendConsumption(
    environment: StoreEnvironment,
    transactionId: string,
    request: ConsumptionRequest,
  ): Promise<{ accepted: true } | AppStoreFailure>;
}

/** Apple answers within a second or two; a task that waits longer keeps others from the worker. */
const timeoutMilliseconds = 10_000;
/** Twenty notifications, of up to 20 kB each. */
const maxBytes = 2 * 1024 * 1024;
/** Apple's most is an hour. */
const tokenLifeSeconds = 30 * 60;

const transactionAnswer = z.object({ signedTransactionInfo: z.string() });
/** What is not there is nothing more; what is there in another form is an answer that is not known, and no end. */
const historyAnswer = z.object({
  notificationHistory: z.nullish(z.array(z.object({ signedPayload: z.string() }))),
  hasMore: z.nullish(z.boolean()),
  paginationToken: z.nullish(z.string()),
});
const testAnswer = z.object({ testNotificationToken: z.string() });
const errorAnswer = z.object({ errorCode: z.int() });

/** Of Apple's numbers for a 404, those that say "try again": account, app and transaction may be known in a moment. */
const passing = [4040002, 4040004, 4040006];

interface Call {
  readonly method: "GET" | "POST" | "PUT";
  readonly path: string;
  readonly body?: unknown;
}

/** The adapter. `now` in milliseconds since 1970. */
export function appStoreApi(
  { config, fetch, now = Date.now }: {
    config: AppStoreApiConfiguration;
    fetch: typeof globalThis.fetch;
    now?: () => number;
  },
): AppStoreApi {
  async function call<Known>(
    environment: StoreEnvironment,
    { method, path, body }: Call,
    read: (body: unknown) => Known | undefined,
  ): Promise<Known | AppStoreFailure> {
    try {
      const claims = { iss: config.issuerId, aud: "appstoreconnect-v1", bid: config.bundleId };
      const token = await appleToken(config, claims, { now: now(), lifeSeconds: tokenLifeSeconds });
      const { status, headers, text } = await boundedFetch(fetch, `${config.urls[environment]}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          accept: "application/json",
          "content-type": "application/json",
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        timeoutMilliseconds,
        maxBytes,
      });
      if (status === 401) forgetAppleToken(config);
      if (status < 200 || status >= 300) return failureOf(status, headers, text, now());
      const known = read(tryParseJson(text));
      return known ??
        { failure: "unavailable", cause: `Apple answered ${status} with a text that is not known` };
    } catch (error) {
      return { failure: "unavailable", cause: describeFetchError(error) };
    }
  }

  return {
    transaction: (environment, transactionId) =>
      call(environment, {
        method: "GET",
        path: `/inApps/v1/transactions/${encodeURIComponent(transactionId)}`,
      }, (body) => {
        const answer = transactionAnswer.safeParse(body).data;
        return answer && { signedTransaction: answer.signedTransactionInfo };
      }),
    notificationHistory: (environment, { from, to }, paginationToken) => {
      const query = paginationToken === null ? "" : `?${new URLSearchParams({ paginationToken })}`;
      return call(environment, {
        method: "POST",
        path: `/inApps/v1/notifications/history${query}`,
        body: { startDate: from.getTime(), endDate: to.getTime() },
      }, (body) => {
        const answer = historyAnswer.safeParse(body).data;
        if (answer === undefined) return undefined;
        const { notificationHistory, hasMore, paginationToken } = answer;
        // More without a way to it would be taken for the end.
        if (hasMore === true && !paginationToken) return undefined;
        return {
          signedPayloads: (notificationHistory ?? []).map(({ signedPayload }) => signedPayload),
          nextToken: hasMore === true ? paginationToken ?? null : null,
        };
      });
    },
    requestTest: (environment) =>
      call(environment, { method: "POST", path: "/inApps/v1/notifications/test" }, (body) => {
        const answer = testAnswer.safeParse(body).data;
        return answer && { testToken: answer.testNotificationToken };
      }),
    sendConsumption: (environment, transactionId, request) =>
      call(environment, {
        method: "PUT",
        path: `/inApps/v2/transactions/consumption/${encodeURIComponent(transactionId)}`,
        body: request,
      }, () => ({ accepted: true as const })),
  };
}

function failureOf(status: number, headers: Headers, text: string, now: number): AppStoreFailure {
  const code = errorAnswer.safeParse(tryParseJson(text)).data?.errorCode;
  const cause = `Apple answered ${status}${code === undefined ? "" : `: ${code}`}`;
  if (status === 401) return { failure: "unauthorized", cause };
  if (status === 429) {
    const retryAfter = retryAfterOf(headers, now);
    return { failure: "rate_limited", cause, ...(retryAfter === null ? {} : { retryAfter }) };
  }
  // Without a number it was not Apple's application that answered, but something before it.
  if (status < 400 || status >= 500 || status === 408 || code === undefined || passing.includes(code)) {
    return { failure: "unavailable", cause };
  }
  return { failure: status === 404 ? "not_found" : "refused", cause };
}

/** Apple's Retry-After is a time, in milliseconds since 1970; a proxy's is what the standard says. */
function retryAfterOf(headers: Headers, now: number): number | null {
  const value = headers.get("retry-after") ?? "";
  if (!/^\d{13}$/.test(value)) return retryAfterSeconds(headers, now);
  return secondsUntil(Number(value), now);
}

/** Null where the key for it is not configured: purchases are then believed by their signature alone. */
export const appStoreServerApi: Port<AppStoreApi | null> = ({ config, fetch, now }) =>
  config.appStoreApi === null ? null : appStoreApi({ config: config.appStoreApi, fetch, now });
