/** The port to the private bucket that holds the videos. */
import { codes } from "../errors/error-codes.ts";
import { StorageClient } from "@supabase/storage-js";
import { AppError } from "../errors/app-error.ts";
import type { Port } from "../endpoint/context.ts";
import { secretKey } from "../database/call.ts";
import { limitTime, repeatUnauthorized } from "./platform-fetch.ts";

const bucket = "videos";

/** Of all calls but uploads, which last as long as their stream. */
const timeoutMilliseconds = 10_000;

export interface Storage {
  /** Streams a file to `path`, over one that is there from an earlier attempt. Throws ERR_6002. */
  upload(
    path: string,
    content: ReadableStream<Uint8Array>,
    contentType: string,
    signal: AbortSignal,
  ): Promise<void>;
  /**
   * URLs that open the files for so many seconds, in the order of the paths; null for a file that is not there. Throws
   * ERR_6002.
   */
  sign(paths: readonly string[], seconds: number): Promise<(string | null)[]>;
  /** Removes what is there of the files. Throws ERR_6002. */
  remove(paths: readonly string[]): Promise<void>;
  /** Resolves when the bucket can be reached. Throws ERR_6002. */
  check(): Promise<void>;
}

export const storage: Port<Storage> = (runtime) => {
  const connect = (fetch: typeof globalThis.fetch) =>
    new StorageClient(`${runtime.config.supabase.url}/storage/v1`, { apikey: secretKey(runtime) }, fetch);
  const client = connect(repeatUnauthorized(limitTime(runtime.fetch, timeoutMilliseconds)));
  const files = client.from(bucket);
  return {
    upload: async (path, content, contentType, signal) => {
      const { error } = await connect((input, init) => runtime.fetch(input, { ...init, signal }))
        .from(bucket)
        .upload(path, content, { contentType, upsert: true, duplex: "half" });
      failOn(error);
    },
    sign: async (paths, seconds) => {
      const { data, error } = await files.createSignedUrls([...paths], seconds);
      failOn(error);
      return (data ?? []).map(({ signedUrl }) => signedUrl);
    },
    remove: async (paths) => {
      const { error } = await files.remove([...paths]);
      failOn(error);
    },
    check: async () => {
      const { error } = await client.getBucket(bucket);
      failOn(error);
    },
  };
};

function failOn(error: unknown): void {
  if (error !== null) throw new AppError(codes["storage/failed"], { cause: error });
}
