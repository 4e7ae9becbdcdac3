/**
 * A fetch of what a user named, that cannot be turned against us: https alone, only names whose addresses are all public, the
 * connection to one of those that were checked, few redirects and each of them checked alike, and bounds for bytes and time.
 */
import ipaddr from "ipaddr.js";
import {
  askFor,
  BrokenAnswer,
  type HttpAnswer,
  type HttpRequest,
  tell,
  TooLargeAnswer,
} from "./http-answer.ts";
import { within } from "./platform-fetch.ts";
import { loopbackUrl, publicHttpsUrl } from "./public-url.ts";
import { closeQuietly, type Connection, type PublicWeb } from "./public-web.ts";

/** Why nothing was fetched. `passing`: it may be there the next time. No message has an address. */
export class NotFetched extends Error {
  override readonly name = "NotFetched";

  constructor(readonly reason: "missing" | "too_large" | "passing", why: string) {
    super(why);
  }
}

/** A shortened address that leads to a page's, that to its host's: more is a loop. */
const maxRedirects = 3;

/** Of the addresses of one name, and what each may take until it is connected. */
const maxAddresses = 3;
const connectMilliseconds = 3_000;

/** What is there at `url`, whole, in so many milliseconds. Throws NotFetched. */
export async function fetchPublic(
  web: PublicWeb,
  url: string,
  { maxBytes, milliseconds }: { maxBytes: number; milliseconds: number },
): Promise<Uint8Array<ArrayBuffer>> {
  return await within(milliseconds, null, async (signal) => {
    let location = url;
    for (let redirects = 0; redirects <= maxRedirects; redirects += 1) {
      const { status, headers, body } = await ask(web, location, maxBytes, signal);
      if (status === 200) return body;
      const next = headers.get("location");
      if (![301, 302, 303, 307, 308].includes(status) || next === null) {
        throw new NotFetched(isPassing(status) ? "passing" : "missing", `it is answered ${status}`);
      }
      location = URL.parse(next, location)?.href ?? "";
    }
    throw new NotFetched("missing", "it is redirected too often");
  });
}

function isPassing(status: number): boolean {
  return status >= 500 || [408, 425, 429].includes(status);
}

/**
 * Sends one request to a server that somebody named, which is not followed anywhere else: its status, and the first
 * `maxBytes` of what it says. Throws NotFetched where no status came in so many milliseconds.
 */
export async function tellPublic(
  web: PublicWeb,
  url: string,
  request: HttpRequest,
  { maxBytes, milliseconds }: { maxBytes: number; milliseconds: number },
): Promise<HttpAnswer> {
  return await within(
    milliseconds,
    null,
    (signal) => exchange(web, url, signal, (connection, url) => tell(connection, url, request, maxBytes)),
  );
}

const picture: HttpRequest = { method: "GET", headers: { Accept: "image/jpeg, image/png, image/webp" } };

async function ask(
  web: PublicWeb,
  location: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  try {
    return await exchange(
      web,
      location,
      signal,
      (connection, url) => askFor(connection, url, picture, maxBytes),
    );
  } catch (error) {
    if (!(error instanceof TooLargeAnswer)) throw error;
    throw new NotFetched("too_large", `it has more than ${maxBytes} bytes`);
  }
}

/** One exchange over a connection of its own, with whatever goes wrong as NotFetched. */
async function exchange(
  web: PublicWeb,
  location: string,
  signal: AbortSignal,
  talk: (connection: Connection, url: URL) => Promise<HttpAnswer>,
): Promise<HttpAnswer> {
  const local = web.connectLocally === undefined ? null : loopbackUrl(location);
  const url = URL.parse(local ?? publicHttpsUrl(location) ?? "");
  if (url === null) throw new NotFetched("missing", "it is at no public https URL");
  try {
    const connection = local !== null && web.connectLocally
      ? await web.connectLocally(Number(url.port || 80))
      : await connect(web, url.hostname, signal);
    // Nothing else ends a read that waits.
    const close = () => closeQuietly(connection);
    signal.addEventListener("abort", close, { once: true });
    try {
      return await talk(connection, url);
    } finally {
      signal.removeEventListener("abort", close);
      close();
    }
  } catch (error) {
    if (error instanceof NotFetched || error instanceof TooLargeAnswer) throw error;
    if (signal.aborted) throw new NotFetched("passing", "no answer in time");
    if (error instanceof BrokenAnswer) {
      throw new NotFetched("passing", `no answer of HTTP's: ${error.message}`);
    }
    throw new NotFetched("passing", `no connection: ${error instanceof Error ? error.name : "unknown"}`);
  }
}

/** The addresses of a name. Throws NotFetched (`missing`) where it has none, or one that is not public. */
export async function publicAddressesOf(
  web: Pick<PublicWeb, "resolve">,
  name: string,
  signal: AbortSignal,
): Promise<string[]> {
  const addresses = await web.resolve(name, signal);
  if (addresses.length === 0) throw new NotFetched("missing", "its host has no address");
  // One that is not public says enough of the name, whatever the others are.
  if (!addresses.every(isPublicAddress)) throw new NotFetched("missing", "its host is not public");
  return addresses;
}

async function connect(web: PublicWeb, name: string, signal: AbortSignal) {
  const addresses = await publicAddressesOf(web, name, signal);
  let last: unknown;
  for (const address of addresses.slice(0, maxAddresses)) {
    try {
      return await within(connectMilliseconds, signal, (signal) => web.connect(address, name, signal));
    } catch (error) {
      if (signal.aborted) throw error;
      last = error;
    }
  }
  throw last;
}

/** Azure's host, which answers its machines about themselves at an address that is public by its number. */
const azureHost = "168.63.129.16";

/**
 * Whether an address is one of the public internet's: none of the special ones of IANA's registries, in IPv4, in IPv6, or in one
 * inside the other. Of IPv6 only 2000::/3 is given out.
 */
export function isPublicAddress(text: string): boolean {
  if (!ipaddr.isValid(text)) return false;
  const address = ipaddr.process(text);
  if (address.range() !== "unicast" || address.toString() === azureHost) return false;
  return address.kind() === "ipv4" || ((address.toByteArray()[0] ?? 0) & 0xe0) === 0x20;
}
