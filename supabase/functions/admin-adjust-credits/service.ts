import type { MovedCreditsResponse } from "../_shared/ops/contract.ts";
import type { Answer, Context, Keyed } from "../_shared/endpoint/context.ts";
import type { AdminDatabase } from "../_shared/database/admin.ts";
import type { AdjustCreditsRequest } from "./schema.ts";

/** Adds or takes credits and writes down why, in one transaction. */
export async function adjustCredits(
  request: AdjustCreditsRequest,
  context: Context<"admin"> & Keyed & { database: Pick<AdminDatabase, "adjustCredits"> },
): Promise<Answer<MovedCreditsResponse>> {
  const moved = await context.database.adjustCredits({
    adminId: context.caller.userId,
    requestId: context.requestId,
    idempotency: context.idempotency,
    userId: request.user_id,
    amount: request.amount,
    reason: request.reason,
  });
  return { status: 200, body: { success: true, ...moved } };
}
