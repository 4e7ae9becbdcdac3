/** What the simulated App Store remembers, and how each deed changes it. Payloads have the names and forms of Apple's. */
import { createHash, randomUUID } from "node:crypto";
import * as z from "zod";
import { delivery } from "../engine/deliveries.ts";
import { type CompleteDeed, storeEnvironment } from "./deeds.ts";
import { appStoreRule } from "./rules.ts";

/** `JWSTransactionDecodedPayload`, without the time of its signature. Times are in milliseconds since 1970. */
const transaction = z.object({
  transactionId: z.string(),
  originalTransactionId: z.string(),
  bundleId: z.string(),
  productId: z.string(),
  type: z.string(),
  quantity: z.number(),
  appAccountToken: z.string().optional(),
  environment: storeEnvironment,
  purchaseDate: z.number(),
  originalPurchaseDate: z.number(),
  inAppOwnershipType: z.enum(["PURCHASED", "FAMILY_SHARED"]),
  transactionReason: z.enum(["PURCHASE", "RENEWAL"]),
  storefront: z.string(),
  storefrontId: z.string(),
  price: z.number(),
  currency: z.string(),
  appTransactionId: z.string(),
  expiresDate: z.number().optional(),
  isUpgraded: z.boolean().optional(),
  offerType: z.number().optional(),
  offerDiscountType: z.string().optional(),
  subscriptionGroupIdentifier: z.string().optional(),
  revocationDate: z.number().optional(),
  revocationReason: z.number().optional(),
  revocationType: z.enum(["REFUND_FULL", "REFUND_PRORATED", "FAMILY_REVOKE"]).optional(),
  revocationPercentage: z.number().optional(),
});
export type Transaction = z.infer<typeof transaction>;

/** What the periods of a subscription have in common, and what its next one will be. */
const subscription = z.object({
  originalTransactionId: z.string(),
  /** Whose: one Apple Account has one subscription of the group. */
  appTransactionId: z.string(),
  productId: z.string(),
  price: z.number(),
  periodMilliseconds: z.number(),
  isAutoRenewing: z.boolean(),
  isInBillingRetry: z.boolean(),
  graceUntil: z.number().nullable(),
  /** Why it is over; null while it is not. */
  expirationIntent: z.number().nullable(),
});
export type Subscription = z.infer<typeof subscription>;

/** What Apple's history has of a notification, whether or not it came. */
const notification = z.object({
  id: z.string(),
  type: z.string(),
  subtype: z.string().nullable(),
  environment: storeEnvironment,
  transactionId: z.string().nullable(),
  signedDate: z.number(),
  signedPayload: z.string(),
});
export type Notification = z.infer<typeof notification>;

/** An answer to a CONSUMPTION_REQUEST, as it came. */
const consumption = z.object({
  transactionId: z.string(),
  at: z.number(),
  /** Whether it came within the 12 hours that Apple waits. */
  inTime: z.boolean(),
  body: z.record(z.string(), z.unknown()),
});

export const storeState = z.object({
  rules: z.array(appStoreRule).default([]),
  transactions: z.array(transaction).default([]),
  subscriptions: z.array(subscription).default([]),
  notifications: z.array(notification).default([]),
  /** `requestId` is the notification's, and `bodies` has by the delivery's id what it carries instead. */
  deliveries: z.array(delivery).default([]),
  bodies: z.record(z.string(), z.string()).default({}),
  consumptions: z.array(consumption).default([]),
  /** Where notifications go, as App Store Connect is told; null before it is. */
  notificationUrl: z.string().nullable().default(null),
  /** Milliseconds by which the store's clock is ahead. */
  ahead: z.number().default(0),
  /** The last one: no two signatures have the same time, so that one of them is the later. */
  lastSignedDate: z.number().default(0),
});
export type StoreState = z.infer<typeof storeState>;

/** Whose app is sold. */
export interface StoreApp {
  readonly bundleId: string;
  readonly appAppleId: number;
}

/** Says why a deed cannot be done. */
export class ImpossibleDeed extends Error {}

/** The same for one account in the app, as Apple has it: 15 digits, in each environment others. */
export function appTransactionId(account: string, environment: string): string {
  const digest = createHash("sha256").update(`${environment} ${account}`).digest();
  return `70${digest.readUIntBE(0, 6) % 10 ** 13}`;
}

/** The store's own time. */
export function storeTime({ ahead }: StoreState): number {
  return Date.now() + ahead;
}

/** A time to sign at, later than each before it. */
export function nextSignedDate(state: StoreState): number {
  state.lastSignedDate = Math.max(storeTime(state), state.lastSignedDate + 1);
  return state.lastSignedDate;
}

/** The transaction, or a refusal. */
export function findTransaction(state: StoreState, transactionId: string): Transaction {
  const found = state.transactions.find((each) => each.transactionId === transactionId);
  if (found === undefined) throw new ImpossibleDeed(`There is no transaction ${transactionId}`);
  return found;
}

/** What is told to our server of a deed. */
export interface Told {
  readonly type: string;
  readonly subtype?: string | null;
  readonly consumptionRequestReason?: string;
}

/** What a deed is about: a transaction, an account, or neither. */
export interface Outcome {
  readonly transaction: Transaction | null;
  readonly told: Told | null;
}

/** Does what changes transactions. Throws ImpossibleDeed. */
export function perform(
  state: StoreState,
  app: StoreApp,
  what: Exclude<
    CompleteDeed,
    { deed: "rescind_consent" | "app_transaction" | "notify" | "subscribe" } | { subscription: string }
  >,
): Outcome {
  if (what.deed === "buy") {
    const bought = newTransaction(state, app, what);
    state.transactions.push(bought);
    return { transaction: bought, told: { type: "ONE_TIME_CHARGE" } };
  }
  const transaction = findTransaction(state, what.transactionId);
  const isRefunded = transaction.revocationType?.startsWith("REFUND") ?? false;
  switch (what.deed) {
    case "present":
      return { transaction, told: null };
    case "refund": {
      const isAll = what.percentage === null || what.percentage === 100_000;
      if (isRefunded && transaction.revocationType === "REFUND_FULL") {
        throw new ImpossibleDeed("It is refunded already");
      }
      revoke(state, transaction, what.reason, isAll ? "REFUND_FULL" : "REFUND_PRORATED");
      transaction.revocationPercentage = isAll ? 100_000 : what.percentage ?? 100_000;
      return { transaction, told: { type: "REFUND" } };
    }
    case "reverse":
      if (!isRefunded) throw new ImpossibleDeed("Nothing is refunded that could be reversed");
      for (const field of ["Date", "Reason", "Type", "Percentage"] as const) {
        delete transaction[`revocation${field}`];
      }
      return { transaction, told: { type: "REFUND_REVERSED" } };
    case "request_refund":
      if (isRefunded) throw new ImpossibleDeed("It is refunded already");
      return { transaction, told: { type: "CONSUMPTION_REQUEST", consumptionRequestReason: what.reason } };
    case "decline":
      return { transaction, told: { type: "REFUND_DECLINED" } };
    case "revoke":
      if (transaction.inAppOwnershipType !== "FAMILY_SHARED") {
        throw new ImpossibleDeed("It is not shared with a family");
      }
      revoke(state, transaction, 0, "FAMILY_REVOKE");
      return { transaction, told: { type: "REVOKE" } };
  }
}

function revoke(
  state: StoreState,
  transaction: Transaction,
  reason: number,
  type: NonNullable<Transaction["revocationType"]>,
): void {
  Object.assign(transaction, {
    revocationDate: storeTime(state),
    revocationReason: reason,
    revocationType: type,
  });
}

/** What is bought, and how. */
export interface Purchase {
  readonly productId: string;
  readonly type: string;
  readonly quantity: number;
  readonly appAccountToken: string | null;
  readonly environment: Transaction["environment"];
  readonly price: number;
  readonly currency: string;
  readonly familyShared: boolean;
  /** The Apple Account. */
  readonly account: string;
}

/** Apple's have 16 digits; production's and the sandbox's are counted apart. */
export function newTransactionId(environment: Transaction["environment"]): string {
  const digits = createHash("sha256").update(randomUUID()).digest().readUIntBE(0, 6) % 10 ** 14;
  return `${environment === "Production" ? "30" : "20"}${String(digits).padStart(14, "0")}`;
}

/** A purchase of this moment, which is not in the books yet. */
export function newTransaction(
  state: StoreState,
  { bundleId }: StoreApp,
  what: Purchase,
): Transaction {
  const id = newTransactionId(what.environment);
  const at = storeTime(state);
  return {
    transactionId: id,
    originalTransactionId: id,
    bundleId,
    productId: what.productId,
    type: what.type,
    quantity: what.quantity,
    ...(what.appAccountToken !== null ? { appAccountToken: what.appAccountToken } : {}),
    environment: what.environment,
    purchaseDate: at,
    originalPurchaseDate: at,
    inAppOwnershipType: what.familyShared ? "FAMILY_SHARED" : "PURCHASED",
    transactionReason: "PURCHASE",
    storefront: "USA",
    storefrontId: "143441",
    price: what.price,
    currency: what.currency,
    appTransactionId: appTransactionId(what.account, what.environment),
  };
}
