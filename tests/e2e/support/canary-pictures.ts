/** Pictures with a canary in whatever they have beside their pixels, brought and named as users do. */
import assert from "node:assert/strict";
import * as z from "zod/mini";
import type { Stack } from "../../../local/stack.ts";
import { PostUploadsResponse } from "../../../supabase/functions/uploads/schema.ts";
import type { Canary } from "./canaries.ts";
import { fixture } from "./uploads.ts";

/** A picture that a comment and a packet of XMP follow its start in, as phones and editors write them. */
async function pictureWith({ value }: Canary): Promise<Uint8Array<ArrayBuffer>> {
  const file = await fixture("phone.jpg");
  const text = new TextEncoder().encode(value);
  const xmp = new TextEncoder().encode(`http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>${value}</x:xmpmeta>`);
  const segment = (marker: number, content: Uint8Array<ArrayBuffer>) =>
    new Uint8Array([0xff, marker, (content.length + 2) >> 8, (content.length + 2) & 0xff, ...content]);
  const parts = [file.subarray(0, 2), segment(0xe1, xmp), segment(0xfe, text), file.subarray(2), text];
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/**
 * Brings the picture whole and broken, and has videos made from it, and from addresses that have the canary. Gives what else must be
 * in no log: the tokens of the URLs that were handed out.
 */
export async function bringPictures(
  stack: Stack,
  headers: Readonly<Record<string, string>>,
  canary: Canary,
  modelId: string,
): Promise<string[]> {
  const call = async (path: string, method: string, body: unknown, key = crypto.randomUUID()) => {
    const answer = await fetch(`${stack.url}/functions/v1/${path}`, {
      method,
      headers: { ...headers, "content-type": "application/json", "idempotency-key": key },
      body: JSON.stringify(body),
    });
    const text = await answer.text();
    return { status: answer.status, body: text === "" ? null : JSON.parse(text) };
  };
  const prompt = "A fox in the snow";
  const file = await pictureWith(canary);
  const tokens: string[] = [];
  for (const content of [file, file.slice(0, 2_000)]) {
    const begun = await call("uploads", "POST", { content_type: "image/jpeg", bytes: file.length });
    // Where the database is away or broken, nothing is begun.
    if (begun.status !== 201) continue;
    const { upload_id, upload_url } = z.parse(PostUploadsResponse, begun.body);
    tokens.push(new URL(upload_url).searchParams.get("token") ?? assert.fail("no token"));
    // Its content type and its name are the sender's too.
    await (await fetch(upload_url, {
      method: "PUT",
      headers: {
        "content-type": "image/jpeg",
        "content-disposition": `filename=${encodeURIComponent(canary.value)}`,
      },
      body: content,
    })).body?.cancel();
    await call("uploads", "PATCH", { upload_id, status: "completed" });
    await call("generate-video", "POST", { model_id: modelId, prompt, image_upload_id: upload_id });
    await call(`uploads?upload_id=${upload_id}`, "DELETE", {});
  }
  const word = encodeURIComponent(canary.value);
  for (
    const image_url of [
      `https://a.example.com/${word}.jpg?token=${word}#${word}`,
      `https://${"x".repeat(60)}.example.org/${word}`,
    ]
  ) {
    await call("generate-video", "POST", { model_id: modelId, prompt, image_url });
  }
  return tokens;
}
