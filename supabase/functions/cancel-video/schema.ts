import * as z from "zod";
import { JobResponse } from "../_shared/job.ts";

export const CancelVideoRequest = z.strictObject({ job_id: z.guid().toLowerCase() });
export type CancelVideoRequest = z.infer<typeof CancelVideoRequest>;

export const CancelVideoResponse = JobResponse;
export type CancelVideoResponse = z.infer<typeof CancelVideoResponse>;
