import type { PollTask, StoreTask, Submission, Task } from "../database/generation.ts";
import { userId } from "./tokens.ts";

export const jobId = "0190a000-0000-7000-8000-0000000000aa";

export const submission: Submission = {
  submission_id: "0190a000-0000-7000-8000-0000000000cc",
  provider: "fal",
  provider_model: "fal-ai/veo3/fast",
  request_id: "request-1",
  references: { status_url: "https://queue.fal.run/status" },
};

const common = { subject: jobId, attempt: 1, user_id: userId, submission };

export const storeTask: StoreTask = {
  ...common,
  task_id: 1,
  kind: "store",
  payload: { video_url: "https://v3.fal.media/video.mp4", thumbnail_url: null },
};

export const pollTask: PollTask = { ...common, task_id: 2, kind: "poll", payload: {} };
export const cancelTask = { ...common, task_id: 3, kind: "cancel", payload: {} } satisfies Task;
export const submitTask = {
  ...common,
  task_id: 4,
  kind: "submit",
  payload: {},
  submission: null,
} satisfies Task;

export const deleteFilesTask = {
  ...common,
  task_id: 5,
  kind: "delete_files",
  payload: {},
  submission: null,
  paths: [`${userId}/${jobId}/video.mp4`, `${userId}/${jobId}/thumbnail`],
} satisfies Task;

export const eraseAccountTask = {
  ...common,
  task_id: 6,
  kind: "erase_account",
  subject: userId,
  payload: {},
  submission: null,
  paths: deleteFilesTask.paths,
} satisfies Task;
