import { admin, type Database, fields, keyed } from "../_shared/database/call.ts";
import type { Answer, Context, Keyed } from "../_shared/endpoint/context.ts";
import { type MovedCredits, PostedCredits } from "../_shared/ops/contract.ts";
import type { RefundCreditsRequest } from "./schema.ts";

/** Gives credits back and writes down why, in one transaction. A job is refunded once. */
export async function refundCredits(
  request: RefundCreditsRequest,
  context: Context<"admin"> & Keyed & { database: Database },
): Promise<Answer<MovedCredits>> {
  const args = { ...fields(request), ...admin(context), ...keyed(context) };
  const posted = await context.database.call("admin_refund_credits", args, PostedCredits);
  return { status: 200, body: { success: true, ...posted } };
}
