/** App Store Server Notifications, version 2: the `signedPayload` that Apple posts, and that its history gives again. */
import * as z from "zod/mini";
import type { AppStoreConfiguration } from "../../platform/config.ts";
import { readAppTransaction } from "./app-transaction.ts";
import { date, environment, nullable, type StoreEnvironment } from "./fields.ts";
import { readRenewal, type StoreRenewal } from "./renewal.ts";
import { readSignedData, type SignedDataRefusal } from "./signed-data.ts";
import { readTransaction, type StoreTransaction } from "./transaction.ts";

/** A verified notification in our words: the JSON that procedures take as p_notification. Times in ISO 8601. */
export type StoreNotification = {
  /** A UUID; the same each time that Apple sends it. */
  notification_id: string;
  /** Apple's own words, such as REFUND; also those that are not known yet. */
  type: string;
  subtype: string | null;
  environment: StoreEnvironment;
  signed_at: string;
  transaction: StoreTransaction | null;
  renewal: StoreRenewal | null;
  /** Why the customer asks for a refund, such as UNINTENDED_PURCHASE. */
  consumption_request_reason: string | null;
  /** Of a notification that is about the app account and not about a purchase (RESCIND_CONSENT). */
  app_data: StoreAppData | null;
};

export type StoreAppData = { app_transaction_id: string | null };

/** Apple's words: upper-case letters, and digits for what is to come. */
const word = z.string().check(z.regex(/^[A-Z0-9_]{1,100}$/));

/** What each of a notification's parts says about whose it is. */
const subject = {
  bundleId: z.string(),
  appAppleId: z.optional(z.number()),
};
const app = z.object({ ...subject, environment });
const signed = z.optional(z.string());

const payload = z.object({
  notificationType: word,
  subtype: nullable(word),
  notificationUUID: z.guid(),
  signedDate: date,
  data: z.optional(z.extend(app, {
    signedTransactionInfo: signed,
    signedRenewalInfo: signed,
    consumptionRequestReason: nullable(word),
  })),
  summary: z.optional(app),
  appData: z.optional(z.extend(app, { signedAppTransactionInfo: signed })),
  externalPurchaseToken: z.optional(z.object({ ...subject, externalPurchaseId: z.string() })),
});

/**
 * The notification that `signedPayload` is, where Apple signed it for our app, and with it what it carries, each of which is
 * signed for itself. One of an unknown type has what is known of it.
 */
export async function readNotification(
  signedPayload: string,
  appStore: AppStoreConfiguration,
  now: Date,
): Promise<{ notification: StoreNotification } | { refusal: SignedDataRefusal }> {
  const read = await readSignedData(signedPayload, appStore, now);
  if ("refusal" in read) return read;
  const parsed = payload.safeParse(read.payload).data;
  if (parsed === undefined) return { refusal: "not_a_transaction" };
  const about = aboutOf(parsed);
  // In the sandbox Apple does not always name the app's id.
  const isOurs = about?.bundleId === appStore.bundleId &&
    (about.environment === "sandbox" || about.appAppleId === appStore.appAppleId);
  if (about === null || !isOurs) return { refusal: "wrong_app" };

  const { data, appData } = parsed;
  const parts = await readParts(data, appData?.signedAppTransactionInfo, appStore, now);
  if ("refusal" in parts) return parts;
  const carried = [parts.transaction, parts.renewal].filter((part) => part !== null);
  if (carried.some((part) => part.environment !== about.environment)) return { refusal: "wrong_environment" };
  return {
    notification: {
      notification_id: parsed.notificationUUID.toLowerCase(),
      type: parsed.notificationType,
      subtype: parsed.subtype,
      environment: about.environment,
      signed_at: parsed.signedDate ?? now.toISOString(),
      transaction: parts.transaction,
      renewal: parts.renewal,
      consumption_request_reason: data?.consumptionRequestReason ?? null,
      app_data: appData === undefined ? null : { app_transaction_id: parts.appTransactionId },
    },
  };
}

interface About {
  readonly bundleId: string;
  readonly appAppleId?: number | undefined;
  readonly environment: StoreEnvironment;
}

/** Whose the notification is; null where it does not say. */
function aboutOf(
  { data, summary, appData, externalPurchaseToken: token }: z.infer<typeof payload>,
): About | null {
  if (token === undefined) return data ?? summary ?? appData ?? null;
  return { ...token, environment: token.externalPurchaseId.startsWith("SANDBOX") ? "sandbox" : "production" };
}

/**
 * What a notification carries. Apple's signature that fails, or another app's, refuses all of it; what Apple signed and
 * nobody here knows is left out, so that a change of theirs does not lose the notification.
 */
async function readParts(
  data: { signedTransactionInfo?: string | undefined; signedRenewalInfo?: string | undefined } | undefined,
  signedAppTransaction: string | undefined,
  appStore: AppStoreConfiguration,
  now: Date,
): Promise<
  | { transaction: StoreTransaction | null; renewal: StoreRenewal | null; appTransactionId: string | null }
  | { refusal: SignedDataRefusal }
> {
  const [transaction, renewal, appTransaction] = await Promise.all([
    data?.signedTransactionInfo === undefined
      ? null
      : readTransaction(data.signedTransactionInfo, appStore, now),
    data?.signedRenewalInfo === undefined ? null : readRenewal(data.signedRenewalInfo, appStore, now),
    signedAppTransaction === undefined ? null : readAppTransaction(signedAppTransaction, appStore, now),
  ]);
  for (const part of [transaction, renewal, appTransaction]) {
    if (part !== null && "refusal" in part && part.refusal !== "not_a_transaction") return part;
  }
  return {
    transaction: transaction !== null && "transaction" in transaction ? transaction.transaction : null,
    renewal: renewal !== null && "renewal" in renewal ? renewal.renewal : null,
    appTransactionId: appTransaction !== null && "appTransaction" in appTransaction
      ? appTransaction.appTransaction.app_transaction_id
      : null,
  };
}
