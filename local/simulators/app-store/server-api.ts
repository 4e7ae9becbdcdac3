/** The simulated App Store Server API: what it answers, in Apple's forms and with Apple's numbers. */
import { importSPKI, jwtVerify } from "jose";
import * as z from "zod";
import type { ApiAnswer } from "../engine/api.ts";
import { signTransaction, tell, type Teller } from "./notifications.ts";
import type { Operation } from "./rules.ts";
import { type Notification, storeTime } from "./store.ts";

/** The account's key for the API. */
export interface ApiAccount {
  readonly issuerId: string;
  readonly keyId: string;
  /** SPKI in PEM. */
  readonly publicKey: string;
}

type Environment = Notification["environment"];

/** A call that has a route. */
export interface RoutedCall {
  readonly operation: Operation;
  readonly environment: Environment;
  /** The transaction or the test that the path names. */
  readonly id: string;
}

/** The sandbox has a host of its own at Apple's, and here a path. */
export const sandboxPath = "/sandbox";

const routes: readonly [Operation, RegExp][] = [
  ["transaction", /^GET \/inApps\/v1\/transactions\/([^/]+)$/],
  ["refunds", /^GET \/inApps\/v2\/refund\/lookup\/([^/]+)$/],
  ["history", /^POST \/inApps\/v1\/notifications\/history$/],
  ["test", /^(?:POST \/inApps\/v1\/notifications\/test|GET \/inApps\/v1\/notifications\/test\/([^/]+))$/],
  ["consumption", /^PUT \/inApps\/v2\/transactions\/consumption\/([^/]+)$/],
];

/** What is asked, or null where there is no such route. */
export function route(method: string, pathname: string): RoutedCall | null {
  const isSandbox = pathname.startsWith(`${sandboxPath}/`);
  const path = `${method} ${isSandbox ? pathname.slice(sandboxPath.length) : pathname}`;
  for (const [operation, pattern] of routes) {
    const match = pattern.exec(path);
    if (match === null) continue;
    const environment = isSandbox ? "Sandbox" : "Production";
    return { operation, environment, id: decodeURIComponent(match[1] ?? "") };
  }
  return null;
}

/** Apple takes no token that lives longer. */
const tokenLifeSeconds = 60 * 60;
const clockToleranceSeconds = 60;

/** Says of an Authorization header whether it is the account's, as Apple checks it: by the real clock. */
export async function authorizer(
  { issuerId, keyId, publicKey }: ApiAccount,
  bundleId: string,
): Promise<(authorization: string | null) => Promise<boolean>> {
  const key = await importSPKI(publicKey, "ES256");
  return async (authorization) => {
    try {
      const { payload, protectedHeader } = await jwtVerify(
        authorization?.replace(/^Bearer /, "") ?? "",
        key,
        {
          algorithms: ["ES256"],
          issuer: issuerId,
          audience: "appstoreconnect-v1",
          maxTokenAge: tokenLifeSeconds,
          requiredClaims: ["exp", "iat"],
          clockTolerance: clockToleranceSeconds,
        },
      );
      const { exp = 0, iat = 0, bid } = payload;
      return protectedHeader.kid === keyId && bid === bundleId && exp - iat <= tokenLifeSeconds;
    } catch {
      return false;
    }
  };
}

export const unauthenticated: ApiAnswer = {
  status: 401,
  body: "Unauthenticated\n\nRequest ID: 0000000000000000000000.0.0\n",
  headers: { "content-type": "text/plain" },
};

/** An error of Apple's. */
export function failure(errorCode: number, errorMessage: string): ApiAnswer {
  return { status: Math.floor(errorCode / 10_000), body: { errorCode, errorMessage } };
}

const day = 24 * 60 * 60_000;
/** Apple's history goes back so far, and gives so many at a time. */
const historyMilliseconds = { Production: 180 * day, Sandbox: 30 * day };
const pageSize = 20;
/** Apple waits so long for an answer about consumption. */
const consumptionMilliseconds = 12 * 60 * 60_000;

const historyRequest = z.object({
  startDate: z.int(),
  endDate: z.int(),
  notificationType: z.string().optional(),
  transactionId: z.string().optional(),
  onlyFailures: z.boolean().optional(),
});

/** Fields of a consumption request, and Apple's number for each that is wrong. */
const consumptionFields: readonly [string, number, z.ZodType][] = [
  ["customerConsented", 4000035, z.literal(true)],
  ["consumptionPercentage", 4000034, z.int().min(0).max(100_000).optional()],
  [
    "deliveryStatus",
    4000036,
    z.enum([
      ...["DELIVERED", "UNDELIVERED_QUALITY_ISSUE", "UNDELIVERED_WRONG_ITEM"] as const,
      ...["UNDELIVERED_SERVER_OUTAGE", "UNDELIVERED_OTHER"] as const,
    ]),
  ],
  ["refundPreference", 4000044, z.enum(["DECLINE", "GRANT_FULL", "GRANT_PRORATED"]).optional()],
  ["sampleContentProvided", 4000041, z.boolean()],
];

/** Answers a call whose token was right. */
export async function answerCall(
  teller: Teller,
  { operation, environment, id }: RoutedCall,
  { body, url }: { body: unknown; url: URL },
): Promise<ApiAnswer> {
  const { state } = teller;
  const transaction = state.transactions.find((each) =>
    each.transactionId === id && each.environment === environment
  );
  switch (operation) {
    case "transaction":
      if (!/^\d+$/.test(id)) return failure(4000006, "Invalid transaction id.");
      if (transaction === undefined) return failure(4040010, "Transaction id not found.");
      return { status: 200, body: { signedTransactionInfo: await signTransaction(teller, transaction) } };
    case "refunds": {
      if (transaction === undefined) return failure(4040010, "Transaction id not found.");
      const refunded = state.transactions.filter((each) =>
        each.appTransactionId === transaction.appTransactionId && each.revocationType?.startsWith("REFUND")
      );
      const signedTransactions = await Promise.all(refunded.map((each) => signTransaction(teller, each)));
      return { status: 200, body: { signedTransactions, hasMore: false, revision: "1" } };
    }
    case "history":
      return history(teller, environment, body, url.searchParams.get("paginationToken"));
    case "test":
      if (id !== "") return testStatus(teller, id);
      if (state.notificationUrl === null) {
        return failure(4040007, "No App Store Server Notification URL found.");
      }
      return {
        status: 200,
        body: { testNotificationToken: await tell(teller, { type: "TEST" }, { environment }) },
      };
    case "consumption":
      if (transaction === undefined) return failure(4040010, "Transaction id not found.");
      return consume(teller, transaction.transactionId, body);
  }
}

function history(teller: Teller, environment: Environment, body: unknown, token: string | null): ApiAnswer {
  const { state } = teller;
  const asked = historyRequest.safeParse(body).data;
  if (asked === undefined) return failure(4000015, "Invalid request. The start or the end date is invalid.");
  const { startDate, endDate, notificationType, transactionId, onlyFailures } = asked;
  if (startDate >= endDate) return failure(4000013, "Invalid request. The end date precedes the start date.");
  if (startDate < storeTime(state) - historyMilliseconds[environment]) {
    return failure(4000012, "Invalid request. The start date is earlier than the allowed start date.");
  }
  const from = token === null ? 0 : Number(/^page-(\d+)$/.exec(token)?.[1] ?? NaN);
  if (Number.isNaN(from)) return failure(4000014, "Invalid request. The pagination token is invalid.");
  const all = state.notifications.filter((each) =>
    each.environment === environment && each.signedDate >= startDate && each.signedDate < endDate &&
    (notificationType === undefined || each.type === notificationType) &&
    (transactionId === undefined || each.transactionId === transactionId) &&
    (onlyFailures !== true || !wasDelivered(teller, each.id))
  );
  const hasMore = all.length > from + pageSize;
  return {
    status: 200,
    body: {
      notificationHistory: all.slice(from, from + pageSize).map(({ id, signedPayload, signedDate }) => ({
        signedPayload,
        sendAttempts: [{
          attemptDate: signedDate,
          sendAttemptResult: wasDelivered(teller, id) ? "SUCCESS" : "NO_RESPONSE",
        }],
      })),
      hasMore,
      ...(hasMore ? { paginationToken: `page-${from + pageSize}` } : {}),
    },
  };
}

function wasDelivered({ state }: Teller, id: string): boolean {
  return state.deliveries.some((each) => each.requestId === id && each.state === "delivered");
}

function testStatus(teller: Teller, id: string): ApiAnswer {
  const test = teller.state.notifications.find((each) => each.id === id && each.type === "TEST");
  if (test === undefined) {
    return failure(4040008, "Either the test notification token is expired or it is wrong.");
  }
  const sendAttemptResult = wasDelivered(teller, id) ? "SUCCESS" : "NO_RESPONSE";
  return {
    status: 200,
    body: {
      signedPayload: test.signedPayload,
      sendAttempts: [{ attemptDate: test.signedDate, sendAttemptResult }],
    },
  };
}

function consume({ state }: Teller, transactionId: string, body: unknown): ApiAnswer {
  const fields = z.record(z.string(), z.unknown()).safeParse(body).data;
  if (fields === undefined) return failure(4000000, "Bad request.");
  for (const [name, errorCode, form] of consumptionFields) {
    if (!form.safeParse(fields[name]).success) {
      return failure(errorCode, `Invalid request. The ${name} is invalid.`);
    }
  }
  const asked = state.notifications.findLast((each) =>
    each.type === "CONSUMPTION_REQUEST" && each.transactionId === transactionId
  );
  const at = storeTime(state);
  const inTime = asked !== undefined && at <= asked.signedDate + consumptionMilliseconds;
  state.consumptions.push({ transactionId, at, inTime, body: fields });
  return { status: 202, body: null };
}
