import * as z from "zod/mini";
import { Model } from "../_shared/videos/contract.ts";

export const ModelsResponse = z.object({ models: z.array(Model) });
export type ModelsResponse = z.infer<typeof ModelsResponse>;
