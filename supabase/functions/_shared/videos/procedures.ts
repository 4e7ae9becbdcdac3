/** What the procedures that carry a job from acceptance to its end tell whoever works for it. */
import * as z from "zod/mini";
import { InputValue } from "./contract.ts";
import { jobStatuses } from "./job-status.ts";
import type { JsonValue } from "../platform/json.ts";
import { Task } from "../queue/task.ts";

/** The job's status after the call. */
export const JobState = z.object({ status: z.enum(jobStatuses) });
export type JobState = z.infer<typeof JobState>;

/** What record_submission answers; `has_others`: the job may be claimed at once for another provider. */
export const RecordedSubmission = z.object({ ...JobState.shape, has_others: z.boolean() });
export type RecordedSubmission = z.infer<typeof RecordedSubmission>;

export const ClaimedSubmission = z.object({
  claimed: z.literal(true),
  submission_id: z.guid(),
  /** Names the job's owner to others. */
  owner_reference: z.guid(),
  provider: z.string(),
  provider_model: z.string(),
  prompt: z.string(),
  settings: z.object({ duration_seconds: z.int(), resolution: z.string(), aspect_ratio: z.string() }),
  /** The provider's own, for what the model takes beside prompt and size. */
  fields: z.record(z.string(), InputValue),
});
export type ClaimedSubmission = z.infer<typeof ClaimedSubmission>;

/** What a job's picture needs before it is claimed. */
const imageToDo = {
  /** The copy that it is made from, whose URL has to live so long. */
  image_path: z.optional(z.string()),
  image_seconds: z.optional(z.int()),
  /** Where it is to be fetched from, the folder that its copy goes to, and the upload that this will be. */
  image_url: z.optional(z.string()),
  image_folder: z.optional(z.string()),
  image_upload_id: z.optional(z.guid()),
};
export const ImageToDo = z.object(imageToDo);
export type ImageToDo = z.infer<typeof ImageToDo>;

/** The video, and the pictures by their ids, that the job is made from; their URLs have to live so long. */
const filesToSign = {
  source_path: z.optional(z.string()),
  picture_paths: z.optional(z.record(z.string(), z.string())),
  files_seconds: z.optional(z.int()),
};
export const FilesToSign = z.object(filesToSign);
export type FilesToSign = z.infer<typeof FilesToSign>;

/** Without a claim there is nothing to send; a prompt that comes has to be seen by the moderation service before. */
export const Claim = z.discriminatedUnion("claimed", [
  ClaimedSubmission,
  z.object({
    claimed: z.literal(false),
    prompt: z.optional(z.string()),
    ...imageToDo,
    ...filesToSign,
  }),
]);
export type Claim = z.infer<typeof Claim>;

/** A submission that a provider has, or may have. */
const Submission = z.object({
  submission_id: z.guid(),
  provider: z.string(),
  provider_model: z.string(),
  /** Null while the provider's answer is not known. */
  request_id: z.nullable(z.string()),
  references: z.nullable(z.record(z.string(), z.string())),
});
export type Submission = z.infer<typeof Submission>;

/** What the handlers of a job's tasks need to know of it. */
export const VideoTaskFacts = z.object({
  /** Where the job's files are in storage. */
  folder: z.string(),
  /** The files that are there. */
  paths: z.array(z.string()),
  submission: z.nullable(Submission),
});
export type VideoTaskFacts = z.infer<typeof VideoTaskFacts>;

/** What `delete_files` needs. */
export const DeletionFacts = z.object({
  ...VideoTaskFacts.shape,
  /** Under a legal hold: the files stay. An older database holds nothing. */
  is_held: z._default(z.boolean(), false),
});

export const ProviderEffect = z.object({
  job_id: z.guid(),
  effect: z.enum(["applied", "asked", "ignored", "replayed"]),
  /** Those that the event made due, which the caller has now. */
  tasks: z.array(Task),
});
export type ProviderEffect = z.infer<typeof ProviderEffect>;

/** What a provider port says, with its keys as SQL writes them: `requestId` becomes `request_id`. */
export function inSql(value: object): Record<string, JsonValue> {
  const entries = Object.entries(value).map(([key, member]) => [
    key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    member,
  ]);
  return Object.fromEntries(entries);
}
