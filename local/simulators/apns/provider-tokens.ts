/** How APNs judges the tokens that providers come with. */
import { type CryptoKey, decodeProtectedHeader, jwtVerify } from "jose";
import type { Refusal } from "./requests.ts";

/** Apple's: a token is good for an hour, and a new one is taken 20 minutes after another at the earliest. */
const lifeMilliseconds = 60 * 60_000;
const updateMilliseconds = 20 * 60_000;

export interface ProviderTokens {
  /** What is wrong with an Authorization header that came by this connection; null for one that is right. */
  faultOf(authorization: string, connection: number): Promise<Refusal | null>;
  /** Takes a token for older than it is. */
  expire(authorization: string): void;
}

/** Knows the tokens that this key of this team signs. */
export function providerTokens(
  { teamId, keyId, publicKey }: { teamId: string; keyId: string; publicKey: CryptoKey },
): ProviderTokens {
  const expired = new Set<string>();
  /** Of each connection the token that came last, and since when. */
  const last = new Map<number, { authorization: string; since: number }>();

  return {
    expire: (authorization) => void expired.add(authorization),
    async faultOf(authorization, connection) {
      const token = /^bearer (.+)$/i.exec(authorization)?.[1];
      if (token === undefined) return { status: 403, reason: "MissingProviderToken" };
      const invalid = { status: 403, reason: "InvalidProviderToken" };
      let issuedAt: number;
      try {
        if (decodeProtectedHeader(token).kid !== keyId) return invalid;
        const { payload } = await jwtVerify(token, publicKey, { algorithms: ["ES256"], issuer: teamId });
        if (payload.iat === undefined) return invalid;
        issuedAt = payload.iat * 1000;
      } catch {
        return invalid;
      }
      const now = Date.now();
      if (issuedAt > now) return invalid;
      if (expired.has(authorization) || now - issuedAt > lifeMilliseconds) {
        return { status: 403, reason: "ExpiredProviderToken" };
      }
      const before = last.get(connection);
      if (before?.authorization === authorization) return null;
      const isSoon = before !== undefined && !expired.has(before.authorization) &&
        now - before.since < updateMilliseconds;
      if (isSoon) return { status: 429, reason: "TooManyProviderTokenUpdates" };
      last.set(connection, { authorization, since: now });
      return null;
    },
  };
}
