import * as z from "zod/mini";
import { maxCredits, Reason, UserId } from "../_shared/ops/contract.ts";
import { optional } from "../_shared/request/validation.ts";

export const RefundCreditsRequest = z.strictObject({
  user_id: UserId,
  amount: z.int().check(z.minimum(1), z.maximum(maxCredits)),
  reason: Reason,
  /** The amount is then at most what the job cost. */
  job_id: optional(z.guid().check(z.toLowerCase())),
});
export type RefundCreditsRequest = z.infer<typeof RefundCreditsRequest>;
