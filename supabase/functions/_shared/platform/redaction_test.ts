import assert from "node:assert/strict";
import { redactText, redactValue } from "./redaction.ts";

const jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
const deviceToken = "A".repeat(120) + "/+" + "b".repeat(200) + "==";

/** Texts with one secret each, and the secret. */
const canaries: [string, string][] = [
  ["user jane.doe+test@mail.example.com failed", "jane.doe+test@mail.example.com"],
  ["call +90 532 123 45 67 now", "532 123 45 67"],
  ["call (555) 123-4567 now", "123-4567"],
  ["paid with 4111 1111 1111 1111.", "1111 1111"],
  ["paid with 4111111111111111", "4111111111111111"],
  ["paid with 5500-0000-0000-0004", "5500-0000"],
  ["paid with 378282246310005", "378282246310005"],
  [`Authorization: Bearer ${jwt}`, "c2lnbmF0dXJl"],
  [`token ${jwt} expired`, "eyJzdWIiOiIxIn0"],
  ["Bearer abc.def-123", "abc.def"],
  ["Key 1b2c3d4e-aaaa-bbbb:0123456789abcdef", "0123456789abcdef"],
  ["key sb_secret_abcDEF-123 was used", "abcDEF"],
  ["key sb_publishable_abcDEF was used", "abcDEF"],
  ["https://x.example.com/hook?provider=fal&token=0a1b2c3d&x=1", "0a1b2c3d"],
  ["https://x.example.com/object/sign/v.mp4?token=abc.def", "abc.def"],
  ["subject 001234.0123456789abcdef0123456789abcdef.1234", "0123456789abcdef"],
  [`push token ${"0f".repeat(32)}`, "0f0f"],
  [`device token ${deviceToken}`, "bbbb"],
  [`half a device token ${deviceToken.slice(60, 140)}7aB`, "bbbbbbbb"],
  ["https://x.example.com/v.mp4?X-Amz-Signature=0a1b2c3d&X-Amz-Expires=60", "0a1b2c3d"],
  ["https://x.example.com/?device_id=5ca1ab1e&x=1", "5ca1ab1e"],
  ["https://x.example.com/?q=jane.doe%40mail.example.com", "jane.doe"],
  ['fal answered {"input": {"prompt": "a \\"red\\" fox", "seed": 1}}', "fox"],
  ['fal answered {\\"prompt\\": \\"a red fox\\"}', "fox"],
  ['an answer that was cut: {"prompt":"a red fo', "a red"],
  ['{"phone_number": 5321234567, "x": 1}', "5321234567"],
  ["token r8_abcDEFghiJKLmnoPQRstuVWXyz0123456789a", "abcDEF"],
  [`token key_${"0f".repeat(64)}`, "0f0f"],
  ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8G"],
  ["-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n-----END PRIVATE KEY-----", "MIGHAgEA"],
];

Deno.test("secrets and people do not survive in texts, nor in errors, nor in nested values", () => {
  for (const [text, secret] of canaries) {
    assert(text.includes(secret));
    const error = new Error(text, { cause: new Error(text) });
    for (const value of [text, error, { a: [{ b: text }] }, [text], { [text]: 1 }]) {
      const written = JSON.stringify(redactValue("field", value));
      assert(!written.includes(secret), `${written} holds ${secret}`);
      assert(written.includes("[redacted]"), written);
    }
  }
});

Deno.test("fields with telling names are never written, however the name is spelled", () => {
  const names = [
    "prompt",
    "negative_prompt",
    "device_token",
    "deviceToken",
    "device-id",
    "Authorization",
    "apikey",
    "x-api-key",
    "email",
    "user_email",
    "phone_number",
    "set-cookie",
    "access_token",
    "APPLE_DEVICE_CHECK_PRIVATE_KEY",
    "apple_user_id",
    "WEBHOOK_SECRET",
    "password",
    "display_name",
    "signedPayload",
    "input",
    "body",
  ];
  for (const name of names) {
    for (const value of ["a red fox", 12, { nested: "a red fox" }, ["a red fox"]]) {
      assert.equal(redactValue(name, value), "[redacted]", name);
    }
  }
  assert.deepEqual(redactValue("request", { settings: { prompt: "a red fox" } }), {
    settings: { prompt: "[redacted]" },
  });
});

Deno.test("what an operator needs stays readable", () => {
  const harmless = [
    "7d0c9f0e-3a52-4c1b-9a54-0f1f1f6f8a01",
    "12345678-1234-4234-8234-123456789012",
    "2026-11-20T15:52:44.000+00:00",
    "at file:///srv/functions/_shared/endpoint.ts:12:34",
    "generate-video",
    "video_generation",
    "1795000000000",
    "status 429 after 3 attempts in 1200 ms",
    "4111111111111112",
    '{"status": "failed", "error": "no video"}',
    "at file:///var/tmp/sb-compile-edge-runtime/functions/_shared/database/procedures/generation/worker/long.ts:12",
    "record_submission_that_has_a_name_of_more_than_eighty_letters_and_so_on_and_on_until_it_ends",
    "Key not found",
    "[2001:db8::1]:443",
  ];
  for (const text of harmless) assert.equal(redactText(text), text);
  assert.deepEqual(redactValue("fields", { duration_ms: 12, ok: true, none: null, user_id: "u" }), {
    duration_ms: 12,
    ok: true,
    none: null,
    user_id: "u",
  });
  assert.equal(redactValue("number", 4111111111111111), "[redacted]");
});

Deno.test("long and hostile texts are cut, and cost little", () => {
  const units = [
    "a",
    "a.",
    "a@",
    "1",
    "+1 ",
    "eyJ",
    "4111 ",
    "(",
    "-----BEGIN PRIVATE KEY-----",
    "Bearer ",
    "?token=",
    '"prompt": "',
    '\\"prompt\\": \\"',
    '"a":"b"',
    "aB1/",
    "a%40b.",
  ];
  const cost = () => {
    const started = performance.now();
    for (const unit of units) assert(redactText(unit.repeat(100_000)).length <= 4_001);
    return performance.now() - started;
  };
  // Milliseconds, when nothing backtracks; what does is slow each time, and a busy machine is not.
  assert(Array.from({ length: 5 }).some(() => cost() < 2_000));
});

Deno.test("what is passed over as harmless is neither a key nor half of one, nor a card number", () => {
  for (const text of ["sb_secret_abc", "sb_publishable_abc", "whsec_abcdef", "4111111111111111", "a@b.co"]) {
    assert.notEqual(redactText(text), text, text);
  }
  for (const text of ["completed", "POST", "generate-video", "0190a000-0000-7000-8000-000000000001"]) {
    assert.equal(redactText(text), text);
  }
  assert.equal(redactValue("amount", 4111111111111111), "[redacted]");
  assert.equal(redactValue("duration_ms", 12), 12);
});
