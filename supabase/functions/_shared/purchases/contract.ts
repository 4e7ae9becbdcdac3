/** What the domain shows: what is sold, and what was bought. */
import * as z from "zod/mini";

const credits = z.int().check(z.nonnegative());
const timestamp = z.iso.datetime({ precision: 3 });
const productId = z.string().check(z.minLength(1), z.maxLength(200));
const transactionId = z.string().check(z.minLength(1), z.maxLength(40));

export const productKinds = ["consumable", "subscription"] as const;
export const ProductKind = z.enum(productKinds);

/** Where it was bought: in Apple's sandbox no money is paid. */
export const StoreEnvironment = z.enum(["production", "sandbox"]);

/** What the app offers, in the App Store's name and price. */
export const Product = z.object({
  /** As in App Store Connect. */
  product_id: productId,
  kind: ProductKind,
  name: z.string(),
  description: z.string(),
  /** For one, or for each period. */
  credits: z.int().check(z.positive()),
  is_featured: z.boolean(),
});
export type Product = z.infer<typeof Product>;

/** A purchase that was credited to whoever asks. */
export const Purchase = z.object({
  transaction_id: transactionId,
  product_id: productId,
  status: z.enum(["credited", "partially_refunded", "refunded"]),
  /** Before any refund. */
  credits_added: credits,
  purchased_at: timestamp,
  /** The end of a subscription's period. */
  expires_at: z.nullable(timestamp),
});
export type Purchase = z.infer<typeof Purchase>;

/** The caller's subscription, the one that serves them best if they have several; null for whoever never had one. */
export const Subscription = z.nullable(z.object({
  product_id: productId,
  /** `in_grace`: a payment failed, and it serves them until `expires_at`. `in_billing_retry`: it does not, and Apple tries on. */
  status: z.enum(["active", "in_grace", "in_billing_retry", "expired", "revoked"]),
  /** Null unless Apple renews it. */
  renews_at: z.nullable(timestamp),
  /** The end of what was paid for, or of Apple's grace. */
  expires_at: timestamp,
}));
export type Subscription = z.infer<typeof Subscription>;

/** What became of a transaction that its buyer presented. */
export const CreditedPurchase = z.object({
  transaction_id: transactionId,
  product_id: productId,
  status: z.enum(["credited", "already_credited"]),
  /** By this transaction, whenever it was. */
  credits_added: credits,
  credits_remaining: credits,
  expires_at: z.nullable(timestamp),
});
export type CreditedPurchase = z.infer<typeof CreditedPurchase>;

/** Why a purchase is not credited to whoever presents it: the `reason` of ERR_4016. */
export const purchaseRefusals = [
  // Done with: the app finishes the transaction.
  "revoked",
  "expired",
  "family_shared",
  "other_account",
  // Not yet: it presents the transaction again, later.
  "invalid_signature",
  "wrong_app",
  "not_a_transaction",
  "unknown_product",
  "wrong_environment",
] as const;
