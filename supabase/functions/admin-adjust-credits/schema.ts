import * as z from "zod/mini";
import { maxCredits, Reason, UserId } from "../_shared/ops/contract.ts";

export const AdjustCreditsRequest = z.strictObject({
  user_id: UserId,
  /** Negative where credits are taken away. */
  amount: z.int().check(
    z.minimum(-maxCredits),
    z.maximum(maxCredits),
    z.refine((amount) => amount !== 0, "Must not be 0"),
  ),
  reason: Reason,
});
export type AdjustCreditsRequest = z.infer<typeof AdjustCreditsRequest>;
