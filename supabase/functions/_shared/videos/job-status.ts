/** Made from `videos.job_transitions` by `deno task generate`. */

export const jobStatuses = ["pending", "processing", "completed", "failed", "cancelled"] as const;
export type JobStatus = (typeof jobStatuses)[number];

/** What a status may become; an ended one, nothing. */
export const jobTransitions = {
  pending: ["processing", "failed", "cancelled"],
  processing: ["pending", "completed", "failed", "cancelled"],
  completed: [],
  failed: [],
  cancelled: [],
} as const satisfies Record<JobStatus, readonly JobStatus[]>;

export type EndedJobStatus = {
  [Status in JobStatus]: (typeof jobTransitions)[Status] extends readonly [] ? Status : never;
}[JobStatus];
