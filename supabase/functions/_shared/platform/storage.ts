/** The ports to the private buckets: the one that holds the videos, and the one that users upload pictures into. */
import { codes } from "../errors/error-codes.ts";
import { StorageClient } from "@supabase/storage-js";
import { AppError } from "../errors/app-error.ts";
import type { Port } from "../endpoint/context.ts";
import { secretKey } from "../database/call.ts";
import { limitTime, repeatUnauthorized } from "./platform-fetch.ts";
import { StorageAway } from "./storage-away.ts";

/** Of all calls but streams, which last as long as these. */
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
  /** The file, as it is read; null where there is none. Throws ERR_6002. */
  open(path: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array> | null>;
  /** Removes what is there of the files. Throws ERR_6002. */
  remove(paths: readonly string[]): Promise<void>;
  /** Resolves when the bucket can be reached. Throws ERR_6002. */
  check(): Promise<void>;
}

/** A bucket that others write into, too. */
export interface UploadStorage extends Storage {
  /** A URL to which anybody may PUT a file for two hours, over one that is there. Throws ERR_6002. */
  signUpload(path: string): Promise<string>;
  /** The whole file; null where there is none. Throws ERR_6002. */
  download(path: string): Promise<Uint8Array<ArrayBuffer> | null>;
}

export const storage: Port<Storage> = (runtime) => bucket("videos", runtime);

export const uploadStorage: Port<UploadStorage> = (runtime) => bucket("uploads", runtime);

function bucket(name: string, runtime: Parameters<Port<Storage>>[0]): UploadStorage {
  const connect = (fetch: typeof globalThis.fetch) =>
    new StorageClient(`${runtime.config.supabase.url}/storage/v1`, { apikey: secretKey(runtime) }, fetch);
  const client = connect(repeatUnauthorized(limitTime(runtime.fetch, timeoutMilliseconds)));
  const files = client.from(name);
  return {
    upload: async (path, content, contentType, signal) => {
      const { error } = await connect((input, init) => runtime.fetch(input, { ...init, signal }))
        .from(name)
        .upload(path, content, { contentType, upsert: true, duplex: "half" });
      failOn(error, signal);
    },
    sign: async (paths, seconds) => {
      const { data, error } = await files.createSignedUrls([...paths], seconds);
      failOn(error);
      return (data ?? []).map(({ signedUrl }) => signedUrl);
    },
    open: async (path, signal) => {
      const { data, error } = await connect(repeatUnauthorized(runtime.fetch)).from(name)
        .download(path, {}, { signal }).asStream();
      if (error !== null && isNotFound(error)) return null;
      failOn(error, signal);
      return data;
    },
    remove: async (paths) => {
      const { error } = await files.remove([...paths]);
      failOn(error);
    },
    check: async () => {
      const { error } = await client.getBucket(name);
      failOn(error);
    },
    signUpload: async (path) => {
      const { data, error } = await files.createSignedUploadUrl(path, { upsert: true });
      failOn(error);
      return data?.signedUrl ?? "";
    },
    download: async (path) => {
      const { data, error } = await files.download(path);
      if (error !== null && isNotFound(error)) return null;
      failOn(error);
      return new Uint8Array(await (data ?? new Blob()).arrayBuffer());
    },
  };
}

/** Storage says 400 where it means 404, and the number in words. */
function isNotFound(error: object): boolean {
  const { statusCode, status } = error as { statusCode?: unknown; status?: unknown };
  return String(statusCode) === "404" || status === 404;
}

function failOn(error: unknown, signal?: AbortSignal): void {
  if (error === null) return;
  // What was aborted says nothing about Storage.
  const cause = isAway(error) && signal?.aborted !== true
    ? new StorageAway(wordsOf(error), { cause: error })
    : error;
  throw new AppError(codes["storage/failed"], { cause });
}

/** No answer, one of a gateway or of a server that is broken, or one that asks to wait; not a refusal. */
function isAway(error: unknown): boolean {
  const status = typeof error === "object" && error !== null && "status" in error
    ? Number(error.status)
    : NaN;
  return Number.isNaN(status) || status === 0 || status === 429 || status >= 500;
}

/** Without what the error quotes: paths have a user's reference. */
function wordsOf(error: unknown): string {
  const status = typeof error === "object" && error !== null && "status" in error ? error.status : undefined;
  return status === undefined || status === 0 ? "Storage did not answer" : `Storage answered ${status}`;
}
