/**
 * What the API's documents say about an endpoint beside its declaration. Each endpoint has a documentation.ts of it, which
 * nothing that is deployed imports; tests hold its examples to the schemas, and call the endpoint as they show.
 */
import type { Job, Model } from "../videos/contract.ts";
import type { Method } from "./operation.ts";

export type Documentation = { readonly [M in Method]?: OperationDocumentation };

export interface OperationDocumentation {
  /** What it does, and what whoever calls it must know; in Markdown. */
  readonly description: string;
  /** Parameters of an example request, and its body. */
  readonly query?: Readonly<Record<string, string>>;
  readonly request?: unknown;
  /** A body for each status that has one. */
  readonly responses?: { readonly [status: number]: unknown };
  /** Headers of the answer with this status, beside those that every answer has. */
  readonly headers?: { readonly [status: number]: Readonly<Record<string, HeaderDocumentation>> };
  /** Calls of the Data API before the answer to this example, where it is not one. */
  readonly dataApiCalls?: number;
  /** An app calls it while somebody looks at it, and feels a cold start: its bundle must be small. */
  readonly isHot?: true;
  readonly walk?: Walk;
}

export interface HeaderDocumentation {
  readonly description: string;
  readonly example: string;
}

/** How the documents' examples in curl, run one after the other, call it. */
export interface Walk {
  /** The endpoint that comes before this one in docs/api.md, where they are to be tried in an order. */
  readonly follows?: string;
  /** Shell commands that make what the request needs. */
  readonly before?: string;
  /** What later requests need of the answer: a variable of the shell, and where it stands. */
  readonly captures?: Readonly<Record<string, `.${string}`>>;
  /** The error's status, where what the documents print cannot succeed. */
  readonly refused?: number;
}

export const exampleIds = {
  user: "5b0f4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10",
  job: "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21",
  model: "0190a000-0000-7000-8000-000000000001",
  admin: "e2a6c1b0-8d34-4f0c-b7a1-52f3a9d0c864",
} as const;

/** A model of the seed. */
export const exampleModel: Model = {
  id: exampleIds.model,
  name: "Kling 2.5 Turbo Pro",
  description: "Cinematic motion from a text, five seconds at a time.",
  category: "text_to_video",
  thumbnail_url: null,
  is_featured: true,
  requires_image: false,
  pricing: { type: "per_video", credits: 4 },
  options: {
    duration_seconds: { values: [5], default: 5 },
    resolution: { values: ["1080p"], default: "1080p" },
    aspect_ratio: { values: ["16:9", "9:16", "1:1"], default: "16:9" },
  },
};

const signedUrl = (file: string) =>
  `https://project.supabase.co/storage/v1/object/sign/videos/${exampleIds.job}/${file}?token=eyJhbGciOiJFUzI1NiJ9`;

/** A job whose video is ready. */
export const exampleJob: Job = {
  job_id: exampleIds.job,
  status: "completed",
  prompt: "A red fox runs through fresh snow",
  model_id: exampleIds.model,
  model_name: "Kling 2.5 Turbo Pro",
  settings: { duration_seconds: 5, resolution: "1080p", aspect_ratio: "16:9" },
  credits_used: 4,
  video_url: signedUrl("video.mp4"),
  video_url_expires_at: "2026-11-21T13:00:00.000Z",
  thumbnail_url: null,
  error: null,
  client_reference: "draft-7",
  cancel_requested_at: null,
  created_at: "2026-11-21T11:58:30.000Z",
  completed_at: "2026-11-21T12:00:00.000Z",
};

/** The same before that. */
export const examplePendingJob: Job = {
  ...exampleJob,
  status: "pending",
  video_url: null,
  video_url_expires_at: null,
  completed_at: null,
};
