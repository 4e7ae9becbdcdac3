import * as z from "zod/mini";
import { Breaker, Reason } from "../_shared/ops/contract.ts";
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

export const AdminModelsResponse = z.object({
  models: z.array(z.extend(ChangeModelResponse, {
    /** In the order in which they are asked. */
    providers: z.array(z.object({
      provider: z.string(),
      is_enabled: z.boolean(),
      breaker: Breaker,
      /** US cents a video, or a second of it, as the model is priced. */
      cost_cents: z.number().check(z.nonnegative()),
    })),
  })),
});
export type AdminModelsResponse = z.infer<typeof AdminModelsResponse>;
