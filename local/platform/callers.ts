/**
 * What the hosted platform's API gateway asks of a request before any service sees it: its API key, and a user's token.
 */
import { timingSafeEqual } from "node:crypto";
import type { Tokens } from "./auth/tokens.ts";
import type { Caller } from "./lite.ts";

/** Who may call what is open to everybody. */
export const anonymous: Caller = { key: "publishable", claims: { role: "anon" } };

/** A refusal of the gateway itself, before any service is asked. */
export class GatewayError extends Error {
  constructor(readonly code: string, message: string, readonly hint?: string) {
    super(message);
  }

  response(): Response {
    const { code, message, hint } = this;
    return Response.json({ message, hint }, { status: 401, headers: { "sb-error-code": code } });
  }
}

/** The two keys of a project. */
export interface ApiKeys {
  publishableKey: string;
  secretKey: string;
}

/**
 * Whom a request acts for: its API key says which project's and with what right, and a user's token, if there is one,
 * for whom. An API key is never a token, except that supabase-js without a session repeats its key as one.
 */
export async function callerOf(
  request: Request,
  url: URL,
  { publishableKey, secretKey }: ApiKeys,
  tokens: Tokens,
): Promise<Caller> {
  const apiKey = request.headers.get("apikey") ?? url.searchParams.get("apikey");
  if (apiKey === null) {
    const hint = "No `apikey` request header or url param was found.";
    throw new GatewayError("UNAUTHORIZED_MISSING_API_KEY", "No API key found in request", hint);
  }
  const key = sameKey(apiKey, secretKey)
    ? "secret"
    : sameKey(apiKey, publishableKey)
    ? "publishable"
    : undefined;
  if (key === undefined) {
    const hint = "Double check your Supabase `apikey`";
    throw new GatewayError("UNAUTHORIZED_INVALID_API_KEY", "Invalid API key", hint);
  }
  if (key === "secret" && /^\s*Mozilla\s*\//i.test(request.headers.get("user-agent") ?? "")) {
    throw new GatewayError("UNAUTHORIZED_INVALID_API_KEY_TYPE", "Forbidden use of secret API key in browser");
  }
  const [, bearer] = /^Bearer\s+(.+)$/i.exec(request.headers.get("authorization") ?? "") ?? [];
  if (bearer === undefined || bearer === apiKey) {
    return { key, claims: { role: key === "secret" ? "service_role" : "anon" } };
  }
  return { key, claims: await tokens.verify(bearer) };
}

function sameKey(given: string, expected: string): boolean {
  const [one, other] = [new TextEncoder().encode(given), new TextEncoder().encode(expected)];
  return one.length === other.length && timingSafeEqual(one, other);
}

/** The gateway has read the token. Lite would try it on its own, older kind of key. */
export function withoutBearer(request: Request): Request {
  if (!request.headers.has("authorization")) return request;
  const headers = new Headers(request.headers);
  headers.delete("authorization");
  // Not made of the request itself, whose signal comes along and complains.
  return new Request(request.url, { method: request.method, headers, body: request.body });
}
