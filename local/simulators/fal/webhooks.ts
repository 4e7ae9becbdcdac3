/** Signing the fal simulator's webhooks: Ed25519, with a JWKS to check it by. */
import * as z from "zod";
import type { DoublingPolicy, SignDelivery } from "../engine/deliveries.ts";

/** As fal's documents have it: 15 s for an answer, and 10 repeats over 2 hours; nobody waits so long for a simulator. */
export const falDeliveryPolicy: DoublingPolicy = {
  timeoutMilliseconds: 15_000,
  maxAttempts: 11,
  retryMilliseconds: 2_000,
  maxPauseMilliseconds: 5 * 60_000,
};

/** A private JWK. */
export const signingKey = z.object({ kty: z.string(), crv: z.string(), x: z.string(), d: z.string() });
type SigningKey = z.infer<typeof signingKey>;

/** What the account's webhooks are signed by. */
interface Signer {
  readonly accountId: string;
  readonly signingKey: SigningKey;
}

export async function newSigningKey(): Promise<SigningKey> {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  if (!("privateKey" in pair)) throw new Error("Ed25519 makes key pairs");
  return signingKey.parse(await crypto.subtle.exportKey("jwk", pair.privateKey));
}

const hex = (buffer: ArrayBuffer) => new Uint8Array(buffer).toHex();

/** The set that the JWKS endpoint publishes. */
export function publicKeysOf(
  { signingKey: { kty, crv, x } }: Pick<Signer, "signingKey">,
): { keys: unknown[] } {
  return { keys: [{ kty, crv, x, kid: "simulator", alg: "EdDSA", use: "sig" }] };
}

/** Signs for the account; a forged delivery by a key that nobody publishes. */
export function falSigner({ accountId, signingKey }: Signer): SignDelivery {
  return async ({ requestId, kind }, body) => {
    const jwk = kind === "forged" ? await newSigningKey() : signingKey;
    const key = await crypto.subtle.importKey("jwk", jwk, "Ed25519", false, ["sign"]);
    const account = kind === "other_account" ? crypto.randomUUID() : accountId;
    const timestamp = String(Math.floor(Date.now() / 1000));
    const digest = hex(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(body)));
    const message = new TextEncoder().encode([requestId, account, timestamp, digest].join("\n"));
    return {
      "content-type": "application/json",
      "x-fal-webhook-request-id": requestId,
      "x-fal-webhook-user-id": account,
      "x-fal-webhook-timestamp": timestamp,
      "x-fal-webhook-signature": hex(await crypto.subtle.sign("Ed25519", key, message)),
    };
  };
}
