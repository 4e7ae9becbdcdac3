/**
 * The token in a webhook's URL. A provider's signature does not cover the URL, and all its customers share its
 * key, so the URL itself proves which submission it was made for.
 */
import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";

/** Neither name can hold a line break, so no two submissions share a message. */
function hmac(secret: string, provider: string, submissionId: string) {
  return createHmac("sha256", secret).update(`${provider}\n${submissionId}`);
}

/** The token of a submission: HMAC-SHA256, base64url without padding, 43 characters. */
export function webhookToken(secret: string, provider: string, submissionId: string): string {
  return hmac(secret, provider, submissionId).digest("base64url");
}

/** Whether the token was made for this provider and submission. Takes the same time whatever the token is. */
export function verifyWebhookToken(
  secret: string,
  provider: string,
  submissionId: string,
  token: string,
): boolean {
  // A token has 32 bytes; of its 43 characters the last can be written in four ways, which are the same bytes.
  if (!/^[A-Za-z0-9_-]{43}$/.test(token)) return false;
  return timingSafeEqual(hmac(secret, provider, submissionId).digest(), Buffer.from(token, "base64url"));
}

/** Where a provider reports the end of a submission. It names the owner, so that whoever routes by owner can. */
export function webhookUrl(
  config: { readonly publicFunctionsUrl: string; readonly webhookSecret: string },
  { ownerReference, provider, submissionId }: {
    readonly ownerReference: string;
    readonly provider: string;
    readonly submissionId: string;
  },
): string {
  const token = webhookToken(config.webhookSecret, provider, submissionId);
  const parameters = new URLSearchParams({
    owner: ownerReference,
    provider,
    submission_id: submissionId,
    token,
  });
  return `${config.publicFunctionsUrl}/provider-webhook?${parameters}`;
}
