/** Videos whose URLs may have to be signed anew; the storage that signs them, and what is kept of it. */
import assert from "node:assert/strict";
import type { StoredJob } from "../videos/contract.ts";
import type { FakeProcedures } from "./database.ts";
import { projectUrl } from "./tokens.ts";

/** What a completed job has, whose kept URLs expire then; the clock of the tests stands at 12:00. */
export function completed(name: string, expiresAt: string): Partial<StoredJob> {
  return {
    status: "completed",
    completed_at: "2026-11-20T11:59:30.000Z",
    video_url: `https://storage.example.com/${name}`,
    thumbnail_url: `https://storage.example.com/${name}-thumbnail`,
    video_url_expires_at: expiresAt,
  };
}

/** Storage that signs every path but a missing one, and a procedure that keeps what it signed; both tell what they were given. */
export function signing(missing?: string) {
  const signed: [readonly string[], number][] = [];
  const kept: unknown[] = [];
  const procedures: FakeProcedures = {
    keep_signed_urls: ({ p_urls }) => {
      kept.push(p_urls);
      return { kept: 1 };
    },
  };
  const storage = {
    sign: (paths: readonly string[], seconds: number) => {
      signed.push([paths, seconds]);
      return Promise.resolve(
        paths.map((path) => path === missing ? null : `https://storage.example.com/${path}`),
      );
    },
  };
  return { signed, kept, procedures, storage };
}

/** The storage's own answer over HTTP, where it is asked to sign a video and its thumbnail. */
export function answerSigning(input: Parameters<typeof fetch>[0]): Promise<Response> {
  assert.equal(new Request(input).url, `${projectUrl}/storage/v1/object/sign/videos`);
  const signed = ["video.mp4", "thumbnail"].map((path) => ({
    error: null,
    path,
    signedURL: `/object/sign/videos/${path}?token=t`,
  }));
  return Promise.resolve(Response.json(signed));
}
