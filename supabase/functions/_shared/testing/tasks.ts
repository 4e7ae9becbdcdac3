import type { Task } from "../queue/task.ts";
import type { ClaimedSubmission, Submission, VideoTaskFacts } from "../videos/procedures.ts";
import { userId } from "./tokens.ts";

export const jobId = "0190a000-0000-7000-8000-0000000000aa";

/** Names the user of the tokens to others. */
export const ownerReference = "0190a000-0000-7000-8000-0000000000ee";

export const submission: Submission = {
  submission_id: "0190a000-0000-7000-8000-0000000000cc",
  provider: "fal",
  provider_model: "fal-ai/veo3/fast",
  request_id: "request-1",
  references: { status_url: "https://queue.fal.run/status" },
};

/** What is claimed to be sent, of the same job. */
export const claim: ClaimedSubmission = {
  claimed: true,
  submission_id: submission.submission_id,
  owner_reference: ownerReference,
  provider: submission.provider,
  provider_model: submission.provider_model,
  prompt: "a red fox",
  settings: { duration_seconds: 8, resolution: "720p", aspect_ratio: "9:16" },
  fields: { seed: 7 },
};

/** Of the webhooks that providers send. */
export const webhookSecret = "a secret of thirty-two characters";

/** What the database knows of the job, whose files are not in storage yet. */
export const facts: VideoTaskFacts = { folder: `${ownerReference}/${jobId}`, paths: [], submission };

/** The files of the job once they are in storage. */
export const filePaths = [`${facts.folder}/video.mp4`, `${facts.folder}/thumbnail`];

const common = { subject: jobId, owner_id: userId, attempt: 1, payload: {} };

export const storeTask = {
  ...common,
  task_id: 1,
  kind: "store",
  payload: { video_url: "https://v3.fal.media/video.mp4", thumbnail_url: null },
} satisfies Task;

export const pollTask = { ...common, task_id: 2, kind: "poll" } satisfies Task;
export const cancelTask = { ...common, task_id: 3, kind: "cancel" } satisfies Task;
export const submitTask = { ...common, task_id: 4, kind: "submit" } satisfies Task;
export const deleteFilesTask = { ...common, task_id: 5, kind: "delete_files" } satisfies Task;
export const eraseAccountTask = {
  ...common,
  task_id: 6,
  kind: "erase_account",
  subject: userId,
} satisfies Task;
