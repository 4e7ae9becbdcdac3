import * as z from "zod";
import { JobResponse } from "../_shared/job.ts";

export const VideoStatusQuery = z.strictObject({ job_id: z.guid().toLowerCase() });
export type VideoStatusQuery = z.infer<typeof VideoStatusQuery>;

export const VideoStatusResponse = z.object({
  ...JobResponse.shape,
  progress: z.object({
    stage: z.enum(["queued", "submitted", "generating", "storing", "done"]),
    percent: z.int().min(0).max(100).nullable(),
  }),
  next_poll_seconds: z.int().min(2).max(60).nullable(),
});
export type VideoStatusResponse = z.infer<typeof VideoStatusResponse>;
