/**
 * The keys of a local project: those that the hosted platform makes for one, and the accounts at the outside services.
 */
import { generateApiKey } from "@supabase/lite";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from "jose";
import { newDeviceCheckKey } from "./simulators/device-check/device-check.ts";
import {
  createAuthority,
  type StoredAuthority,
} from "../supabase/functions/_shared/testing/app-store/authority.ts";
import { newWebhookSecret } from "./simulators/replicate/webhooks.ts";

export interface Keys {
  publishableKey: string;
  secretKey: string;
  /** The private ES256 key that signs users' tokens, with its `kid`. */
  signingKey: JWK;
  /** HS256; signs the URLs of stored objects. */
  storageSecret: string;
  /** HMAC of the webhooks' URLs. */
  webhookSecret: string;
  /** What the secrets of webhooks to other servers are sealed with, in base64. */
  outboundWebhookKey: string;
  /** What the scheduler wakes the worker with. */
  workerKey: string;
  /** What a Prometheus asks for metrics with. */
  metricsToken: string;
  falKey: string;
  falAccountId: string;
  replicateToken: string;
  /** Of Standard Webhooks: `whsec_…`. */
  replicateWebhookSecret: string;
  runwaySecret: string;
  openAiKey: string;
  appleTeamId: string;
  deviceCheckKeyId: string;
  /** PKCS#8 PEM, as Apple hands it out. */
  deviceCheckPrivateKey: string;
  /** SPKI PEM; Apple keeps it. */
  deviceCheckPublicKey: string;
  /** The app in App Store Connect, and its key for the Server API, in the same forms. */
  appStoreBundleId: string;
  appStoreAppId: number;
  appStoreIssuerId: string;
  appStoreKeyId: string;
  appStorePrivateKey: string;
  appStorePublicKey: string;
  /** What the simulated App Store signs with. */
  appStoreAuthority: StoredAuthority;
  /** Of Sign in with Apple, in the same forms. */
  appleIdKeyId: string;
  appleIdPrivateKey: string;
  appleIdPublicKey: string;
  /** Of APNs, in the same forms. */
  apnsKeyId: string;
  apnsPrivateKey: string;
  apnsPublicKey: string;
}

/** Makes a project's keys. */
export async function generateKeys(): Promise<Keys> {
  const [publishable, secret, signingKey, deviceCheck, appStore, appStoreAuthority, appleId, apns] =
    await Promise
      .all([
        generateApiKey("publishable"),
        generateApiKey("secret"),
        generateSigningKey(),
        newDeviceCheckKey(),
        // Apple's keys are all of one form.
        newDeviceCheckKey(),
        createAuthority(),
        newDeviceCheckKey(),
        newDeviceCheckKey(),
      ]);
  return {
    publishableKey: publishable.key,
    secretKey: secret.key,
    signingKey,
    storageSecret: random(32),
    webhookSecret: random(32),
    outboundWebhookKey: crypto.getRandomValues(new Uint8Array(32)).toBase64(),
    workerKey: random(32),
    metricsToken: random(32),
    falKey: `${crypto.randomUUID()}:${random(16)}`,
    falAccountId: `local-${random(6)}`,
    replicateToken: `r8_${random(20)}`,
    replicateWebhookSecret: newWebhookSecret(),
    runwaySecret: `key_${random(64)}`,
    openAiKey: `sk-proj-${random(24)}`,
    // Apple's ids are ten characters long.
    appleTeamId: random(5).toUpperCase(),
    deviceCheckKeyId: random(5).toUpperCase(),
    deviceCheckPrivateKey: deviceCheck.privateKey,
    deviceCheckPublicKey: deviceCheck.publicKey,
    appStoreBundleId: "com.example.kinora",
    appStoreAppId: 1234567890,
    appStoreIssuerId: crypto.randomUUID(),
    appStoreKeyId: random(5).toUpperCase(),
    appStorePrivateKey: appStore.privateKey,
    appStorePublicKey: appStore.publicKey,
    appStoreAuthority,
    appleIdKeyId: random(5).toUpperCase(),
    appleIdPrivateKey: appleId.privateKey,
    appleIdPublicKey: appleId.publicKey,
    apnsKeyId: random(5).toUpperCase(),
    apnsPrivateKey: apns.privateKey,
    apnsPublicKey: apns.publicKey,
  };
}

async function generateSigningKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, kid: await calculateJwkThumbprint(jwk), alg: "ES256", use: "sig" };
}

/** What may be published of a signing key, as it stands in a JWKS. */
export function publicKeyOf({ d: _private, ...key }: JWK): JWK {
  return { ...key, key_ops: ["verify"] };
}

/** Hexadecimal. */
function random(bytes: number): string {
  return Array.from(
    crypto.getRandomValues(new Uint8Array(bytes)),
    (byte) => byte.toString(16).padStart(2, "0"),
  ).join("");
}
