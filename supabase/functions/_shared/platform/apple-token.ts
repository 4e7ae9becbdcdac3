/** The tokens that Apple's services ask for: ES256, signed with a key that Apple gave the developer, and used again for a while. */
import { importPKCS8, type JWTPayload, SignJWT } from "jose";

export interface AppleKey {
  readonly keyId: string;
  /** PKCS#8 in PEM. */
  readonly privateKey: string;
}

/** Apple takes a token for an hour and wants it reused: APNs takes no new one within 20 minutes. */
const reuseMilliseconds = 25 * 60_000;
/**
 * So much earlier than by our clock a token is said to be made. Apple answers 401 to one from the future, as to a wrong key
 * (agisboye/app-store-server-api, issue 23), and clocks differ by seconds.
 */
const clockToleranceSeconds = 60;

/** `signed` is the token once it is there. */
interface AppleToken {
  readonly issuedAt: number;
  readonly signing: Promise<string>;
  signed: string | null;
}

/** Outlives a request, as the configuration does, whose key this goes by: adapters are made anew for each. */
const tokens = new WeakMap<AppleKey, AppleToken>();

/**
 * A token with `claims`, and the time of its making, a minute early; for one key always with the same claims. Whoever asks
 * while it is signed gets the same one. `lifeSeconds` is for services that want to be told when it ends. `now` in milliseconds
 * since 1970. Throws where the key is none for ES256.
 */
export async function appleToken(
  key: AppleKey,
  claims: JWTPayload,
  { now, lifeSeconds }: { now: number; lifeSeconds?: number },
): Promise<string> {
  const known = tokens.get(key);
  if (known && Math.abs(now - known.issuedAt) < reuseMilliseconds) return await known.signing;
  const token: AppleToken = { issuedAt: now, signing: sign(key, claims, now, lifeSeconds), signed: null };
  tokens.set(key, token);
  try {
    return token.signed = await token.signing;
  } catch (error) {
    if (tokens.get(key) === token) tokens.delete(key);
    throw error;
  }
}

async function sign(
  key: AppleKey,
  claims: JWTPayload,
  now: number,
  lifeSeconds: number | undefined,
): Promise<string> {
  const issuedAt = Math.floor(now / 1000) - clockToleranceSeconds;
  const jwt = new SignJWT(claims).setProtectedHeader({ alg: "ES256", kid: key.keyId }).setIssuedAt(issuedAt);
  if (lifeSeconds !== undefined) jwt.setExpirationTime(issuedAt + lifeSeconds);
  return await jwt.sign(await importPKCS8(key.privateKey, "ES256"));
}

/**
 * Apple did not take the token. Perhaps a clock was wrong when it was signed: the next call signs anew. Of many requests that
 * went with `refused`, the first has it forgotten; without it, whatever there is.
 */
export function forgetAppleToken(key: AppleKey, refused?: string): void {
  if (refused === undefined || tokens.get(key)?.signed === refused) tokens.delete(key);
}
