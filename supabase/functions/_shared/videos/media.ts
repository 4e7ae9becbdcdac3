/** Fetches what a provider made, from where its provider may keep it and from nowhere else. */
import { NeedsOperator } from "../queue/task.ts";

/** A result that no second try would make better. */
export class UnusableResult extends Error {
  override readonly name = "UnusableResult";
}

export interface MediaLimits {
  /** Whose result it is, for the operator. */
  readonly provider: string;
  /** Exact names, with their port where they have one, or `*.` and a suffix. */
  readonly hosts: readonly string[];
  readonly maxBytes: number;
  /** Ends the exchange, also while the file is read. */
  readonly signal: AbortSignal;
}

/**
 * Opens the file at `url`, whose pieces end in UnusableResult beyond the limit. Redirects are not followed. Throws
 * UnusableResult for what will never be a result, NeedsOperator for a host that is not in the configuration, and other
 * errors for what may be tried again: a host of many machines has a new file on some of them first. Whoever does not read
 * to the end aborts the signal.
 */
export async function openMedia(
  fetch: typeof globalThis.fetch,
  url: string,
  { provider, hosts, maxBytes, signal }: MediaLimits,
): Promise<AsyncIterable<Uint8Array>> {
  const location = URL.parse(url);
  if (location === null || location.username !== "" || location.password !== "") {
    throw new UnusableResult("The result is not at a URL that could be asked");
  }
  if (!isAllowed(location, hosts)) {
    const host = location.host.slice(0, 200);
    throw new NeedsOperator("The result is not at a host of its provider", {
      rule: "result_host",
      subject: `${provider} ${host}`,
      details: { provider, host, protocol: location.protocol },
    });
  }
  const { status, body, headers } = await fetch(location, { redirect: "manual", signal });
  const isTooLarge = Number(headers.get("content-length")) > maxBytes;
  if (status !== 200 || body === null || isTooLarge) {
    await body?.cancel();
    // Below 400 are redirects, which are not followed, and answers without a whole file.
    if (status >= 400) throw new Error(`The host of the result answered ${status}`);
    throw isTooLarge ? tooLarge() : new UnusableResult(`The host of the result answered ${status}`);
  }
  return upTo(maxBytes, body);
}

function tooLarge(): UnusableResult {
  return new UnusableResult("The result is too large");
}

async function* upTo(maxBytes: number, body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  // Leaving the loop early cancels the stream.
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw tooLarge();
    yield chunk;
  }
}

/** Over TLS and its own port, but for hosts that the configuration names with another: simulators on this machine. */
function isAllowed(location: URL, hosts: readonly string[]): boolean {
  return hosts.some((host) => {
    if (host.includes(":")) return location.host === host;
    if (location.protocol !== "https:" || location.port !== "") return false;
    return host.startsWith("*.") ? location.hostname.endsWith(host.slice(1)) : location.hostname === host;
  });
}
