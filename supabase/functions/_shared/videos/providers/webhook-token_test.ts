import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { verifyWebhookToken, webhookToken, webhookUrl } from "./webhook-token.ts";

const secret = "a secret of more than thirty-two characters";
const submission = "5b737ca6-a4c7-488e-b928-8452960c4be9";
const ownerReference = "0190a000-0000-7000-8000-0000000000ee";

Deno.test("a token is the HMAC-SHA256 of provider and submission, in base64url", () => {
  const expected = createHmac("sha256", secret).update(`fal\n${submission}`).digest("base64url");
  assert.equal(webhookToken(secret, "fal", submission), expected);
});

Deno.test("a token counts for its own provider, submission and secret alone", () => {
  const token = webhookToken(secret, "fal", submission);
  assert.equal(verifyWebhookToken(secret, "fal", submission, token), true);
  const other = "00000000-a4c7-488e-b928-8452960c4be9";
  assert.equal(verifyWebhookToken(secret, "runway", submission, token), false);
  assert.equal(verifyWebhookToken(secret, "fal", other, token), false);
  assert.equal(verifyWebhookToken(`${secret}.`, "fal", submission, token), false);
});

Deno.test("a malformed token is refused", () => {
  const token = webhookToken(secret, "fal", submission);
  const malformed = [
    "",
    token.slice(1),
    `${token}A`,
    `${token}=`,
    `+${token.slice(1)}`,
    "é".repeat(43),
    `${token}\n`,
  ];
  for (const each of malformed) {
    assert.equal(verifyWebhookToken(secret, "fal", submission, each), false, each);
  }
});

Deno.test("a webhook's URL carries what its token was made from, and names the owner", () => {
  const config = { publicFunctionsUrl: "https://project.example.com/functions/v1", webhookSecret: secret };
  const url = new URL(
    webhookUrl(config, { ownerReference, provider: "fal", submissionId: submission }),
  );
  assert.equal(`${url.origin}${url.pathname}`, `${config.publicFunctionsUrl}/provider-webhook`);
  const { owner, provider, submission_id, token } = Object.fromEntries(url.searchParams);
  assert(provider !== undefined && submission_id !== undefined && token !== undefined);
  assert.deepEqual([owner, provider, submission_id], [ownerReference, "fal", submission]);
  assert.equal(verifyWebhookToken(secret, provider, submission_id, token), true);
});
