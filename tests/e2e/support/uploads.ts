/** Bringing pictures in tests, as an app does it. */
import assert from "node:assert/strict";
import type * as z from "zod";
import { Upload } from "../../../supabase/functions/_shared/videos/contract.ts";
import { PostUploadsResponse } from "../../../supabase/functions/uploads/schema.ts";
import { type Answer, bodyOf } from "./answer.ts";
import type { Backend, Guest } from "./backend.ts";

const fixtures = new URL("../../../supabase/functions/_shared/videos/images/fixtures/", import.meta.url);

/** A picture of the fixtures, 96 by 72. */
export const fixture = (name: string): Promise<Uint8Array<ArrayBuffer>> =>
  Deno.readFile(new URL(name, fixtures));

type Begun = z.output<typeof PostUploadsResponse>;

/** Begins an upload of so many bytes. */
export async function beginUpload(guest: Guest, bytes: number, contentType = "image/jpeg"): Promise<Begun> {
  const answer = await guest.call("uploads", { body: { content_type: contentType, bytes } });
  return bodyOf(answer, 201, PostUploadsResponse);
}

/** Sends the file with supabase-js; `error` is null where Storage took it. */
export async function sendFile(
  guest: Guest,
  { upload_url }: Pick<Begun, "upload_url">,
  file: Uint8Array<ArrayBuffer>,
  contentType = "image/jpeg",
) {
  const url = new URL(upload_url);
  const path = url.pathname.split("/object/upload/sign/uploads/")[1] ?? "";
  return await guest.supabase.storage.from("uploads")
    .uploadToSignedUrl(path, url.searchParams.get("token") ?? "", file, { contentType });
}

/** An upload whose file is there, and that is not completed. */
export async function sendUpload(
  guest: Guest,
  name = "phone.jpg",
  contentType = "image/jpeg",
): Promise<Begun> {
  const file = await fixture(name);
  const begun = await beginUpload(guest, file.length, contentType);
  assert.equal((await sendFile(guest, begun, file, contentType)).error, null);
  return begun;
}

export function completeUpload(guest: Guest, uploadId: string): Promise<Answer> {
  return guest.call("uploads", { method: "PATCH", body: { upload_id: uploadId, status: "completed" } });
}

/** A picture that its user has sent and completed. */
export async function bringUpload(
  guest: Guest,
  name?: string,
  contentType?: string,
): Promise<z.output<typeof Upload>> {
  const { upload_id } = await sendUpload(guest, name, contentType);
  return bodyOf(await completeUpload(guest, upload_id), 200, Upload);
}

/** A model of the seed that makes videos from pictures, at the simulated fal. */
export async function modelFromPicture({ database }: Backend): Promise<string> {
  const [model] = await database.sql<{ id: string }[]>`
    select m.id from videos.models as m
    join videos.model_providers as p on p.model_id = m.id and p.provider = 'fal'
    where m.requires_image order by m.credits limit 1`;
  return model?.id ?? assert.fail("No model takes a picture");
}
