import { type Merge, MergedGuest } from "../_shared/accounts/contract.ts";
import { actor, type Database } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { AppError } from "../_shared/errors/app-error.ts";
import { codes } from "../_shared/errors/error-codes.ts";
import { readAppTransaction } from "../_shared/purchases/app-store/app-transaction.ts";
import { malformed } from "../_shared/request/validation.ts";
import type { RecoverGuestRequest } from "./schema.ts";

/** Whoever has it is believed: an app refreshes it (`AppTransaction.refresh`) before it asks. */
const freshMilliseconds = 10 * 60_000;

/**
 * Makes the guest that the caller's Apple Account was a part of the caller. Throws ERR_4016 with a `reason` for what Apple did
 * not sign for this app, ERR_4008 for what it signed too long ago, and ERR_6004 where nothing says which app is ours.
 */
export async function recoverGuest(
  { signed_app_transaction }: RecoverGuestRequest,
  context: Context<"user"> & { database: Database },
): Promise<Answer<Merge>> {
  const { appStore } = context.config;
  if (appStore === null) {
    throw new AppError(codes["feature/switched-off"], {
      details: { feature: "purchases" },
      cause: "APP_STORE_BUNDLE_ID or APP_STORE_APP_ID is not set",
    });
  }
  const read = await readAppTransaction(signed_app_transaction, appStore, new Date(context.now()));
  if ("refusal" in read) {
    throw new AppError(codes["purchase/not-verified"], { details: { reason: read.refusal } });
  }
  const { environment, app_transaction_id, signed_at } = read.appTransaction;
  if (context.now() - Date.parse(signed_at) > freshMilliseconds) {
    throw malformed([{ path: "signed_app_transaction", message: "Must be at most 10 minutes old" }]);
  }
  const args = { ...actor(context), p_app_transaction: { environment, app_transaction_id } };
  return { status: 200, body: await context.database.call("recover_guest", args, MergedGuest) };
}
