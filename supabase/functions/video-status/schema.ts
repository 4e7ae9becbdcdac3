import * as z from "zod/mini";
import { Job, JobStage, Video } from "../_shared/videos/contract.ts";

export const VideoStatusQuery = z.strictObject({ job_id: z.guid().check(z.toLowerCase()) });
export type VideoStatusQuery = z.infer<typeof VideoStatusQuery>;

const progress = {
  progress: z.object({
    stage: JobStage,
    percent: z.nullable(z.int().check(z.minimum(0), z.maximum(100))),
  }),
  /** Null where the job has ended. */
  next_poll_seconds: z.nullable(z.int().check(z.minimum(2), z.maximum(60))),
};

/** As the database tells it. */
export const VideoStatus = z.extend(Video, progress);
export type VideoStatus = z.infer<typeof VideoStatus>;

export const VideoStatusResponse = z.extend(Job, progress);
export type VideoStatusResponse = z.infer<typeof VideoStatusResponse>;
