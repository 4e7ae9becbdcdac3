/** Sends a picture's file to where Kinora said. */
import { noAnswer } from "./errors.ts";
import { type CallOptions, persist } from "./retry.ts";

/** Milliseconds for a picture of up to 10 MB. */
const sendTimeout = 2 * 60_000;

/**
 * PUTs the file, which may be sent again and again. Throws a KinoraError without a code where Storage did not take it.
 */
export async function sendFile(
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
