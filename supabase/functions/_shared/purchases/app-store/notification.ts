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

/** What a notification's part says about whose it is: `data`, `summary`, `appData`, and what Apple may add. */
const subject = z.object({ bundleId: z.string(), appAppleId: z.optional(z.number()), environment });
/** One about an external purchase tells its environment in another way. */
const externalPurchase = z.object({
  bundleId: z.string(),
  appAppleId: z.optional(z.number()),
  externalPurchaseId: z.string(),
});
type Subject = z.infer<typeof subject>;
const signed = z.optional(z.string());

const payload = z.object({
  notificationType: word,
  subtype: nullable(word),
  notificationUUID: z.guid(),
  signedDate: date,
  data: z.optional(z.object({
    signedTransactionInfo: signed,
    signedRenewalInfo: signed,
    consumptionRequestReason: nullable(word),
  })),
  appData: z.optional(z.object({ signedAppTransactionInfo: signed })),
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
  // As Apple sent it: `parsed` has of each part only what is read here.
  const subjects = subjectsOf(z.record(z.string(), z.unknown()).parse(read.payload));
  const [about] = subjects;
  // In the sandbox Apple does not always name the app's id.
  const areOurs = subjects.every(({ bundleId, appAppleId, environment }) =>
    bundleId === appStore.bundleId && (environment === "sandbox" || appAppleId === appStore.appAppleId)
  );
  if (about === undefined || !areOurs) return { refusal: "wrong_app" };

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

/** Whose the notification is, by each part that says so, also one that is not known here. */
function subjectsOf(parts: Readonly<Record<string, unknown>>): Subject[] {
  return Object.values(parts).flatMap((part): Subject[] => {
    const known = subject.safeParse(part).data;
    if (known !== undefined) return [known];
    const external = externalPurchase.safeParse(part).data;
    if (external === undefined) return [];
    const { externalPurchaseId: id, ...app } = external;
    return [{ ...app, environment: id.startsWith("SANDBOX") ? "sandbox" : "production" }];
  });
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
