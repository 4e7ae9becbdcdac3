import assert from "node:assert/strict";
import { AppError } from "../errors/app-error.ts";
import { fingerprint, parseIdempotencyKey } from "./idempotency-key.ts";

Deno.test("a bare and a quoted key are the same key", () => {
  const key = "8e03978e-40d5-43dd-bc93-6894a57f9324";
  assert.equal(parseIdempotencyKey(key), key);
  assert.equal(parseIdempotencyKey(`"${key}"`), key);
  assert.equal(parseIdempotencyKey('"a\\"b\\\\c"'), 'a"b\\c');
  assert.equal(parseIdempotencyKey('a"b'), 'a"b');
  assert.equal(parseIdempotencyKey("~".repeat(255)).length, 255);
  assert.equal(parseIdempotencyKey(`"${"~".repeat(255)}"`).length, 255);
});

Deno.test("a key that is missing or malformed is ERR_4010", () => {
  const malformed = [
    null,
    "",
    '""',
    "a b",
    '"a b"',
    '"open',
    'closed"',
    '"',
    '"a"b"',
    "a, b",
    '"a";p=1',
    "é",
    "a\tb",
    "~".repeat(256),
    `"${"~".repeat(256)}"`,
  ];
  for (const header of malformed) {
    assert.throws(
      () => parseIdempotencyKey(header),
      (error) => error instanceof AppError && error.code === "ERR_4010",
      String(header),
    );
  }
});

Deno.test("the fingerprint is the SHA-256 of the canonical request", () => {
  // The digest of {"a":1,"b":[2]}, as sha256sum gives it.
  const expected = "0855bfc20eb6cfaa4be7d6b510c63dd22997718bddadcb1a4915cec3a16145b9";
  assert.equal(fingerprint({ b: [2], a: 1 }), expected);
  assert.equal(fingerprint({ a: 1, b: [2] }), expected);
  assert.notEqual(fingerprint({ a: 1, b: [3] }), expected);
});
