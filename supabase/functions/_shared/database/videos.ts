/** The procedures behind the app's endpoints for models and videos. */
import type { Idempotency, Port } from "../endpoint/context.ts";
import type { ErrorCode } from "../errors/error-codes.ts";
import type { JsonObject, JsonValue } from "../platform/json.ts";
import type { JobStatus } from "./job-status.ts";
import { procedures } from "./procedures.ts";

export interface Catalogue {
  models: CatalogueModel[];
}

export interface CatalogueModel {
  id: string;
  name: string;
  description: string;
  category: "text_to_video" | "image_to_video";
  thumbnail_url: string | null;
  is_featured: boolean;
  requires_image: boolean;
  pricing: { type: "per_video" | "per_second"; credits: number };
  options: {
    duration_seconds: { values: number[]; default: number };
    resolution: { values: string[]; default: string };
    aspect_ratio: { values: string[]; default: string };
    prompt_max_characters?: number;
  };
}

export interface VideoRequest {
  userId: string;
  network: string | null;
  requestId: string;
  idempotency: Idempotency;
  modelId: string;
  prompt: string;
  settings: JsonObject;
  imageUrl: string | null;
  /** Those that this deployment has keys for. */
  providers: readonly string[];
}

export interface AcceptedVideo {
  job_id: string;
  status: "pending";
  /** Credits. */
  credits_used: number;
  credits_remaining: number;
  created_at: string;
}

/** A job as the API shows it, but for the error's message, which is in the caller's language. */
export interface Job {
  job_id: string;
  status: JobStatus;
  prompt: string;
  model_id: string;
  model_name: string;
  settings: { duration_seconds: number; resolution: string; aspect_ratio: string };
  credits_used: number;
  video_url: string | null;
  video_url_expires_at: string | null;
  thumbnail_url: string | null;
  error: { code: ErrorCode; details: Record<string, JsonValue> } | null;
  created_at: string;
  completed_at: string | null;
}

/** A job with its files in storage, to sign URLs for. */
export interface Video {
  job: Job;
  paths: { video?: string; thumbnail?: string };
}

export interface VideoStatus extends Video {
  progress: {
    stage: "queued" | "submitted" | "generating" | "storing" | "done";
    percent: number | null;
  };
  next_poll_seconds: number | null;
}

/** What a job shows of its files. */
export interface SignedUrls {
  video_url: string;
  thumbnail_url: string | null;
  /** ISO 8601. */
  video_url_expires_at: string;
}

export interface JobUrls extends SignedUrls {
  job_id: string;
}

export interface VideoPage {
  videos: Video[];
  /** Where the next page begins; null at the end. */
  next: JsonValue;
}

export interface VideosDatabase {
  /** Throws ERR_4004, 4005 and 4017. */
  listModels(userId: string): Promise<Catalogue>;
  /** Throws ERR_4001, 4002, 4004, 4005, 4008, 4011, 4012, 4017 and 6004. */
  generateVideo(request: VideoRequest): Promise<AcceptedVideo>;
  /** Throws ERR_4004, 4005, 4007 and 4017. */
  videoStatus(userId: string, jobId: string): Promise<VideoStatus>;
  /**
   * Jobs with one status or with any, newest first, from a position that an earlier page told. Throws ERR_4004,
   * 4005 and 4017.
   */
  listVideoJobs(
    userId: string,
    page: { limit: number; status: JobStatus | null; after: JsonValue },
  ): Promise<VideoPage>;
  keepSignedUrls(urls: readonly JobUrls[]): Promise<void>;
  /** The job, cancelled or asked to be. Throws ERR_4004, 4005, 4007, 4009 and 4017. */
  cancelVideo(userId: string, jobId: string): Promise<Job>;
  /** Throws ERR_4004, 4005, 4007, 4009 and 4017. */
  deleteVideoJob(userId: string, jobId: string): Promise<void>;
}

export const videos: Port<VideosDatabase> = (runtime) => {
  const call = procedures(runtime);
  return {
    listModels: (userId) => call("models", { p_user_id: userId }),
    generateVideo: (request) =>
      call("generate_video", {
        p_user_id: request.userId,
        p_network: request.network,
        p_idempotency_key: request.idempotency.key,
        p_fingerprint: request.idempotency.fingerprint,
        p_request_id: request.requestId,
        p_model_id: request.modelId,
        p_prompt: request.prompt,
        p_settings: request.settings,
        p_image_url: request.imageUrl,
        p_providers: [...request.providers],
      }),
    videoStatus: (userId, jobId) => call("video_status", { p_user_id: userId, p_job_id: jobId }),
    listVideoJobs: (userId, { limit, status, after }) =>
      call("video_jobs", { p_user_id: userId, p_limit: limit, p_status: status, p_after: after }),
    keepSignedUrls: async (urls) => {
      await call("keep_signed_urls", { p_urls: urls.map((each) => ({ ...each })) });
    },
    cancelVideo: async (userId, jobId) => {
      const { job } = await call<{ job: Job }, "cancel_video">("cancel_video", {
        p_user_id: userId,
        p_job_id: jobId,
      });
      return job;
    },
    deleteVideoJob: async (userId, jobId) => {
      await call("delete_video_job", { p_user_id: userId, p_job_id: jobId });
    },
  };
};
