/**
 * What customers and Apple do in the simulated store, as JSON: `POST /_store` of the simulator, from any process. `deno task
 * store` and the tests say the same. Each deed is told to our server as Apple would tell it.
 */
import * as z from "zod";

const transactionId = z.string().min(1);
/** The other level, and its price where that is another. */
const change = { productId: z.string().min(1), price: z.int().min(0).nullable().default(null) };
export const storeEnvironment = z.enum(["Production", "Sandbox"]);

export const deed = z.discriminatedUnion("deed", [
  z.strictObject({
    deed: z.literal("buy"),
    productId: z.string().min(1),
    quantity: z.int().min(1).max(10).default(1),
    type: z.enum(["Consumable", "Non-Consumable"]).default("Consumable"),
    /** What the app gives as `appAccountToken`. */
    appAccountToken: z.guid().nullable().default(null),
    environment: storeEnvironment.default("Production"),
    /** The Apple Account that buys; one is as good as another. */
    account: z.string().default("customer"),
    /** Thousandths of the currency's unit. */
    price: z.int().min(0).default(4_990),
    currency: z.string().length(3).default("USD"),
    familyShared: z.boolean().default(false),
  }),
  /** The first period of a subscription, or the first after a gap of the same Apple Account's. */
  z.strictObject({
    deed: z.literal("subscribe"),
    productId: z.string().min(1),
    appAccountToken: z.guid().nullable().default(null),
    environment: storeEnvironment.default("Production"),
    account: z.string().default("customer"),
    price: z.int().min(0).default(9_990),
    currency: z.string().length(3).default("USD"),
    familyShared: z.boolean().default(false),
    /** The first period costs nothing. */
    trial: z.boolean().default(false),
    /** Of each period. A month without it. */
    periodMilliseconds: z.int().min(1_000).default(30 * 24 * 60 * 60_000),
  }),
  // `subscription`: any of its transactions.
  /** The next period, also before this one is over. */
  z.strictObject({ deed: z.literal("renew"), subscription: transactionId }),
  /** To a higher level or to one of the same height: at once. */
  z.strictObject({ deed: z.literal("upgrade"), subscription: transactionId, ...change }),
  /** To a lower level: from the next period on. */
  z.strictObject({ deed: z.literal("downgrade"), subscription: transactionId, ...change }),
  z.strictObject({ deed: z.literal("cancel"), subscription: transactionId }),
  /** The period is over, and the next one is not paid; with days of grace, Apple wants the customer served that long. */
  z.strictObject({
    deed: z.literal("lapse"),
    subscription: transactionId,
    graceDays: z.int().min(0).max(28).default(0),
  }),
  /** The payment that failed succeeds. */
  z.strictObject({ deed: z.literal("recover"), subscription: transactionId }),
  z.strictObject({ deed: z.literal("expire"), subscription: transactionId }),
  /** Of a share, in thousandths of a percent, or of all. */
  z.strictObject({
    deed: z.literal("refund"),
    transactionId,
    percentage: z.int().min(1).max(100_000).nullable().default(null),
    /** 1: because of an issue with the app. */
    reason: z.union([z.literal(0), z.literal(1)]).default(0),
  }),
  /** Apple takes a refund back, because the customer disputes it. */
  z.strictObject({ deed: z.literal("reverse"), transactionId }),
  /** The customer asks for a refund, and Apple asks us what was used. */
  z.strictObject({
    deed: z.literal("request_refund"),
    transactionId,
    reason: z.enum([
      "UNINTENDED_PURCHASE",
      "FULFILLMENT_ISSUE",
      "UNSATISFIED_WITH_PURCHASE",
      "LEGAL",
      "OTHER",
    ])
      .default("UNINTENDED_PURCHASE"),
  }),
  z.strictObject({ deed: z.literal("decline"), transactionId }),
  /** Family Sharing ends. */
  z.strictObject({ deed: z.literal("revoke"), transactionId }),
  /** A guardian takes back that a child may use the app. */
  z.strictObject({
    deed: z.literal("rescind_consent"),
    account: z.string().default("customer"),
    environment: storeEnvironment.default("Production"),
  }),
  /** A notification of any type, also of one that nobody knows. */
  z.strictObject({
    deed: z.literal("notify"),
    type: z.string().min(1),
    subtype: z.string().nullable().default(null),
    transactionId: transactionId.nullable().default(null),
    environment: storeEnvironment.default("Production"),
  }),
  /** What StoreKit gives the app of a transaction now, signed anew; nobody is told. */
  z.strictObject({ deed: z.literal("present"), transactionId }),
  /** StoreKit's `AppTransaction` of an account. */
  z.strictObject({
    deed: z.literal("app_transaction"),
    account: z.string().default("customer"),
    environment: storeEnvironment.default("Production"),
  }),
]);
export type Deed = z.input<typeof deed>;
export type CompleteDeed = z.output<typeof deed>;

/** What came of a deed. */
export const done = z.object({
  transactionId: z.string().nullable(),
  /** StoreKit's `jwsRepresentation`, or the signed app transaction; null where a deed has none. */
  signed: z.string().nullable(),
  /** The notification that tells it; null where nobody is told. */
  notificationId: z.string().nullable(),
});
export type Done = z.infer<typeof done>;

/** Does it in the simulator at `url`. Throws, with the reason, what cannot be done. */
export async function doInStore(url: string, what: Deed): Promise<Done> {
  const response = await fetch(`${url}/_store`, { method: "POST", body: JSON.stringify(what) });
  if (!response.ok) throw new Error(await response.text());
  return done.parse(await response.json());
}
