import { exportJWK, generateKeyPair, SignJWT } from "jose";

/** The project that test tokens and test configurations belong to. */
export const projectUrl = "https://project.example.com";
export const publishableKey = "sb_publishable_test";
export const secretKey = "sb_secret_test";
export const sessionId = "3e0a9d1c-6a0b-4a57-8a52-0c9f6f1f8b02";
export const userId = "7d0c9f0e-3a52-4c1b-9a54-0f1f1f6f8a01";

export interface TokenIssuer {
  /** The public keys, as SUPABASE_JWKS has them. */
  readonly jwks: string;
  /** A guest's token as the platform signs it; claims that are given replace its own, undefined ones vanish. */
  sign(claims?: Readonly<Record<string, unknown>>): Promise<string>;
}

/** Signs as the platform does, with ES256 and a `kid`. Another issuer's tokens are forgeries. */
export async function createTokenIssuer(): Promise<TokenIssuer> {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const kid = "test-key";
  const jwk = { ...await exportJWK(publicKey), kid, alg: "ES256", use: "sig" };
  return {
    jwks: JSON.stringify({ keys: [jwk] }),
    sign: (claims = {}) => {
      const now = Math.floor(Date.now() / 1000);
      const payload = {
        iss: `${projectUrl}/auth/v1`,
        sub: userId,
        aud: "authenticated",
        role: "authenticated",
        aal: "aal1",
        is_anonymous: true,
        session_id: sessionId,
        iat: now,
        exp: now + 3600,
        ...claims,
      };
      return new SignJWT(payload).setProtectedHeader({ alg: "ES256", kid, typ: "JWT" }).sign(privateKey);
    },
  };
}
