import * as z from "zod/mini";
import { pageQuery, positionTime } from "../_shared/request/cursor.ts";
import { optional } from "../_shared/request/validation.ts";
import { ImageType, ProjectId, Upload } from "../_shared/videos/contract.ts";
import { maxImageBytes } from "../_shared/videos/images/picture.ts";

const timestamp = z.iso.datetime({ precision: 3 });
const uploadId = z.guid().check(z.toLowerCase());

export const GetUploadsQuery = z.strictObject({ ...pageQuery, project_id: z.optional(ProjectId) });
export type GetUploadsQuery = z.infer<typeof GetUploadsQuery>;

/** What a cursor holds: the last upload that was shown. */
export const UploadsPosition = z.strictObject({ created_at: positionTime, id: z.uuid() });

/** A page as the database tells it, with where the next one begins; null at the end. */
export const UploadPage = z.object({ uploads: z.array(Upload), next: z.nullable(UploadsPosition) });
export type UploadPage = z.infer<typeof UploadPage>;

export const GetUploadsResponse = z.object({ uploads: z.array(Upload), next_cursor: z.nullable(z.string()) });
export type GetUploadsResponse = z.infer<typeof GetUploadsResponse>;

export const PostUploadsRequest = z.strictObject({
  content_type: ImageType,
  /** Of the file, which may have fewer and not more. */
  bytes: z.int().check(z.positive(), z.maximum(maxImageBytes)),
  project_id: optional(ProjectId),
});
export type PostUploadsRequest = z.infer<typeof PostUploadsRequest>;

/** An upload that has just begun, as the database tells it. */
export const BegunUpload = z.object({ upload_id: z.uuid(), folder: z.string(), expires_at: timestamp });
export type BegunUpload = z.infer<typeof BegunUpload>;

export const PostUploadsResponse = z.object({
  upload_id: z.uuid(),
  status: z.literal("pending"),
  /** Where the file is to be PUT. */
  upload_url: z.url(),
  /** Of the URL, and of an upload that was not completed. */
  expires_at: timestamp,
});
export type PostUploadsResponse = z.infer<typeof PostUploadsResponse>;

export const PatchUploadsRequest = z.strictObject({ upload_id: uploadId, status: z.literal("completed") });
export type PatchUploadsRequest = z.infer<typeof PatchUploadsRequest>;

/** What is to be looked at; where `upload` is not null, nothing is. */
export const LoadedUpload = z.object({
  folder: z.string(),
  content_type: ImageType,
  bytes: z.int(),
  upload: z.nullable(Upload),
});
export type LoadedUpload = z.infer<typeof LoadedUpload>;

/** `is_first`: it was this copy that made the upload ready. */
export const CompletedUpload = z.extend(Upload, { is_first: z.boolean() });
export type CompletedUpload = z.infer<typeof CompletedUpload>;

export const PatchUploadsResponse = Upload;

export const DeleteUploadsQuery = z.strictObject({ upload_id: uploadId });
export type DeleteUploadsQuery = z.infer<typeof DeleteUploadsQuery>;
