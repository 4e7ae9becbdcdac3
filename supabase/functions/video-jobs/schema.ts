import * as z from "zod/mini";
import { pageQuery, positionTime } from "../_shared/request/cursor.ts";
import { jobStatuses } from "../_shared/videos/job-status.ts";
import { ClientReference, Job, ProjectId, Video } from "../_shared/videos/contract.ts";

export const VideoJobsQuery = z.strictObject({
  ...pageQuery,
  status: z.optional(z.enum(jobStatuses)),
  client_reference: z.optional(ClientReference),
  project_id: z.optional(ProjectId),
});
export type VideoJobsQuery = z.infer<typeof VideoJobsQuery>;

/** What a cursor holds: the last job that was shown. */
export const VideoJobsPosition = z.strictObject({ created_at: positionTime, id: z.uuid() });

/** A page as the database tells it, with where the next one begins; null at the end. */
export const VideoPage = z.object({ videos: z.array(Video), next: z.nullable(VideoJobsPosition) });
export type VideoPage = z.infer<typeof VideoPage>;

export const VideoJobsResponse = z.object({
  jobs: z.array(Job),
  next_cursor: z.nullable(z.string()),
});
export type VideoJobsResponse = z.infer<typeof VideoJobsResponse>;
