/**
 * The secrets of webhooks: made here, kept sealed in the database, and opened here to sign. Whoever reads the database, or a copy
 * of it, cannot sign with what they find: the key is among the functions' secrets.
 */

const algorithm = "AES-GCM";
/** What AES-GCM is made for (NIST SP 800-38D). */
const nonceBytes = 12;

/** Standard Webhooks asks for 24 to 64. */
const secretBytes = 32;

/** The form of what is sealed, should there be another. */
const version = "v1.";

/** A new secret, `whsec_` and base64, as its receiver keeps it. */
export function newSecret(): string {
  return `whsec_${encode(crypto.getRandomValues(new Uint8Array(secretBytes)))}`;
}

/** The secret for the database. It can be opened for this webhook alone. `key` is 32 bytes in base64. */
export async function sealSecret(key: string, webhookId: string, secret: string): Promise<string> {
  const iv = crypto.getRandomValues(new Uint8Array(nonceBytes));
  const sealed = await crypto.subtle.encrypt(
    parameters(iv, webhookId),
    await importKey(key),
    new TextEncoder().encode(secret),
  );
  return version + encode(new Uint8Array([...iv, ...new Uint8Array(sealed)]));
}

/** The secret that was sealed. Throws where it was sealed with another key, for another webhook, or was changed. */
export async function openSecret(key: string, webhookId: string, sealed: string): Promise<string> {
  if (!sealed.startsWith(version)) throw new Error("A secret is sealed in a form that is not known");
  const bytes = decode(sealed.slice(version.length));
  const opened = await crypto.subtle.decrypt(
    parameters(bytes.subarray(0, nonceBytes), webhookId),
    await importKey(key),
    bytes.subarray(nonceBytes),
  );
  return new TextDecoder().decode(opened);
}

/**
 * The headers of Standard Webhooks for a message: one signature for each secret, the one in use first. `now` in milliseconds
 * since 1970: when this attempt is made.
 */
export async function signedHeaders(
  secrets: readonly string[],
  { id, body, now }: { id: string; body: string; now: number },
): Promise<Record<string, string>> {
  const timestamp = Math.floor(now / 1000);
  const message = new TextEncoder().encode(`${id}.${timestamp}.${body}`);
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const signatures = await Promise.all(secrets.map(async (secret) => {
    const key = await crypto.subtle.importKey("raw", decode(secret.slice("whsec_".length)), hmac, false, [
      "sign",
    ]);
    return `v1,${encode(new Uint8Array(await crypto.subtle.sign(hmac, key, message)))}`;
  }));
  return {
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": signatures.join(" "),
  };
}

function parameters(iv: Uint8Array<ArrayBuffer>, webhookId: string) {
  return { name: algorithm, iv, additionalData: new TextEncoder().encode(webhookId) };
}

async function importKey(key: string): Promise<CryptoKey> {
  return await crypto.subtle.importKey("raw", decode(key), algorithm, false, ["encrypt", "decrypt"]);
}

function encode(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

function decode(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
