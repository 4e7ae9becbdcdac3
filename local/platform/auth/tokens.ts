/**
 * The access tokens of Supabase Auth: signed with ES256, as hosted projects do, with the platform's claims.
 */
import { errors, importJWK, type JSONWebKeySet, type JWK, jwtVerify, SignJWT } from "jose";
import { publicKeyOf } from "../../keys.ts";
import type { Caller } from "../lite.ts";

/** The platform's default. */
export const accessTokenSeconds = 3600;

/** A user as clients see it. */
export interface User {
  id: string;
  email: string;
  phone: string;
  role: string;
  aud: string;
  is_anonymous: boolean;
  app_metadata: unknown;
  user_metadata: unknown;
}

export interface Session {
  id: string;
  aal: string;
  /** How its user proved who they are, the newest first; Unix times in seconds. */
  amr: readonly { method: string; timestamp: number }[];
  user: User;
}

export interface Tokens {
  /** The public half of the signing key. */
  jwks: JSONWebKeySet;
  /** A token of this session, and the Unix time in seconds at which it expires. */
  sign(session: Session): Promise<{ token: string; expiresAt: number }>;
  /** The claims of a token signed here. Throws AuthError for any other, and for one that has expired. */
  verify(token: string): Promise<Caller["claims"]>;
}

/** A refusal, with the service's status and error_code. */
export class AuthError extends Error {
  constructor(readonly status: number, readonly code: string, message: string) {
    super(message);
  }

  /** The service's error body. */
  response(): Response {
    const { status, code, message } = this;
    return Response.json({ code: status, error_code: code, msg: message }, {
      status,
      headers: { "x-sb-error-code": code },
    });
  }
}

/** The roles that a token may name; the Data API assumes them. */
const roles = ["anon", "authenticated", "service_role"];

/** `issuer` is the URL of the service, as clients see it; `signingKey` a private ES256 key with a `kid`. */
export async function createTokens(issuer: string, signingKey: JWK): Promise<Tokens> {
  const publicJwk = publicKeyOf(signingKey);
  const header = { alg: "ES256", typ: "JWT", kid: signingKey.kid ?? "" };
  const [privateKey, publicKey] = await Promise.all([
    importJWK(signingKey, "ES256"),
    importJWK(publicJwk, "ES256"),
  ]);

  return {
    jwks: { keys: [publicJwk] },
    async sign({ id, aal, amr, user }) {
      const now = Math.floor(Date.now() / 1000);
      const expiresAt = now + accessTokenSeconds;
      const { email, phone, app_metadata, user_metadata, role, is_anonymous } = user;
      const claims = {
        ...{ email, phone, app_metadata, user_metadata, role, aal, amr },
        ...{ session_id: id, is_anonymous },
      };
      const token = await new SignJWT(claims).setProtectedHeader(header).setIssuer(issuer).setSubject(user.id)
        .setAudience(user.aud).setIssuedAt(now).setExpirationTime(expiresAt).sign(privateKey);
      return { token, expiresAt };
    },
    async verify(token) {
      try {
        const { payload } = await jwtVerify(token, publicKey, {
          algorithms: ["ES256"],
          issuer,
          requiredClaims: ["exp", "sub"],
        });
        const { role } = payload;
        if (typeof role !== "string" || !roles.includes(role)) {
          throw new AuthError(403, "bad_jwt", "invalid JWT: unknown role");
        }
        return { ...payload, role };
      } catch (error) {
        if (!(error instanceof errors.JOSEError)) throw error;
        const reason = error instanceof errors.JWTExpired
          ? "token is expired"
          : "unable to parse or verify signature";
        throw new AuthError(403, "bad_jwt", `invalid JWT: ${reason}`);
      }
    },
  };
}
