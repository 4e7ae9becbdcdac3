/** Fetches what a provider made, from where its provider may keep it and from nowhere else. */

/** A result that no second try would make better. */
export class UnusableResult extends Error {
  override readonly name = "UnusableResult";
}

export interface MediaLimits {
  /** Exact names, with their port where they have one, or `*.` and a suffix. */
  readonly hosts: readonly string[];
  readonly maximumBytes: number;
  /** Ends the exchange, also while the file is read. */
  readonly signal: AbortSignal;
}

/** Statuses by which a host says that the file is gone for good. */
const gone = [401, 403, 404, 410];

/**
 * Opens the file at `url`, whose pieces end in UnusableResult beyond the limit. Redirects are not followed. Throws
 * UnusableResult for what will never be a result, and other errors for what may be tried again. Whoever does not
 * read to the end aborts the signal.
 */
export async function openMedia(
  fetch: typeof globalThis.fetch,
  url: string,
  { hosts, maximumBytes, signal }: MediaLimits,
): Promise<AsyncIterable<Uint8Array>> {
  const location = URL.parse(url);
  if (location === null || !isAllowed(location, hosts)) {
    throw new UnusableResult("The result is not at a host of its provider");
  }
  const { status, body, headers } = await fetch(location, { redirect: "manual", signal });
  const isTooLarge = Number(headers.get("content-length")) > maximumBytes;
  if (status !== 200 || body === null || isTooLarge) {
    await body?.cancel();
    // Below 400 are redirects, which are not followed, and answers without a whole file.
    const isFinal = status < 400 || gone.includes(status);
    if (!isFinal) throw new Error(`The host of the result answered ${status}`);
    throw isTooLarge ? tooLarge() : new UnusableResult(`The host of the result answered ${status}`);
  }
  return upTo(maximumBytes, body);
}

function tooLarge(): UnusableResult {
  return new UnusableResult("The result is too large");
}

async function* upTo(maximumBytes: number, body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  // Leaving the loop early cancels the stream.
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > maximumBytes) throw tooLarge();
    yield chunk;
  }
}

/** Over TLS and its own port, but for hosts that the configuration names with another: simulators on this machine. */
function isAllowed(location: URL, hosts: readonly string[]): boolean {
  if (location.username !== "" || location.password !== "") return false;
  return hosts.some((host) => {
    if (host.includes(":")) return location.host === host;
    if (location.protocol !== "https:" || location.port !== "") return false;
    return host.startsWith("*.") ? location.hostname.endsWith(host.slice(1)) : location.hostname === host;
  });
}
