/** A transaction of the App Store: the `jwsRepresentation` of StoreKit 2, and the `signedTransactionInfo` of Apple's servers. */
import * as z from "zod/mini";
import type { AppStoreConfiguration } from "../../platform/config.ts";
import { code, date, environment, id, nullable, productId, type StoreEnvironment } from "./fields.ts";
import { readSignedData, type SignedDataRefusal } from "./signed-data.ts";

/** A verified store transaction in our words: the JSON that procedures take as p_transaction. Times in ISO 8601. */
export type StoreTransaction = {
  transaction_id: string;
  /** Of a subscription, that of its first period; of anything else, its own. */
  original_transaction_id: string;
  product_id: string;
  kind: "consumable" | "subscription" | "other";
  quantity: number;
  /** The UUID, in lower case, that the app gave with the purchase. */
  app_account_token: string | null;
  environment: StoreEnvironment;
  purchased_at: string;
  expires_at: string | null;
  /** Of two that Apple signed about one transaction, the later one is true. */
  signed_at: string;
  revoked_at: string | null;
  /** 1: because of an issue with the app. 0: any other reason. */
  revocation_reason: number | null;
  revocation_type: "full" | "prorated" | "family_revoke" | null;
  /** In thousandths of a percent: 100000 is all of it. */
  revocation_percentage: number | null;
  is_family_shared: boolean;
  is_upgraded: boolean;
  /** A period of a subscription that cost nothing. */
  is_free_trial: boolean;
  /** A period that Apple began by itself, at the end of the one before; not one that the customer bought. */
  is_renewal: boolean;
  /** Thousandths of the currency's unit. */
  price_milliunits: number | null;
  currency: string | null;
  /** The same for one Apple Account in this app. */
  app_transaction_id: string | null;
};

const kinds: ReadonlyMap<string, StoreTransaction["kind"]> = new Map([
  ["Consumable", "consumable"],
  ["Auto-Renewable Subscription", "subscription"],
]);

const revocationTypes: ReadonlyMap<string | null, StoreTransaction["revocation_type"]> = new Map([
  ["REFUND_FULL", "full"],
  ["REFUND_PRORATED", "prorated"],
  ["FAMILY_REVOKE", "family_revoke"],
]);

const transactionInfo = z.object({
  transactionId: id,
  originalTransactionId: nullable(id),
  bundleId: z.string(),
  productId,
  type: z.string(),
  // Only a consumable can be bought several at once.
  quantity: z.catch(z.int().check(z.minimum(1), z.maximum(1000)), 1),
  appAccountToken: nullable(z.guid()),
  environment,
  purchaseDate: date,
  expiresDate: date,
  signedDate: date,
  revocationDate: z.optional(z.unknown()),
  revocationReason: nullable(code),
  revocationType: nullable(z.string()),
  revocationPercentage: nullable(z.int().check(z.minimum(0), z.maximum(100_000))),
  inAppOwnershipType: nullable(z.string()),
  isUpgraded: nullable(z.boolean()),
  transactionReason: nullable(z.string()),
  offerType: nullable(code),
  offerDiscountType: nullable(z.string()),
  price: nullable(z.int().check(z.minimum(0))),
  currency: nullable(z.string().check(z.regex(/^[A-Z]{3}$/))),
  appTransactionId: nullable(id),
});

/**
 * The transaction that `signedTransaction` is, where Apple signed it for our app. Whether the sandbox counts is not asked
 * here: what it sold is stored all the same.
 */
export async function readTransaction(
  signedTransaction: string,
  appStore: AppStoreConfiguration,
  now: Date,
): Promise<{ transaction: StoreTransaction } | { refusal: SignedDataRefusal }> {
  const read = await readSignedData(signedTransaction, appStore, now);
  if ("refusal" in read) return read;
  const info = transactionInfo.safeParse(read.payload).data;
  if (info === undefined || info.purchaseDate === null) return { refusal: "not_a_transaction" };
  if (info.bundleId !== appStore.bundleId) return { refusal: "wrong_app" };
  const kind = kinds.get(info.type) ?? "other";
  const signedAt = info.signedDate ?? info.purchaseDate;
  const isFree = info.offerDiscountType === "FREE_TRIAL" || (info.offerType !== null && info.price === 0);
  return {
    transaction: {
      transaction_id: info.transactionId,
      original_transaction_id: info.originalTransactionId ?? info.transactionId,
      product_id: info.productId,
      kind,
      quantity: kind === "consumable" ? info.quantity : 1,
      app_account_token: info.appAccountToken?.toLowerCase() ?? null,
      environment: info.environment,
      purchased_at: info.purchaseDate,
      expires_at: info.expiresDate,
      signed_at: signedAt,
      // A date that cannot be read is none the less one: nobody keeps credits, or gets them again, for Apple's new form of it.
      revoked_at: (info.revocationDate ?? null) === null ? null : date.parse(info.revocationDate) ?? signedAt,
      revocation_reason: info.revocationReason,
      // Of a type that is not known yet, only so much is taken as its percentage says.
      revocation_type: revocationTypes.get(info.revocationType) ??
        (info.revocationPercentage === null ? null : "prorated"),
      revocation_percentage: info.revocationPercentage,
      is_family_shared: info.inAppOwnershipType === "FAMILY_SHARED",
      is_upgraded: info.isUpgraded ?? false,
      is_free_trial: kind === "subscription" && isFree,
      is_renewal: info.transactionReason === "RENEWAL",
      price_milliunits: info.price,
      currency: info.currency,
      app_transaction_id: info.appTransactionId,
    },
  };
}
