/** Signing the fal simulator's webhooks: Ed25519, with a JWKS to check it by. */
import type { DeliveryPolicy, SignDelivery } from "./deliveries.ts";

/** As fal's documents have it: 15 s for an answer, and 10 repeats over 2 hours; nobody waits so long for a simulator. */
export const falDeliveryPolicy: Omit<DeliveryPolicy, "retryMilliseconds"> = {
  timeoutMilliseconds: 15_000,
  maxAttempts: 11,
  maxPauseMilliseconds: 5 * 60_000,
};

export interface FalSigner {
  /** The set that the JWKS endpoint publishes. */
  readonly publicKeys: { readonly keys: readonly unknown[] };
  /** The private key, for the state file. */
  readonly privateKey: JsonWebKey;
  readonly sign: SignDelivery;
}

async function importPrivate(key: JsonWebKey): Promise<CryptoKey> {
  return await crypto.subtle.importKey("jwk", key, "Ed25519", true, ["sign"]);
}

async function newPrivate(): Promise<JsonWebKey> {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  if (!("privateKey" in pair)) throw new Error("Ed25519 makes key pairs");
  return await crypto.subtle.exportKey("jwk", pair.privateKey);
}

/** The signer of an account, with the key of an earlier start or a new one. */
export async function falSigner(accountId: string, earlier: JsonWebKey | null): Promise<FalSigner> {
  const privateKey = earlier ?? await newPrivate();
  const [ours, stranger] = await Promise.all([
    importPrivate(privateKey),
    newPrivate().then(importPrivate),
  ]);
  const { kty, crv, x } = privateKey;
  return {
    publicKeys: { keys: [{ kty, crv, x, kid: "simulator", alg: "EdDSA", use: "sig" }] },
    privateKey,
    async sign({ requestId, kind }, body) {
      const account = kind === "other_account" ? crypto.randomUUID() : accountId;
      const timestamp = String(Math.floor(Date.now() / 1000));
      const digest = hex(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(body)));
      const message = new TextEncoder().encode([requestId, account, timestamp, digest].join("\n"));
      const signature = await crypto.subtle.sign("Ed25519", kind === "forged" ? stranger : ours, message);
      return {
        "content-type": "application/json",
        "x-fal-webhook-request-id": requestId,
        "x-fal-webhook-user-id": account,
        "x-fal-webhook-timestamp": timestamp,
        "x-fal-webhook-signature": hex(signature),
      };
    },
  };
}

function hex(buffer: ArrayBuffer): string {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
