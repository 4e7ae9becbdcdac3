/** What Apple says about the next period of a subscription: the `signedRenewalInfo` of its servers. */
import * as z from "zod/mini";
import type { AppStoreConfiguration } from "../../platform/config.ts";
import { code, date, environment, id, nullable, productId, type StoreEnvironment } from "./fields.ts";
import { readSignedData, type SignedDataRefusal } from "./signed-data.ts";

/** Verified, in our words: the JSON that procedures take as p_renewal. Times in ISO 8601. */
export type StoreRenewal = {
  original_transaction_id: string;
  /** The one that runs, and the one that the next period will be of. */
  product_id: string | null;
  auto_renew_product_id: string | null;
  auto_renew_status: "on" | "off" | null;
  /** Why it ended: 1 cancelled, 2 billing error, 3 price increase not accepted, 4 product gone, 5 other. */
  expiration_intent: number | null;
  /** Until when the app should serve a subscriber whose payment failed. */
  grace_period_expires_at: string | null;
  is_in_billing_retry: boolean;
  renewal_at: string | null;
  environment: StoreEnvironment;
  signed_at: string;
};

const renewalInfo = z.object({
  originalTransactionId: id,
  productId: nullable(productId),
  autoRenewProductId: nullable(productId),
  autoRenewStatus: nullable(code),
  expirationIntent: nullable(code),
  gracePeriodExpiresDate: date,
  isInBillingRetryPeriod: nullable(z.boolean()),
  renewalDate: date,
  environment,
  signedDate: date,
});

/** The renewal that `signedRenewal` is. It names no app: the notification that it came in does, and must have been checked. */
export async function readRenewal(
  signedRenewal: string,
  appStore: AppStoreConfiguration,
  now: Date,
): Promise<{ renewal: StoreRenewal } | { refusal: SignedDataRefusal }> {
  const read = await readSignedData(signedRenewal, appStore, now);
  if ("refusal" in read) return read;
  const info = renewalInfo.safeParse(read.payload).data;
  if (info === undefined) return { refusal: "not_a_transaction" };
  return {
    renewal: {
      original_transaction_id: info.originalTransactionId,
      product_id: info.productId,
      auto_renew_product_id: info.autoRenewProductId,
      auto_renew_status: info.autoRenewStatus === null ? null : info.autoRenewStatus === 1 ? "on" : "off",
      expiration_intent: info.expirationIntent,
      grace_period_expires_at: info.gracePeriodExpiresDate,
      is_in_billing_retry: info.isInBillingRetryPeriod ?? false,
      renewal_at: info.renewalDate,
      environment: info.environment,
      signed_at: info.signedDate ?? now.toISOString(),
    },
  };
}
