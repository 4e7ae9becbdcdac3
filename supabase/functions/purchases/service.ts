import { codes } from "../_shared/errors/error-codes.ts";
import { AppError } from "../_shared/errors/app-error.ts";
import { actor, type Database } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { readTransaction } from "../_shared/purchases/app-store/transaction.ts";
import { CreditedPurchase } from "../_shared/purchases/contract.ts";
import { readCursor, writeCursor } from "../_shared/request/cursor.ts";
import {
  type PresentPurchaseRequest,
  PurchasesPage,
  PurchasesPosition,
  type PurchasesQuery,
  type PurchasesResponse,
} from "./schema.ts";

type PurchasesContext = Context<"user"> & { database: Database };

/** What the caller was credited for, what Apple took back of it, and how their subscription stands. */
export async function listPurchases(
  { limit, cursor }: PurchasesQuery,
  context: PurchasesContext,
): Promise<Answer<PurchasesResponse>> {
  const args = { ...actor(context), p_limit: limit, p_after: readCursor(PurchasesPosition, cursor) };
  const { next, ...page } = await context.database.call("get_purchases", args, PurchasesPage);
  return { status: 200, body: { ...page, next_cursor: writeCursor(next) } };
}

/**
 * Credits what Apple's signature proves to be bought, without asking Apple. Throws ERR_4016 with a `reason` where that is not
 * the caller's to have, or is not proved, and ERR_6004 where nothing says whose purchases are ours.
 */
export async function presentPurchase(
  { signed_transaction }: PresentPurchaseRequest,
  context: PurchasesContext,
): Promise<Answer<CreditedPurchase>> {
  const { appStore } = context.config;
  if (appStore === null) {
    throw new AppError(codes["feature/switched-off"], {
      details: { feature: "purchases" },
      cause: "APP_STORE_BUNDLE_ID or APP_STORE_APP_ID is not set",
    });
  }
  const read = await readTransaction(signed_transaction, appStore, new Date(context.now()));
  if ("refusal" in read) {
    throw new AppError(codes["purchase/not-verified"], { details: { reason: read.refusal } });
  }
  const args = { ...actor(context), p_transaction: read.transaction };
  return { status: 200, body: await context.database.call("post_purchases", args, CreditedPurchase) };
}
