/**
 * Objects on disk: what S3 is to the hosted platform's Storage. Bytes are streamed in and out, never held whole.
 */
import { rm } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import type { ObjectStore } from "../lite.ts";

/** The entity tag of a file: no two versions of an object have the same size and time of writing. */
function entityTag({ size, mtime }: Deno.FileInfo): string {
  return `"${size.toString(16)}-${(mtime?.getTime() ?? 0).toString(16)}"`;
}

/** Where `key` of `bucket` lies under `directory`. Throws on a key that would lead out of it. */
export function objectPath(directory: string, bucket: string, key: string): string {
  const parts = [bucket, ...decodeURIComponent(key).split("/")];
  if (parts.some((part) => part === "" || part === "." || part === ".." || part.includes("\0"))) {
    throw new Error(`Invalid object key: ${key}`);
  }
  // A suffix, so that an object "a" and an object "a/b" can both exist.
  return `${directory}/${parts.join("/")}.object`;
}

/** A store below `directory`. */
export function createObjectStore(directory: string): ObjectStore {
  const pathOf = (bucket: string, key: string) => objectPath(directory, bucket, key);

  async function describe(path: string) {
    const info = await Deno.stat(path);
    return {
      // Lite keeps type and caching of an object in its row and asks here for the rest.
      mimetype: "application/octet-stream",
      cacheControl: "no-cache",
      contentLength: info.size,
      size: info.size,
      eTag: entityTag(info),
      httpStatusCode: 200,
      ...(info.mtime === null ? {} : { lastModified: info.mtime }),
    };
  }

  /** Writes a new version beside the old one and swaps them, so that a reader sees either, and a broken upload neither. */
  async function replace(path: string, write: (unfinished: string) => Promise<void>): Promise<void> {
    // Nobody else on this machine looks into private buckets.
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o700 });
    const unfinished = `${path}.${crypto.randomUUID()}.unfinished`;
    try {
      await write(unfinished);
      await Deno.rename(unfinished, path);
    } catch (error) {
      await rm(unfinished, { force: true });
      throw error;
    }
  }

  return {
    driver: undefined,
    async uploadObject(bucket, key, _version, body, contentType, cacheControl) {
      const path = pathOf(bucket, key);
      await replace(path, async (unfinished) => {
        if (body instanceof Uint8Array) return await Deno.writeFile(unfinished, body);
        using file = await Deno.open(unfinished, { write: true, createNew: true });
        for await (const chunk of body) {
          // Into the page cache, in less time than handing it to a thread takes; a video has thousands of chunks.
          for (let written = 0; written < chunk.length;) written += file.writeSync(chunk.subarray(written));
        }
      });
      return { ...await describe(path), mimetype: contentType, cacheControl };
    },
    async getObject(bucket, key) {
      const path = pathOf(bucket, key);
      const metadata = await describe(path);
      const { readable } = await Deno.open(path);
      return { metadata, httpStatusCode: 200, body: readable };
    },
    headObject: (bucket, key) => describe(pathOf(bucket, key)),
    deleteObject: (bucket, key) => rm(pathOf(bucket, key), { force: true }),
    async deleteObjects(bucket, keys) {
      for (const key of keys) await rm(pathOf(bucket, key), { force: true });
    },
    async copyObject(fromBucket, fromKey, _version, toBucket, toKey) {
      const path = pathOf(toBucket, toKey);
      await replace(path, (unfinished) => Deno.copyFile(pathOf(fromBucket, fromKey), unfinished));
      const { eTag, lastModified } = await describe(path);
      return { httpStatusCode: 200, eTag, ...(lastModified === undefined ? {} : { lastModified }) };
    },
    privateAssetUrl: (bucket, key) => Promise.resolve(pathToFileURL(pathOf(bucket, key)).href),
  };
}

/**
 * Answers GET and HEAD with the file at `path`, or with the part that a Range header asks for, as video players do.
 * Rejects with NotFound when there is none. `headers` are added to the answer.
 */
export async function serveObject(
  request: Request,
  path: string,
  headers: Record<string, string>,
): Promise<Response> {
  const file = await Deno.open(path);
  const info = await file.stat();
  const etag = entityTag(info);
  const all = {
    ...headers,
    "accept-ranges": "bytes",
    etag,
    ...(info.mtime === null ? {} : { "last-modified": info.mtime.toUTCString() }),
  };

  const range = rangeOf(request, info.size, etag);
  if (range === "unsatisfiable") {
    file.close();
    return new Response(null, { status: 416, headers: { ...all, "content-range": `bytes */${info.size}` } });
  }
  const [first, last] = range ?? [0, info.size - 1];
  const length = last - first + 1;
  const init = {
    status: range === undefined ? 200 : 206,
    headers: {
      ...all,
      "content-length": `${length}`,
      ...(range === undefined ? {} : { "content-range": `bytes ${first}-${last}/${info.size}` }),
    },
  };
  if (request.method === "HEAD" || length === 0) {
    file.close();
    return new Response(null, init);
  }
  await file.seek(first, Deno.SeekMode.Start);
  return new Response(
    range === undefined ? file.readable : file.readable.pipeThrough(takeBytes(length)),
    init,
  );
}

/** The first and the last byte asked for; undefined when it is the whole file. Several ranges are answered with it all. */
function rangeOf(
  request: Request,
  size: number,
  etag: string,
): [number, number] | "unsatisfiable" | undefined {
  const [, from = "", to = ""] = /^bytes=(\d*)-(\d*)$/.exec(request.headers.get("range") ?? "") ?? [];
  if (from === "" && to === "") return undefined;
  const condition = request.headers.get("if-range");
  if (condition !== null && condition !== etag) return undefined;
  const [first, last] = from === ""
    ? [Math.max(0, size - Number(to)), size - 1]
    : [Number(from), to === "" ? size - 1 : Math.min(Number(to), size - 1)];
  return first > last || first >= size ? "unsatisfiable" : [first, last];
}

/** Passes `length` bytes on and then ends the stream. */
function takeBytes(length: number): TransformStream<Uint8Array, Uint8Array> {
  let left = length;
  return new TransformStream({
    transform(chunk, controller) {
      controller.enqueue(chunk.subarray(0, left));
      left -= Math.min(left, chunk.length);
      if (left === 0) controller.terminate();
    },
  });
}
