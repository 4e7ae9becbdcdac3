import * as z from "zod/mini";
import { Reason } from "../_shared/ops/contract.ts";
import { Model } from "../_shared/videos/contract.ts";

export const ChangeModelRequest = z.strictObject({
  model_id: z.guid().check(z.toLowerCase()),
  is_available: z.boolean(),
  reason: Reason,
});
export type ChangeModelRequest = z.infer<typeof ChangeModelRequest>;

export const ChangeModelResponse = z.extend(z.omit(Model, { processed_by: true }), {
  is_available: z.boolean(),
});
export type ChangeModelResponse = z.infer<typeof ChangeModelResponse>;
