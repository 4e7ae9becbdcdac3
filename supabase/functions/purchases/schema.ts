import * as z from "zod/mini";
import { Purchase, Subscription } from "../_shared/purchases/contract.ts";
import { pageQuery, positionTime } from "../_shared/request/cursor.ts";

export const PurchasesQuery = z.strictObject(pageQuery);
export type PurchasesQuery = z.infer<typeof PurchasesQuery>;

/** What a cursor holds: the last purchase that was shown. */
export const PurchasesPosition = z.strictObject({ purchased_at: positionTime, id: z.uuid() });

/** A page as the database tells it, with where the next one begins; null at the end. */
export const PurchasesPage = z.object({
  purchases: z.array(Purchase),
  subscription: Subscription,
  next: z.nullable(PurchasesPosition),
});
export type PurchasesPage = z.infer<typeof PurchasesPage>;

export const PurchasesResponse = z.object({
  purchases: z.array(Purchase),
  subscription: Subscription,
  next_cursor: z.nullable(z.string()),
});
export type PurchasesResponse = z.infer<typeof PurchasesResponse>;

export const PresentPurchaseRequest = z.strictObject({
  /** StoreKit's `jwsRepresentation`. Apple's have some 5 kB, three certificates included. */
  signed_transaction: z.string().check(z.minLength(1), z.maxLength(32_768)),
});
export type PresentPurchaseRequest = z.infer<typeof PresentPurchaseRequest>;
