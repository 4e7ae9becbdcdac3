import * as z from "zod/mini";
import { Reason } from "../_shared/ops/contract.ts";
import { ModelResponse } from "../_shared/videos/model.ts";

export const ChangeModelRequest = z.strictObject({
  model_id: z.guid().check(z.toLowerCase()),
  is_available: z.boolean(),
  reason: Reason,
});
export type ChangeModelRequest = z.infer<typeof ChangeModelRequest>;

export const ChangeModelResponse = z.extend(ModelResponse, { is_available: z.boolean() });
export type ChangeModelResponse = z.infer<typeof ChangeModelResponse>;
