import * as z from "zod/mini";
import { pageQuery, positionTime } from "../_shared/request/cursor.ts";
import { jobStatuses } from "../_shared/database/job-status.ts";
import { JobResponse } from "../_shared/videos/contract.ts";

export const VideoJobsQuery = z.strictObject({ ...pageQuery, status: z.optional(z.enum(jobStatuses)) });
export type VideoJobsQuery = z.infer<typeof VideoJobsQuery>;

/** What a cursor holds: the last job that was shown. */
export const VideoJobsPosition = z.strictObject({ created_at: positionTime, id: z.uuid() });

export const VideoJobsResponse = z.object({
  jobs: z.array(JobResponse),
  next_cursor: z.nullable(z.string()),
});
export type VideoJobsResponse = z.infer<typeof VideoJobsResponse>;
