/** The headers that every answer carries, whatever it answers. */
import { createHash } from "node:crypto";
import type { Config } from "../platform/config.ts";
import { setCorsHeaders } from "./cors.ts";
import type { Language } from "../errors/languages.ts";

/** Two years, which browsers' preload lists ask for. */
const transportSecurity = "max-age=63072000";

export interface StandardHeaders {
  readonly requestId: string;
  /** As traceparentOf has it. */
  readonly traceparent: string | null;
  readonly language: Language;
  /** The request's Origin. */
  readonly origin: string | null;
  readonly corsAllowOrigin: Config["corsAllowOrigin"];
}

export function setStandardHeaders(headers: Headers, standard: StandardHeaders): void {
  headers.set("X-Request-Id", standard.requestId);
  if (standard.traceparent !== null) headers.set("traceparent", standard.traceparent);
  headers.set("Content-Language", standard.language);
  headers.append("Vary", "Accept-Language");
  if (!headers.has("Cache-Control")) headers.set("Cache-Control", "no-store");
  headers.set("X-Content-Type-Options", "nosniff");
  headers.set("Content-Security-Policy", "default-src 'none'");
  headers.set("Referrer-Policy", "no-referrer");
  headers.set("Strict-Transport-Security", transportSecurity);
  setCorsHeaders(headers, standard.origin, standard.corsAllowOrigin);
}

/** Of every request id that we answer, log and store. */
export const requestIdForm = /^[A-Za-z0-9._-]{8,64}$/;

/** The caller's own request id where it has the form of one, else a new UUID. */
export function requestIdOf(headers: Headers): string {
  const own = headers.get("x-request-id");
  return own !== null && requestIdForm.test(own) ? own : crypto.randomUUID();
}

/** Version 00 of W3C's Trace Context; ids of zeros alone are none. */
const traceparentForm = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})$/;

/** The caller's trace with a new id for this request's part in it, in the form of the header; null where none was sent. */
export function traceparentOf(headers: Headers): string | null {
  const [, trace, flags] = traceparentForm.exec(headers.get("traceparent") ?? "") ?? [];
  if (trace === undefined) return null;
  return `00-${trace}-${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}-${flags}`;
}

/** A strong entity tag: the hash of the bytes that are sent, the same in every isolate. */
export function entityTagOf(text: string): string {
  return `"${createHash("sha256").update(text).digest("base64url")}"`;
}

/** Whether If-None-Match names the answer's entity tag, so that the client has it already. */
export function isUnchanged(ifNoneMatch: string | null, etag: string): boolean {
  if (ifNoneMatch === null) return false;
  if (ifNoneMatch.trim() === "*") return true;
  // RFC 9110 compares weakly here: with or without W/, which caches that compress add.
  const tags: readonly string[] = ifNoneMatch.match(/"[^"]*"/g) ?? [];
  return tags.includes(etag);
}
