import { codes } from "../errors/error-codes.ts";
import { verifyCredentials } from "@supabase/server/core";
import * as z from "zod/mini";
import { requireAdmin } from "./admin-auth.ts";
import { AppError } from "../errors/app-error.ts";
import type { SupabaseConfig } from "../platform/config.ts";
import type { Auth, Caller, UserCaller } from "../endpoint/context.ts";

/**
 * What the issuer must have written for the token to be a user's. The signature, the audience, the issuer and
 * the times are checked before; a signed token without an end, or for another role, passes there.
 */
const userClaims = z.object({
  sub: z.guid().check(z.toLowerCase()),
  role: z.literal("authenticated"),
  exp: z.number(),
  is_anonymous: z._default(z.boolean(), false),
  session_id: z.guid().check(z.toLowerCase()),
  iat: z.number(),
  aal: z.catch(z.enum(["aal1", "aal2"]), "aal1"),
});

/**
 * Who sends the request, by the credentials that the operation asks for. Checked locally, without a round
 * trip. Throws ERR_4005 for credentials that are missing or invalid, ERR_4006 where an admin is asked for and
 * the token is no admin's; whether a user is active, or is an admin, the procedures ask.
 */
export async function authenticate(request: Request, auth: Auth, supabase: SupabaseConfig): Promise<Caller> {
  switch (auth) {
    case "user":
      return await authenticateUser(request, supabase);
    case "admin":
      return requireAdmin(await authenticateUser(request, supabase), supabase);
    case "service": {
      const key = await verify(request, "secret:*", supabase);
      return { kind: "service", keyName: key.keyName ?? "default" };
    }
    case "worker":
    case "metrics": {
      const key = auth === "worker" ? supabase.workerKey : supabase.metricsToken;
      return await isToken(request.headers.get("authorization"), key)
        ? { kind: "service", keyName: auth }
        : await authenticate(request, "service", supabase);
    }
    case "signed":
      return { kind: "unknown" };
    case "public": {
      // A key is optional here, but a wrong one is refused: whoever sends one means to be somebody.
      if (!request.headers.has("apikey")) return { kind: "unknown" };
      const key = await verify(request, ["secret:*", "publishable:*"], supabase);
      return key.authMode === "secret"
        ? { kind: "service", keyName: key.keyName ?? "default" }
        : { kind: "unknown" };
    }
  }
}

/** The token of an Authorization header; RFC 9110 has the scheme in any case, and one space or more behind it. */
function bearerToken(header: string | null): string | null {
  return /^Bearer +([\x21-\x7e]+)$/i.exec(header?.trim() ?? "")?.[1] ?? null;
}

/** Whether the header has the key as its token. Takes the same time whatever the token is. */
async function isToken(header: string | null, key: string | null): Promise<boolean> {
  const token = bearerToken(header);
  if (token === null || key === null) return false;
  const encoder = new TextEncoder();
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const sender = encoder.encode("sender");
  const keyOf = (secret: string) =>
    crypto.subtle.importKey("raw", encoder.encode(secret), algorithm, false, ["sign", "verify"]);
  const [given, ours] = await Promise.all([keyOf(token), keyOf(key)]);
  return await crypto.subtle.verify(
    algorithm,
    ours,
    await crypto.subtle.sign(algorithm, given, sender),
    sender,
  );
}

/** A token and its key have about 1 kB, so this is 1 MB of the isolate's 256; the oldest make room. */
const maxRemembered = 1_000;

interface Verified {
  readonly caller: UserCaller;
  /** When the token expires, in milliseconds since 1970. */
  readonly until: number;
}

/**
 * Users whose key and token this isolate has verified. The same two verify again until the token expires, and a client
 * sends them with every request; checking the signature is a third of what the wrapper costs. Whether the user is still
 * active is never remembered: the procedures ask.
 */
const verified = new WeakMap<SupabaseConfig, Map<string, Verified>>();

async function authenticateUser(request: Request, supabase: SupabaseConfig): Promise<UserCaller> {
  const credentials = JSON.stringify([request.headers.get("apikey"), request.headers.get("authorization")]);
  const remembered = verified.get(supabase) ?? new Map<string, Verified>();
  const known = remembered.get(credentials);
  if (known !== undefined && Date.now() < known.until) return known.caller;
  remembered.delete(credentials);

  // The platform's gateway checks no key where verify_jwt is off.
  await verify(request, "publishable:*", supabase);
  const { jwtClaims } = await verify(request, "user", supabase);
  const claims = userClaims.safeParse(jwtClaims);
  if (!claims.success) throw new AppError(codes["auth/unauthenticated"], { cause: claims.error });
  const caller: UserCaller = {
    kind: "user",
    userId: claims.data.sub,
    sessionId: claims.data.session_id,
    isAnonymous: claims.data.is_anonymous,
    assuranceLevel: claims.data.aal,
  };

  const oldest = remembered.keys().next().value;
  if (remembered.size >= maxRemembered && oldest !== undefined) remembered.delete(oldest);
  verified.set(supabase, remembered.set(credentials, { caller, until: claims.data.exp * 1000 }));
  return caller;
}

/** Whose access token this is; null for one that is not alive, or was not made by our Auth. */
export interface TokenOwner {
  readonly userId: string;
  readonly sessionId: string;
  /** In milliseconds since 1970. */
  readonly issuedAt: number;
}

/** Reads a user's access token that came another way than as the caller's own. Whether its session is alive, only the database knows. */
export async function ownerOfToken(token: string, supabase: SupabaseConfig): Promise<TokenOwner | null> {
  const { data, error } = await verifyCredentials({ token, apikey: null }, optionsOf("user", supabase));
  if (error !== null && error.status >= 500) throw new AppError(codes["internal/error"], { cause: error });
  const claims = userClaims.safeParse(data?.jwtClaims);
  if (!claims.success) return null;
  const { sub, session_id, iat } = claims.data;
  return { userId: sub, sessionId: session_id, issuedAt: iat * 1000 };
}

type Mode = "user" | "publishable:*" | "secret:*";

function optionsOf(auth: Mode | Mode[], supabase: SupabaseConfig) {
  return { auth, audience: "authenticated", issuer: supabase.jwtIssuer, env: supabase };
}

async function verify(request: Request, mode: Mode | Mode[], supabase: SupabaseConfig) {
  // The library's own reading knows one way alone to write "Bearer".
  const credentials = {
    token: bearerToken(request.headers.get("authorization")),
    apikey: request.headers.get("apikey"),
  };
  const { data, error } = await verifyCredentials(credentials, optionsOf(mode, supabase));
  if (error === null) return data;
  // A 500 is our own fault, such as keys that cannot be read; blaming the caller would hide it.
  throw new AppError(error.status >= 500 ? codes["internal/error"] : codes["auth/unauthenticated"], {
    cause: error,
  });
}
