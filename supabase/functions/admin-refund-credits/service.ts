import type { MovedCreditsResponse } from "../_shared/ops/contract.ts";
import type { Answer, Context, Keyed } from "../_shared/endpoint/context.ts";
import type { AdminDatabase } from "../_shared/database/admin.ts";
import type { RefundCreditsRequest } from "./schema.ts";

/** Gives credits back and writes down why, in one transaction. A job is refunded once. */
export async function refundCredits(
  request: RefundCreditsRequest,
  context: Context<"admin"> & Keyed & { database: Pick<AdminDatabase, "refundCredits"> },
): Promise<Answer<MovedCreditsResponse>> {
  const moved = await context.database.refundCredits({
    adminId: context.caller.userId,
    requestId: context.requestId,
    idempotency: context.idempotency,
    userId: request.user_id,
    amount: request.amount,
    reason: request.reason,
    jobId: request.job_id ?? null,
  });
  return { status: 200, body: { success: true, ...moved } };
}
