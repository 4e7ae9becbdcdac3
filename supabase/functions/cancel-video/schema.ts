import * as z from "zod/mini";
import { JobResponse } from "../_shared/videos/contract.ts";

export const CancelVideoRequest = z.strictObject({ job_id: z.guid().check(z.toLowerCase()) });
export type CancelVideoRequest = z.infer<typeof CancelVideoRequest>;

export const CancelVideoResponse = JobResponse;
export type CancelVideoResponse = z.infer<typeof CancelVideoResponse>;
