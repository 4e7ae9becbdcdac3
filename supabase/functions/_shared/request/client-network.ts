/**
 * The network that a client address counts under: an IPv4 address, or the /64 of an IPv6 address, which is what
 * one household or host gets; both in canonical form. An IPv4-mapped IPv6 address is the IPv4 address. Null for
 * whatever is not exactly one address, such as a list: then it was not written by the platform.
 */
export function clientNetwork(address: string | null): string | null {
  if (address === null) return null;
  if (address.includes(":")) return networkOfIpv6(address);
  return isIpv4(address) ? address : null;
}

function isIpv4(text: string): boolean {
  // No leading zeros: some readers take 010 for 8.
  const parts = text.split(".");
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

function networkOfIpv6(address: string): string | null {
  const host = `http://[${address}]`;
  // Only these characters, so that nothing but the address can be read from the URL.
  if (!/^[0-9a-f:.]+$/i.test(address) || !URL.canParse(host)) return null;
  // The URL parser checks the address and writes it as RFC 5952 says, in groups of hex digits only.
  const canonical = new URL(host).hostname.slice(1, -1);
  const [head = "", tail] = canonical.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const groups = [...left, ...Array<string>(8 - left.length - right.length).fill("0"), ...right];

  if (groups.slice(0, 5).every((group) => group === "0") && groups[5] === "ffff") {
    const [high = 0, low = 0] = groups.slice(6).map((group) => Number.parseInt(group, 16));
    return [high >> 8, high & 255, low >> 8, low & 255].join(".");
  }
  const network = new URL(`http://[${groups.slice(0, 4).join(":")}::]`).hostname.slice(1, -1);
  return `${network}/64`;
}
