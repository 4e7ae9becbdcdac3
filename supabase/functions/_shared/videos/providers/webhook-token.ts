/**
 * The token in a webhook's URL. A provider's signature does not cover the URL, and all its customers share its
 * key, so the URL itself proves which submission it was made for.
 */
import { base64url } from "jose";

const algorithm = { name: "HMAC", hash: "SHA-256" };

function importSecret(secret: string): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", new TextEncoder().encode(secret), algorithm, false, [
    "sign",
    "verify",
  ]);
}

/** Neither name can hold a line break, so no two submissions share a message. */
function message(provider: string, submissionId: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${provider}\n${submissionId}`);
}

/** The token of a submission: HMAC-SHA256, base64url without padding, 43 characters. */
export async function webhookToken(
  secret: string,
  provider: string,
  submissionId: string,
): Promise<string> {
  const signature = await crypto.subtle.sign(
    algorithm,
    await importSecret(secret),
    message(provider, submissionId),
  );
  return base64url.encode(new Uint8Array(signature));
}

/** Whether the token was made for this provider and submission. Takes the same time whatever the token is. */
export async function verifyWebhookToken(
  secret: string,
  provider: string,
  submissionId: string,
  token: string,
): Promise<boolean> {
  // The decoder throws on other characters, and a token has 32 bytes.
  if (!/^[A-Za-z0-9_-]{43}$/.test(token)) return false;
  return await crypto.subtle.verify(
    algorithm,
    await importSecret(secret),
    new Uint8Array(base64url.decode(token)),
    message(provider, submissionId),
  );
}

/** Where a provider reports the end of a submission. It names the owner, so that whoever routes by owner can. */
export async function webhookUrl(
  config: { readonly publicFunctionsUrl: string; readonly webhookSecret: string },
  { ownerReference, provider, submissionId }: {
    readonly ownerReference: string;
    readonly provider: string;
    readonly submissionId: string;
  },
): Promise<string> {
  const token = await webhookToken(config.webhookSecret, provider, submissionId);
  const parameters = new URLSearchParams({
    owner: ownerReference,
    provider,
    submission_id: submissionId,
    token,
  });
  return `${config.publicFunctionsUrl}/provider-webhook?${parameters}`;
}
