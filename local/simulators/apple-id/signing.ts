/** What Apple signs about its users: identity tokens for apps, and its word about an identity for their servers. */
import {
  calculateJwkThumbprint,
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
  SignJWT,
} from "jose";

export const appleIssuer = "https://appleid.apple.com";

/** Apple's are good for so long. */
const identityTokenSeconds = 24 * 60 * 60;

/** As whom, for whom and by whose key something is signed; all of it Apple's and right where nothing else is said. */
export interface Signing {
  readonly audience?: string;
  readonly issuer?: string;
  /** Seconds since 1970. */
  readonly issuedAt?: number;
  /** Signed by this key, and not Apple's. */
  readonly forgedWith?: CryptoKey;
  /** The key's name, where the header does not tell that of Apple's. */
  readonly kid?: string;
}

/** What an identity token says besides what it must. */
export interface IdentityTokenOptions extends Signing {
  readonly sub: string;
  readonly email?: string;
  /** As the app sends it, raw; the token carries its SHA-256. */
  readonly nonce?: string;
  /** From now; negative for one that has expired. */
  readonly expiresInSeconds?: number;
}

/** Apple's word about an identity. */
export interface IdentityEvent extends Signing {
  /** `consent-revoked`, `account-delete`, `email-enabled` or `email-disabled`; Apple may have more some day. */
  readonly type: string;
  readonly sub: string;
  readonly email?: string;
  /** Milliseconds since 1970. */
  readonly at?: number;
  readonly id?: string;
}

/** Signs with Apple's newest key, which `keys` gives. */
export class AppleSigner {
  constructor(
    private readonly clientId: string,
    private readonly newestKey: () => JWK,
  ) {}

  /** Any claims. */
  async sign(
    claims: Record<string, unknown>,
    { audience = this.clientId, issuer = appleIssuer, issuedAt, forgedWith, kid }: Signing = {},
    expiresInSeconds = identityTokenSeconds,
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const key = this.newestKey();
    return await new SignJWT(claims).setProtectedHeader({ alg: "RS256", kid: kid ?? key.kid ?? "" })
      .setIssuer(issuer).setAudience(audience).setIssuedAt(issuedAt ?? Math.min(now, now + expiresInSeconds))
      .setExpirationTime(now + expiresInSeconds).sign(forgedWith ?? await importJWK(key, "RS256"));
  }

  /** What an app gets when its user signs in. */
  async identityToken(
    { sub, email, nonce, expiresInSeconds, ...signing }: IdentityTokenOptions,
  ): Promise<string> {
    const claims = {
      sub,
      auth_time: Math.floor(Date.now() / 1000),
      ...(email === undefined ? {} : { email, email_verified: "true" }),
      ...(nonce === undefined ? {} : { nonce: await sha256(nonce), nonce_supported: true }),
    };
    return await this.sign(claims, signing, expiresInSeconds);
  }

  /** The body of a notification, as Apple sends it. */
  async notification(
    { type, sub, email, at = Date.now(), id = crypto.randomUUID(), ...signing }: IdentityEvent,
  ): Promise<{ payload: string }> {
    const about = email === undefined ? {} : { email, is_private_email: "true" };
    // Apple puts it in as a text.
    const events = JSON.stringify({ type, sub, ...about, event_time: at });
    return { payload: await this.sign({ jti: id, events }, signing) };
  }
}

/** A key as Apple's are, private part included. */
export async function newSigningKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair("RS256", { extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, kid: (await calculateJwkThumbprint(jwk)).slice(0, 10) };
}

/** What Apple publishes of it. */
export function publishedKey({ kty, kid, n, e }: JWK): Readonly<Record<string, unknown>> {
  return { kty, kid, n, e, use: "sig", alg: "RS256" };
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(digest).reduce((hex, byte) => hex + byte.toString(16).padStart(2, "0"), "");
}
