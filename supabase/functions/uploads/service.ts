import * as z from "zod/mini";
import { actor, type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { AppError } from "../_shared/errors/app-error.ts";
import { codes } from "../_shared/errors/error-codes.ts";
import type { UploadStorage } from "../_shared/platform/storage.ts";
import { readCursor, writeCursor } from "../_shared/request/cursor.ts";
import type { Upload } from "../_shared/videos/contract.ts";
import { incomingIn, keepCopy, readImage } from "../_shared/videos/images/copies.ts";
import { UnusableImage } from "../_shared/videos/images/picture.ts";
import {
  BegunUpload,
  CompletedUpload,
  type DeleteUploadsQuery,
  type GetUploadsQuery,
  type GetUploadsResponse,
  LoadedUpload,
  type PatchUploadsRequest,
  type PostUploadsRequest,
  type PostUploadsResponse,
  UploadPage,
  UploadsPosition,
} from "./schema.ts";

type UploadsContext = Context<"user"> & { database: Database };

/** A page of the caller's pictures. */
export async function getUploads(
  { cursor, limit, ...filter }: GetUploadsQuery,
  context: UploadsContext,
): Promise<Answer<GetUploadsResponse>> {
  const args = {
    ...fields({ limit, ...filter }),
    ...actor(context),
    p_after: readCursor(UploadsPosition, cursor),
  };
  const { uploads, next } = await context.database.call("get_uploads", args, UploadPage);
  return { status: 200, body: { uploads, next_cursor: writeCursor(next) } };
}

/**
 * Takes the room for a picture, then signs the URL that its file goes to. Where that fails the room is given back; should that
 * not happen, it is given back when the URL would have expired.
 */
export async function postUploads(
  request: PostUploadsRequest,
  context: UploadsContext & { uploads: Pick<UploadStorage, "signUpload"> },
): Promise<Answer<PostUploadsResponse>> {
  const { database, uploads } = context;
  const { upload_id, folder, expires_at } = await database.call(
    "post_uploads",
    { ...fields(request), ...actor(context) },
    BegunUpload,
  );
  try {
    const upload_url = await uploads.signUpload(incomingIn(folder));
    return { status: 201, body: { upload_id, status: "pending", upload_url, expires_at } };
  } catch (error) {
    const args = { p_upload_id: upload_id, ...actor(context) };
    context.waitUntil(() => database.call("delete_uploads", args, z.unknown()));
    throw error;
  }
}

/**
 * Looks at the file that came, and copies what is the picture of it to where its user cannot write. What is at the upload's
 * URL is never used. Throws ERR_4019 where it is of no use; another may be sent, and the upload be completed then.
 */
export async function patchUploads(
  { upload_id }: PatchUploadsRequest,
  context: UploadsContext & { uploads: Pick<UploadStorage, "download" | "upload" | "remove"> },
): Promise<Answer<Upload>> {
  const { database, uploads } = context;
  const loaded = await database.call(
    "load_upload",
    { p_upload_id: upload_id, ...actor(context) },
    LoadedUpload,
  );
  if (loaded.upload !== null) return { status: 200, body: loaded.upload };

  const incoming = incomingIn(loaded.folder);
  const image = usable(await uploads.download(incoming), loaded);
  const copy = await keepCopy(image, loaded.folder, uploads);
  let isKept = false;
  try {
    const args = { p_user_id: context.caller.userId, p_upload_id: upload_id, ...fields(copy) };
    const { is_first, ...upload } = await database.call("patch_uploads", args, CompletedUpload);
    isKept = is_first;
    return { status: 200, body: upload };
  } catch (error) {
    // Without an answer it may have been kept. What was not, the task removes that comes after the URL has expired.
    isKept = !(error instanceof AppError && error.code === codes["resource/not-found"]);
    throw error;
  } finally {
    // Not later than it must: the file tells where it was made.
    context.waitUntil(() => uploads.remove(isKept ? [incoming] : [incoming, copy.path]));
  }
}

/** The picture is gone for its user at once; a task removes its files. */
export async function deleteUploads(query: DeleteUploadsQuery, context: UploadsContext): Promise<Answer> {
  await context.database.call("delete_uploads", { ...fields(query), ...actor(context) }, z.unknown());
  return { status: 204 };
}

function usable(file: Uint8Array | null, told: LoadedUpload) {
  try {
    return readImage(file, told);
  } catch (error) {
    if (!(error instanceof UnusableImage)) throw error;
    throw new AppError(codes["upload/not-usable"], { details: { reason: error.reason }, cause: error });
  }
}
