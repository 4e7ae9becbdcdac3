/** What the domain shows: models, jobs, videos. Procedures answer with it, endpoints answer with it, the documents show it. */
import * as z from "zod/mini";
import { exampleIds } from "../endpoint/example-ids.ts";
import { type ErrorCode, isErrorCode } from "../errors/error-codes.ts";
import { errorMessage } from "../errors/error-messages.ts";
import type { Language } from "../errors/languages.ts";
import { imageTypes } from "./images/picture.ts";
import { jobStatuses } from "./job-status.ts";

const timestamp = z.iso.datetime({ precision: 3 });
const credits = z.int().check(z.nonnegative());

function option<Value extends z.ZodMiniType>(value: Value) {
  return z.object({ values: z.array(value), default: value });
}

export const Pricing = z.object({
  type: z.enum(["per_video", "per_second"]),
  credits: z.int().check(z.positive()),
});
export const Category = z.enum(["text_to_video", "image_to_video", "video_to_video"]);
export const TextOption = option(z.string());
export const NumberOption = option(z.int().check(z.positive()));
export const ModelOptions = z.object({
  duration_seconds: NumberOption,
  resolution: TextOption,
  aspect_ratio: TextOption,
  // In UTF-16 units, as JavaScript and Swift's utf16 count; where it is less than the API's 2,000.
  prompt_max_characters: z.optional(z.int().check(z.positive())),
});

/** Of an input of a model's own. Ids of uploads are texts. */
export const InputValue = z.union([z.boolean(), z.number(), z.string(), z.array(z.string())]);
/** What a model takes beside prompt and size; `settings` take it by its name. */
export const ModelInput = z.object({
  name: z.string(),
  type: z.enum(["integer", "number", "boolean", "text", "choice", "image", "images"]),
  /** Of a number; of a text its characters, of images how many. */
  min: z.optional(z.number()),
  max: z.optional(z.number()),
  /** Of a choice. */
  values: z.optional(z.array(z.string())),
  /** What stands for it where it is left out; nothing does where there is none. */
  default: z.optional(InputValue),
  /** The price is multiplied by it where the input is used: true, or given and not its default. */
  price_factor: z.optional(z.number()),
});
export type ModelInput = z.infer<typeof ModelInput>;

export const Model = z.object({
  id: z.uuid(),
  name: z.string(),
  description: z.string(),
  category: Category,
  thumbnail_url: z.nullable(z.url()),
  is_featured: z.boolean(),
  requires_image: z.boolean(),
  /** Who may get the prompt and the image. */
  processed_by: z.array(z.string()),
  pricing: Pricing,
  options: ModelOptions,
  inputs: z.array(ModelInput),
});
export type Model = z.infer<typeof Model>;

/** A model of the seed. Examples are functions, so that no bundle holds what only documents show. */
export function exampleModel(): Model {
  return {
    id: exampleIds.model,
    name: "Kling 2.5 Turbo Pro",
    description: "Cinematic motion from a text, five seconds at a time.",
    category: "text_to_video",
    thumbnail_url: null,
    is_featured: true,
    requires_image: false,
    processed_by: ["fal", "openai"],
    pricing: { type: "per_video", credits: 4 },
    options: {
      duration_seconds: { values: [5], default: 5 },
      resolution: { values: ["1080p"], default: "1080p" },
      aspect_ratio: { values: ["16:9", "9:16", "1:1"], default: "16:9" },
    },
    inputs: [{ name: "negative_prompt", type: "text", max: 500 }],
  };
}

export const AcceptedVideo = z.object({
  job_id: z.uuid(),
  status: z.literal("pending"),
  credits_used: z.int().check(z.positive()),
  credits_remaining: credits,
  created_at: timestamp,
});
export type AcceptedVideo = z.infer<typeof AcceptedVideo>;

/** One of several videos that was accepted. `index` is its place in the request, from 0. */
export const AcceptedItem = z.object({
  index: z.int().check(z.nonnegative()),
  job_id: z.uuid(),
  credits_used: z.int().check(z.positive()),
});

/** The app's own name for a job: what can be seen, and no space, so that nobody mistakes one for another. */
export const ClientReference = z.pipe(
  z.pipe(
    // A composed character may be written as four, of two code units each.
    z.string().check(z.maxLength(1_000)),
    z.transform((text: string) => text.normalize("NFC")),
  ),
  z.string().check(z.regex(/^[^\p{C}\p{Z}]{1,100}$/u, "Must be 1 to 100 visible characters")),
).check(z.meta({ minLength: 1, maxLength: 100 }));

export const UploadStatus = z.enum(["pending", "ready"]);
export const ImageType = z.enum(imageTypes);

/** A picture of a user's. */
export const Upload = z.object({
  upload_id: z.uuid(),
  status: UploadStatus,
  /** As it was told; of one that is ready, as it is. */
  content_type: ImageType,
  bytes: z.int().check(z.positive()),
  /** Pixels, as it is shown. Null until it is ready. */
  width: z.nullable(z.int().check(z.positive())),
  height: z.nullable(z.int().check(z.positive())),
  /** Null once its project is deleted. */
  project_id: z.nullable(z.uuid()),
  created_at: timestamp,
});
export type Upload = z.infer<typeof Upload>;

/** One that can become a video. */
export function exampleUpload(): Upload {
  return {
    upload_id: exampleIds.upload,
    status: "ready",
    content_type: "image/png",
    bytes: 1_873_402,
    width: 3024,
    height: 4032,
    project_id: null,
    created_at: "2026-11-21T11:57:00.000Z",
  };
}

export const Project = z.object({
  project_id: z.uuid(),
  name: z.string(),
  /** Without the deleted ones. */
  job_count: z.int().check(z.nonnegative()),
  created_at: timestamp,
});
export type Project = z.infer<typeof Project>;

/** A project with one job. */
export function exampleProject(): Project {
  return {
    project_id: exampleIds.project,
    name: "Winter campaign",
    job_count: 1,
    created_at: "2026-11-21T11:50:00.000Z",
  };
}

/** Of a project, in a request. */
export const ProjectId = z.guid().check(z.toLowerCase());

export const JobStatus = z.enum(jobStatuses);
/** Those used, with the inputs of the model's own that were given or have a default. */
export const JobSettings = z.catchall(
  z.object({
    duration_seconds: z.int(),
    resolution: z.string(),
    aspect_ratio: z.string(),
  }),
  InputValue,
);
const Failure = z.object({ code: z.string(), message: z.string(), details: z.looseObject({}) });
/** One of several videos that was not accepted, and why. */
export const RefusedItem = z.object({ index: z.int().check(z.nonnegative()), error: Failure });
/** Null while nothing has failed. */
export const JobError = z.nullable(Failure);

/** Where a job is, for whoever watches it. */
export const JobStage = z.enum(["queued", "submitted", "generating", "storing", "done"]);

export const Job = z.object({
  job_id: z.uuid(),
  status: JobStatus,
  prompt: z.string(),
  model_id: z.uuid(),
  model_name: z.string(),
  settings: JobSettings,
  credits_used: credits,
  video_url: z.nullable(z.url()),
  video_url_expires_at: z.nullable(timestamp),
  thumbnail_url: z.nullable(z.url()),
  error: JobError,
  /** The app's own name for it. */
  client_reference: z.nullable(z.string()),
  /** Null once its project is deleted. */
  project_id: z.nullable(z.uuid()),
  /** When its user asked to cancel it, whatever became of that. */
  cancel_requested_at: z.nullable(timestamp),
  /** Seconds until a completed job may have a URL again, where its user has had too many renewed. */
  retry_after: z.optional(z.int().check(z.positive())),
  created_at: timestamp,
  completed_at: z.nullable(timestamp),
});
export type Job = z.infer<typeof Job>;

/** A job whose video is ready. */
export function exampleJob(): Job {
  return {
    job_id: exampleIds.job,
    status: "completed",
    prompt: "A red fox runs through fresh snow",
    model_id: exampleIds.model,
    model_name: "Kling 2.5 Turbo Pro",
    settings: { duration_seconds: 5, resolution: "1080p", aspect_ratio: "16:9" },
    credits_used: 4,
    video_url:
      `https://project.supabase.co/storage/v1/object/sign/videos/${exampleIds.job}/video.mp4?token=eyJhbGciOiJFUzI1NiJ9`,
    video_url_expires_at: "2026-11-21T13:00:00.000Z",
    thumbnail_url: null,
    error: null,
    client_reference: "draft-7",
    project_id: null,
    cancel_requested_at: null,
    created_at: "2026-11-21T11:58:30.000Z",
    completed_at: "2026-11-21T12:00:00.000Z",
  };
}

/** The same before that. */
export function examplePendingJob(): Job {
  return {
    ...exampleJob(),
    status: "pending",
    video_url: null,
    video_url_expires_at: null,
    completed_at: null,
  };
}

/** A failure as the database tells it: without its message, which is in the caller's language. */
const StoredFailure = z.extend(z.omit(Failure, { message: true }), {
  code: z.custom<ErrorCode>(isErrorCode),
});

export const StoredJob = z.extend(Job, { error: z.nullable(StoredFailure) });
export type StoredJob = z.infer<typeof StoredJob>;

export const StoredRefusedItem = z.extend(RefusedItem, { error: StoredFailure });

/** A job with its files in storage, to sign URLs for. */
export const Video = z.object({
  job: StoredJob,
  paths: z.object({ video: z.optional(z.string()), thumbnail: z.optional(z.string()) }),
});
export type Video = z.infer<typeof Video>;

/** Gives the job's error its message in the caller's language. */
export function shownJob({ error, ...job }: StoredJob, language: Language): Job {
  return {
    ...job,
    error: error && { ...error, message: errorMessage(error.code, language, error.details) },
  };
}
