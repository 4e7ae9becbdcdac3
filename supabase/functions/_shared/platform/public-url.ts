/** Addresses of the public web, by their form. Where a name leads, public-fetch.ts finds out. */

/** What comes before path, query and fragment: no port, not even an empty one, no credentials, no IPv6 address. */
const httpsAuthority = /^https:\/\/[^/?#\\@:]+(?:[/?#]|$)/i;

/** Two labels or more, the last one of letters; the parser has turned every form of an IPv4 address into numbers. */
const dnsName = /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+([a-z][a-z0-9-]{0,61}[a-z0-9])$/;

/** Top-level domains that lead into somebody's own network or nowhere (RFC 6761, 6762, 7686, 8375, 9476). */
const localDomains = [
  ...["alt", "arpa", "corp", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain"],
  ...["localhost", "onion", "private", "test"],
];

/** The URL in its canonical form; null for one that is not https, or whose host is no public DNS name. */
export function publicHttpsUrl(text: string): string | null {
  const url = httpsAuthority.test(text) ? URL.parse(text) : null;
  const topLevelDomain = dnsName.exec(url?.hostname ?? "")?.[1];
  const isPublic = topLevelDomain !== undefined && !localDomains.includes(topLevelDomain);
  return url !== null && isPublic && url.hostname.length <= 253 ? url.href : null;
}

/** The URL in its canonical form, of a server on this machine without TLS; null for any other. For local projects alone. */
export function loopbackUrl(text: string): string | null {
  const url = URL.parse(text);
  const isLocal = url?.protocol === "http:" && ["127.0.0.1", "localhost"].includes(url.hostname) &&
    url.username === "" && url.password === "";
  return isLocal ? url.href : null;
}
