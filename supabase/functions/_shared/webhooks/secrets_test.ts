import assert from "node:assert/strict";
import { verifyStandardWebhook } from "../videos/providers/standard-webhooks.ts";
import { newSecret, openSecret, sealSecret, signedHeaders } from "./secrets.ts";

const key = "a2V5IGtleSBrZXkga2V5IGtleSBrZXkga2V5IGtleSE=";
const other = "T3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3I=";
const id = "b3f1c9d2-5e60-4a7b-8c14-9d20e6f7a835";

Deno.test("a sealed secret is opened by its key for its webhook, and by nothing else", async () => {
  const secret = newSecret();
  const sealed = await sealSecret(key, id, secret);
  assert.equal(await openSecret(key, id, sealed), secret);
  assert(!sealed.includes(secret.slice(6, 20)));
  assert.notEqual(await sealSecret(key, id, secret), sealed, "each time otherwise");
  const half = Math.floor(sealed.length / 2);
  const changed = sealed.slice(0, half) + (sealed[half] === "A" ? "B" : "A") + sealed.slice(half + 1);
  const wrong: [string, string, string][] = [
    [other, id, sealed],
    [key, crypto.randomUUID(), sealed],
    [key, id, changed],
    [key, id, sealed.replace("v1.", "v2.")],
    [key, id, "v1."],
    [key, id, ""],
  ];
  for (const each of wrong) await assert.rejects(openSecret(...each), String(each));
});

Deno.test("a message is signed to the letter of Standard Webhooks", async () => {
  // The example of the specification.
  const headers = await signedHeaders(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], {
    id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
    body: '{"test": 2432232314}',
    now: 1614265330_999,
  });
  assert.deepEqual(headers, {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  });
});

Deno.test("each secret that signs verifies by itself, and no other does", async () => {
  const secrets = [newSecret(), newSecret(), newSecret()];
  const body = '{"ü":"\\u0000 💡"}';
  const now = 1_700_000_000_000;
  const headers = new Headers(await signedHeaders(secrets, { id, body, now }));
  const verify = (secret: string) =>
    verifyStandardWebhook(secret, new TextEncoder().encode(body), headers, now);
  for (const secret of secrets) assert.deepEqual(await verify(secret), { valid: true });
  assert.equal((await verify(newSecret())).valid, false);
});
