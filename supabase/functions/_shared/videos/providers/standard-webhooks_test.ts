import assert from "node:assert/strict";
import { verifyStandardWebhook } from "./standard-webhooks.ts";

/** The example that the specification's libraries are tested with. */
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const example = {
  id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
  timestamp: 1_614_265_330,
  body: '{"test": 2432232314}',
  signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
};
const now = example.timestamp * 1000;

type Request = Partial<Record<"id" | "timestamp" | "body" | "signature", string>>;

async function verify(change: Request = {}, at = now, by = secret) {
  const { id, timestamp, body, signature } = {
    ...example,
    timestamp: String(example.timestamp),
    ...change,
  };
  const headers = new Headers({
    "Webhook-Id": id,
    "Webhook-Timestamp": timestamp,
    "Webhook-Signature": signature,
  });
  return (await verifyStandardWebhook(by, new TextEncoder().encode(body), headers, at)).valid;
}

Deno.test("the specification's own example is genuine", async () => {
  assert.equal(await verify(), true);
});

Deno.test("a request is refused unless everything about it is right", async () => {
  const forgeries: Record<string, Request> = {
    "another id": { id: "msg_other" },
    "another timestamp": { timestamp: String(example.timestamp + 1) },
    "another body": { body: '{"test": 2432232315}' },
    "the same body, written otherwise": { body: '{"test":2432232314}' },
    "a signature that is cut": { signature: "v1,g0hM9SsE" },
    "another version of signature": { signature: example.signature.replace("v1,", "v1a,") },
    "a signature without its version": { signature: example.signature.slice(3) },
    "no signature in the list": { signature: " " },
    "a timestamp that is no number": { timestamp: "2021-02-25T15:02:10Z" },
    "a timestamp with something behind it": { timestamp: `${example.timestamp}.0` },
  };
  for (const [name, forgery] of Object.entries(forgeries)) assert.equal(await verify(forgery), false, name);
  assert.equal(await verify({}, now, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx"), false, "another secret");
});

Deno.test("a full stop in an id is refused even where the signature fits", async () => {
  const id = "msg.1";
  const key = await crypto.subtle.importKey(
    "raw",
    Uint8Array.from(atob(secret.slice(6)), (character) => character.charCodeAt(0)),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  const message = new TextEncoder().encode(`${id}.${example.timestamp}.${example.body}`);
  const signature = new Uint8Array(await crypto.subtle.sign("HMAC", key, message));
  assert.equal(await verify({ id, signature: `v1,${btoa(String.fromCharCode(...signature))}` }), false);
});

Deno.test("one signature that fits is enough, wherever it stands in the list", async () => {
  const other = `v1,${"A".repeat(43)}=`;
  const asymmetric = `v1a,${"A".repeat(86)}==`;
  assert.equal(await verify({ signature: `${other} ${example.signature}` }), true);
  assert.equal(await verify({ signature: `${example.signature} ${other}` }), true);
  assert.equal(await verify({ signature: `${asymmetric} ${other} ${example.signature}` }), true);
  assert.equal(await verify({ signature: `${asymmetric} ${other}` }), false);
});

Deno.test("a timestamp may be 5 minutes off either way", async () => {
  for (const offset of [-300_000, 300_000]) {
    assert.equal(await verify({}, now + offset), true);
    assert.equal(await verify({}, now + offset + Math.sign(offset)), false);
  }
});

Deno.test("a request without one of the headers is refused", async () => {
  const headers = new Headers({
    "webhook-id": example.id,
    "webhook-timestamp": String(example.timestamp),
    "webhook-signature": example.signature,
  });
  for (const name of headers.keys()) {
    const without = new Headers(headers);
    without.delete(name);
    const body = new TextEncoder().encode(example.body);
    assert.equal((await verifyStandardWebhook(secret, body, without, now)).valid, false, name);
  }
});
