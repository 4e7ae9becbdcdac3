/** A job as the API shows it, the same in every endpoint. */
import * as z from "zod/mini";
import { jobStatuses } from "../database/job-status.ts";
import type { Job } from "../database/videos.ts";
import { errorMessage } from "../errors/error-messages.ts";
import type { Language } from "../errors/languages.ts";

const timestamp = z.iso.datetime({ precision: 3 });

export const JobResponse = z.object({
  job_id: z.uuid(),
  status: z.enum(jobStatuses),
  prompt: z.string(),
  model_id: z.uuid(),
  model_name: z.string(),
  settings: z.object({ duration_seconds: z.int(), resolution: z.string(), aspect_ratio: z.string() }),
  credits_used: z.int().check(z.nonnegative()),
  video_url: z.nullable(z.url()),
  video_url_expires_at: z.nullable(timestamp),
  thumbnail_url: z.nullable(z.url()),
  error: z.nullable(z.object({ code: z.string(), message: z.string(), details: z.looseObject({}) })),
  created_at: timestamp,
  completed_at: z.nullable(timestamp),
});
export type JobResponse = z.infer<typeof JobResponse>;

/** Gives the job's error its message in the caller's language. */
export function jobResponse({ error, ...job }: Job, language: Language): JobResponse {
  return {
    ...job,
    error: error && { ...error, message: errorMessage(error.code, language, error.details) },
  };
}
