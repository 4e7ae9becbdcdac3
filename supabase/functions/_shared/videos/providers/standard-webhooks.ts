/** Standard Webhooks (standardwebhooks.com), their symmetric form: HMAC-SHA256 with a secret that both sides know. */

/** The specification leaves it open; its libraries take 5 minutes. It bounds how long a capture can be played again. */
const toleranceMilliseconds = 5 * 60_000;

const algorithm = { name: "HMAC", hash: "SHA-256" };

export type Verification = { valid: true } | { valid: false; reason: string };

/**
 * Whether a request was signed with the secret, `whsec_` and base64. While a secret is replaced a request carries a
 * signature by each, of which one is enough. Takes the same time whatever a signature is. `now` in milliseconds
 * since 1970.
 */
export async function verifyStandardWebhook(
  secret: string,
  rawBody: Uint8Array,
  headers: Headers,
  now: number,
): Promise<Verification> {
  const id = headers.get("webhook-id");
  const timestamp = headers.get("webhook-timestamp");
  const signatures = headers.get("webhook-signature");
  if (!id || !timestamp || !signatures) return invalid("a header is missing");
  // A full stop would let one signed text be read as two different requests.
  if (id.includes(".")) return invalid("the id is malformed");
  if (!/^\d{1,12}$/.test(timestamp)) return invalid("the timestamp is malformed");
  if (Math.abs(now - Number(timestamp) * 1000) > toleranceMilliseconds) {
    return invalid("the timestamp is off");
  }

  // Other versions, such as v1a, are of keys that we do not have.
  const candidates = signatures.split(" ").flatMap((each) =>
    /^v1,([A-Za-z0-9+/]{43}=)$/.exec(each)?.[1] ?? []
  );
  if (candidates.length === 0) return invalid("there is no signature that could be ours");
  const key = await crypto.subtle.importKey("raw", bytes(secret.slice("whsec_".length)), algorithm, false, [
    "verify",
  ]);
  const message = await new Blob([`${id}.${timestamp}.`, new Uint8Array(rawBody)]).arrayBuffer();
  const results = await Promise.all(
    candidates.map((candidate) => crypto.subtle.verify(algorithm, key, bytes(candidate), message)),
  );
  return results.includes(true) ? { valid: true } : invalid("no signature fits");
}

function invalid(reason: string): Verification {
  return { valid: false, reason };
}

function bytes(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
