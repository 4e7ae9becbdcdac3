import * as z from "zod/mini";
import { ModelResponse } from "../_shared/videos/model.ts";

export const ModelsResponse = z.object({ models: z.array(ModelResponse) });
export type ModelsResponse = z.infer<typeof ModelsResponse>;
