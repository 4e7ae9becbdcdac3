/** Pictures that the user brings, for videos that are made from them. */
import { type Calls, pages, type Query } from "./calls.ts";
import { KinoraError, noAnswer } from "./errors.ts";
import type { components } from "./openapi.ts";
import { type CallOptions, persist, untilEnd } from "./retry.ts";

type Upload = components["schemas"]["Upload"];
type Request = components["schemas"]["PostUploadsRequest"];

const imageTypes = ["image/jpeg", "image/png", "image/webp"] as const;

export class Uploads {
  readonly #calls: Calls;
  readonly #fetch: typeof fetch;
  /** Those that are being sent now. */
  readonly #begun = new Set<string>();

  constructor(calls: Calls, fetch: typeof globalThis.fetch) {
    this.#calls = calls;
    this.#fetch = fetch;
  }

  /**
   * Brings a picture, a JPEG, PNG or WebP of up to 10 MB: `upload_id` is what `generate` takes as `image_upload_id`. Throws
   * ERR_4007 where there is no such project, and ERR_4019 for one that cannot be used, and then, as when it is ended early,
   * takes back what it began, for which it waits five seconds more at most. Each beginning is another upload: it is not
   * repeated where its answer was lost, and what it left is taken back when the same picture finds no room.
   */
  async send(
    image: Blob,
    { projectId, ...options }: CallOptions & { projectId?: string } = {},
  ): Promise<Upload> {
    const left = untilEnd({ ...options, timeout: options.timeout ?? sendTimeout });
    const content_type = imageTypes.find((type) => type === image.type) ?? "image/jpeg";
    const { upload_id, upload_url } = await this.#begin(
      { content_type, bytes: image.size, ...(projectId && { project_id: projectId }) },
      left,
    );
    this.#begun.add(upload_id);
    try {
      await sendFile(this.#fetch, upload_url, image.slice(0, image.size, content_type), left());
      const body = { upload_id, status: "completed" } as const;
      return await this.#calls.call((api, init) => api.PATCH("/uploads", { ...init, body }), left());
    } catch (error) {
      // Only three may be begun at the same time. What stays all the same is over in two hours.
      await this.delete(upload_id, { timeout: 5_000 }).catch(() => {});
      throw error;
    } finally {
      this.#begun.delete(upload_id);
    }
  }

  async #begin(body: Request, left: () => CallOptions) {
    const begin = () =>
      this.#calls.call((api, init) => api.POST("/uploads", { ...init, body }), left(), {
        isRepeatable: false,
      });
    try {
      return await begin();
    } catch (error) {
      if (!(error instanceof KinoraError) || error.code !== "ERR_4009" || !await this.#makeRoom(body, left)) {
        throw error;
      }
      return await begin();
    }
  }

  /** Deletes what earlier beginnings of this picture have left; those of other pictures, and what is being sent here, stay. */
  async #makeRoom({ content_type, bytes }: Request, left: () => CallOptions): Promise<boolean> {
    const lost: string[] = [];
    for await (const upload of this.list({ limit: 100 }, left())) {
      const isSame = upload.content_type === content_type && upload.bytes === bytes;
      if (upload.status === "pending" && isSame && !this.#begun.has(upload.upload_id)) {
        lost.push(upload.upload_id);
      }
    }
    for (const uploadId of lost) await this.delete(uploadId, left()).catch(() => {});
    return lost.length > 0;
  }

  /** All pictures of the user's, newest first; pages are asked for as they are needed. */
  list(
    query: Query<"/uploads"> = {},
    options?: CallOptions,
  ): AsyncGenerator<Upload, void, undefined> {
    return pages(async (cursor) => {
      const page = await this.#calls.call(
        (api, init) => api.GET("/uploads", { ...init, params: { query: { ...query, ...cursor } } }),
        options,
      );
      return [page.uploads, page.next_cursor];
    });
  }

  /** Deletes a picture. Throws ERR_4009 while a video is made from it. */
  async delete(uploadId: string, options?: CallOptions): Promise<void> {
    await this.#calls.call(
      (api, init) => api.DELETE("/uploads", { ...init, params: { query: { upload_id: uploadId } } }),
      options,
    );
  }
}

/** Milliseconds for a picture of up to 10 MB. */
const sendTimeout = 2 * 60_000;

/**
 * PUTs the file, which may be sent again and again. Throws a KinoraError without a code where Storage did not take it.
 */
async function sendFile(
  fetch: typeof globalThis.fetch,
  url: string,
  file: Blob,
  options: CallOptions,
): Promise<void> {
  await persist(
    async (signal) => {
      try {
        const response = await fetch(url, {
          method: "PUT",
          headers: { "content-type": file.type },
          body: file,
          signal,
        });
        await response.body?.cancel();
        if (!response.ok) throw new Error(`Storage answered ${response.status}`);
      } catch (error) {
        throw noAnswer("The picture was not sent", error);
      }
    },
    { timeout: sendTimeout, ...options },
    sendTimeout,
  );
}
