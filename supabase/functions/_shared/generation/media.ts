/** Fetches what a provider made, from where its provider may keep it and from nowhere else. */

/** A result that no second try would make better. */
export class UnusableResult extends Error {
  override readonly name = "UnusableResult";
}

/** Below the lease of a `store` task, 180 s, so that nobody else begins while this still runs. */
const timeoutMilliseconds = 120_000;

/** Statuses by which a host says that the file is gone for good. */
const gone = [401, 403, 404, 410];

/**
 * Opens the file at `url` as a stream that ends in UnusableResult beyond `maximumBytes`. The host must be in `hosts`:
 * exact names, with their port where they have one, or `*.` and a suffix. Redirects are not followed. Throws
 * UnusableResult for what will never be a result, and other errors for what may be tried again.
 */
export async function openMedia(
  fetch: typeof globalThis.fetch,
  url: string,
  hosts: readonly string[],
  maximumBytes: number,
): Promise<ReadableStream<Uint8Array>> {
  const location = URL.parse(url);
  if (location === null || !isAllowed(location, hosts)) {
    throw new UnusableResult("The result is not at a host of its provider");
  }
  const response = await fetch(location, {
    redirect: "manual",
    signal: AbortSignal.timeout(timeoutMilliseconds),
  });
  const { status, body, headers } = response;
  const isTooLarge = Number(headers.get("content-length")) > maximumBytes;
  if (status !== 200 || body === null || isTooLarge) {
    await body?.cancel();
    const isFinal = status < 400 || gone.includes(status);
    throw isFinal
      ? new UnusableResult(isTooLarge ? "The result is too large" : `Its host answered ${status}`)
      : new Error(`The host of the result answered ${status}`);
  }
  let bytes = 0;
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        bytes += chunk.byteLength;
        if (bytes > maximumBytes) controller.error(new UnusableResult("The result is too large"));
        else controller.enqueue(chunk);
      },
    }),
  );
}

/** Over TLS and its own port, but for hosts that the configuration names with another: simulators on this machine. */
function isAllowed(location: URL, hosts: readonly string[]): boolean {
  return hosts.some((host) => {
    if (host.includes(":")) return location.host === host;
    if (location.protocol !== "https:" || location.port !== "") return false;
    return host.startsWith("*.") ? location.hostname.endsWith(host.slice(1)) : location.hostname === host;
  });
}
