/** StoreKit's `AppTransaction`: that an Apple Account has got this app, whether or not it has bought anything in it. */
import * as z from "zod/mini";
import type { AppStoreConfiguration } from "../../platform/config.ts";
import { date, environment, id, type StoreEnvironment } from "./fields.ts";
import { readSignedData, type SignedDataRefusal } from "./signed-data.ts";

/** Verified, in our words. */
export type StoreAppTransaction = {
  /** The same for one Apple Account in this app, on each of its devices and after each installation. */
  app_transaction_id: string;
  environment: StoreEnvironment;
  /** When Apple signed it, in ISO 8601. */
  signed_at: string;
};

const appTransactionInfo = z.object({
  appTransactionId: id,
  bundleId: z.string(),
  appAppleId: z.optional(z.number()),
  receiptType: environment,
  receiptCreationDate: date,
});

/** The app transaction that `signedAppTransaction` is, where Apple signed it for our app. */
export async function readAppTransaction(
  signedAppTransaction: string,
  appStore: AppStoreConfiguration,
  now: Date,
): Promise<{ appTransaction: StoreAppTransaction } | { refusal: SignedDataRefusal }> {
  const read = await readSignedData(signedAppTransaction, appStore, now);
  if ("refusal" in read) return read;
  const info = appTransactionInfo.safeParse(read.payload).data;
  if (info === undefined || info.receiptCreationDate === null) return { refusal: "not_a_transaction" };
  const { appTransactionId, bundleId, appAppleId, receiptType, receiptCreationDate } = info;
  const isOurs = bundleId === appStore.bundleId &&
    (receiptType === "sandbox" || appAppleId === appStore.appAppleId);
  if (!isOurs) return { refusal: "wrong_app" };
  return {
    appTransaction: {
      app_transaction_id: appTransactionId,
      environment: receiptType,
      signed_at: receiptCreationDate,
    },
  };
}
