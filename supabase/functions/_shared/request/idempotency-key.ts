import { createHash } from "node:crypto";
import { codes } from "../errors/error-codes.ts";
import { AppError } from "../errors/app-error.ts";
import { canonicalJson } from "../platform/json.ts";

/**
 * The key that an Idempotency-Key header names: 1–255 visible ASCII characters, bare, or quoted as the header's
 * draft has it; both are the same key. Throws ERR_4010 otherwise.
 */
export function parseIdempotencyKey(header: string | null): string {
  const quoted = /^"((?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/.exec(header ?? "")?.[1];
  const key = quoted === undefined ? header ?? "" : quoted.replace(/\\(["\\])/g, "$1");
  const isKey = /^[\x21-\x7e]{1,255}$/.test(key);
  // A quote that is opened or closed alone is a mistake, and not a part of the key.
  const isHalfQuoted = quoted === undefined && /^"|"$/.test(key);
  if (!isKey || isHalfQuoted) throw new AppError(codes["idempotency/key-missing"]);
  return key;
}

/** SHA-256, in hex, of the validated request: equal requests have equal fingerprints, however they were written. */
export function fingerprint(request: unknown): string {
  // Web Crypto would do it in another thread, which costs more than the digest.
  return createHash("sha256").update(canonicalJson(request)).digest("hex");
}
