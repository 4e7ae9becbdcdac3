/** The tokens that Apple's services ask for: ES256, signed with a key that Apple gave the developer, and used again for a while. */
import { importPKCS8, type JWTPayload, SignJWT } from "jose";

export interface AppleKey {
  readonly keyId: string;
  /** PKCS#8 in PEM. */
  readonly privateKey: string;
}

/** Apple takes a token for an hour and wants it reused. */
const reuseMilliseconds = 20 * 60_000;
/**
 * So much earlier than by our clock a token is said to be made. Apple answers 401 to one from the future, as to a wrong key
 * (agisboye/app-store-server-api, issue 23), and clocks differ by seconds.
 */
const clockToleranceSeconds = 60;

/** Outlives a request, as the configuration does, whose key this goes by: adapters are made anew for each. */
const tokens = new WeakMap<AppleKey, { token: string; issuedAt: number }>();

/**
 * A token with `claims`, and the time of its making, a minute early; for one key always with the same claims. `lifeSeconds` is
 * for services that want to be told when it ends. `now` in milliseconds since 1970. Throws where the key is none for ES256.
 */
export async function appleToken(
  key: AppleKey,
  claims: JWTPayload,
  { now, lifeSeconds }: { now: number; lifeSeconds?: number },
): Promise<string> {
  const known = tokens.get(key);
  if (known && Math.abs(now - known.issuedAt) < reuseMilliseconds) return known.token;
  const issuedAt = Math.floor(now / 1000) - clockToleranceSeconds;
  const jwt = new SignJWT(claims).setProtectedHeader({ alg: "ES256", kid: key.keyId }).setIssuedAt(issuedAt);
  if (lifeSeconds !== undefined) jwt.setExpirationTime(issuedAt + lifeSeconds);
  const token = await jwt.sign(await importPKCS8(key.privateKey, "ES256"));
  tokens.set(key, { token, issuedAt: now });
  return token;
}

/** Apple did not take the token. Perhaps a clock was wrong when it was signed: the next call signs anew. */
export function forgetAppleToken(key: AppleKey): void {
  tokens.delete(key);
}
