import * as z from "zod/mini";
import { JobResponse } from "../_shared/videos/contract.ts";

export const VideoStatusQuery = z.strictObject({ job_id: z.guid().check(z.toLowerCase()) });
export type VideoStatusQuery = z.infer<typeof VideoStatusQuery>;

export const VideoStatusResponse = z.object({
  ...JobResponse.shape,
  progress: z.object({
    stage: z.enum(["queued", "submitted", "generating", "storing", "done"]),
    percent: z.nullable(z.int().check(z.minimum(0), z.maximum(100))),
  }),
  next_poll_seconds: z.nullable(z.int().check(z.minimum(2), z.maximum(60))),
});
export type VideoStatusResponse = z.infer<typeof VideoStatusResponse>;
