import * as z from "zod/mini";
import { Reason } from "../_shared/ops/contract.ts";
import { Product, ProductKind, productKinds, StoreEnvironment } from "../_shared/purchases/contract.ts";
import { optional } from "../_shared/request/validation.ts";
import { userText } from "../_shared/request/user-text.ts";

export const AdminProduct = z.extend(Product, {
  /** For a period that costs nothing. */
  trial_credits: z.int().check(z.nonnegative()),
  /** What is not available is not shown; whoever has paid for it gets it all the same. */
  is_available: z.boolean(),
  /** Lower first. */
  position: z.int(),
});
export type AdminProduct = z.infer<typeof AdminProduct>;

/** What was paid for and is not credited, since no product has its id and kind. */
export const WaitingPurchase = z.object({
  transaction_id: z.string(),
  environment: StoreEnvironment,
  product_id: z.string(),
  /** As Apple says. */
  kind: z.enum([...productKinds, "other"]),
  quantity: z.int().check(z.positive()),
  user_id: z.nullable(z.guid()),
  purchased_at: z.iso.datetime({ precision: 3 }),
});

export const ListProductsResponse = z.object({
  products: z.array(AdminProduct),
  waiting: z.array(WaitingPurchase),
});
export type ListProductsResponse = z.infer<typeof ListProductsResponse>;

const name = userText(100, { lines: "one" });
const description = userText(500, { lines: "several" });
/** A thousand units, which is what Apple sells at once at most, are one posting. */
const credits = z.int().check(z.minimum(1), z.maximum(1_000_000));
const trialCredits = z.int().check(z.minimum(0), z.maximum(1_000_000));
const position = z.int().check(z.minimum(0), z.maximum(1_000_000));
const ProductId = userText(200, { lines: "one" });

export const AddProductRequest = z.strictObject({
  /** As in App Store Connect. */
  product_id: ProductId,
  kind: ProductKind,
  name,
  description,
  /** For one, or for each period. */
  credits,
  trial_credits: optional(trialCredits),
  is_available: optional(z.boolean()),
  is_featured: optional(z.boolean()),
  position: optional(position),
  reason: Reason,
});
export type AddProductRequest = z.infer<typeof AddProductRequest>;

/** What is left out stays as it is. */
export const ChangeProductRequest = z.strictObject({
  product_id: ProductId,
  kind: optional(ProductKind),
  name: optional(name),
  description: optional(description),
  credits: optional(credits),
  trial_credits: optional(trialCredits),
  is_available: optional(z.boolean()),
  is_featured: optional(z.boolean()),
  position: optional(position),
  reason: Reason,
});
export type ChangeProductRequest = z.infer<typeof ChangeProductRequest>;
