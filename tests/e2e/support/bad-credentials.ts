/** Credentials that are nobody's, each for one reason. */
import { decodeJwt, generateKeyPair, importJWK, type JWTPayload, SignJWT } from "jose";
import type { Auth } from "../../../supabase/functions/_shared/endpoint/context.ts";
import type { Backend, Guest } from "./backend.ts";

type Forge = (claims: JWTPayload) => Promise<string> | string;

/** Tokens that are none of a user's, each for one reason. */
function badTokens({ stack, keys: { signingKey } }: Backend): Record<string, Forge> {
  const header = { alg: "ES256", typ: "JWT", kid: signingKey.kid ?? "" };
  const signWith = (key: Parameters<SignJWT["sign"]>[0], claims: JWTPayload) =>
    new SignJWT(claims).setProtectedHeader(header).sign(key);
  const sign = async (claims: JWTPayload) => await signWith(await importJWK(signingKey, "ES256"), claims);
  const without = (claims: JWTPayload, claim: string) =>
    Object.fromEntries(Object.entries(claims).filter(([name]) => name !== claim));
  const encode = (value: unknown) => btoa(JSON.stringify(value)).replaceAll("=", "");
  return {
    "signed with another key": async (claims) =>
      await signWith((await generateKeyPair("ES256")).privateKey, claims),
    "with a changed claim": async (claims) => {
      const [head, , signature] = (await sign(claims)).split(".");
      return [head, encode({ ...claims, sub: crypto.randomUUID() }), signature].join(".");
    },
    "unsigned": (claims) => `${encode({ alg: "none", typ: "JWT", kid: header.kid })}.${encode(claims)}.`,
    "signed with the public key as a secret": async (claims) => {
      const secret = new TextEncoder().encode(JSON.stringify(stack.jwks.keys[0]));
      return await new SignJWT(claims).setProtectedHeader({ ...header, alg: "HS256" }).sign(secret);
    },
    "expired": (claims) => sign({ ...claims, exp: Math.floor(Date.now() / 1000) - 60 }),
    "without an end": (claims) => sign(without(claims, "exp")),
    "for another audience": (claims) => sign({ ...claims, aud: "elsewhere" }),
    "without an audience": (claims) => sign(without(claims, "aud")),
    "of another issuer": (claims) => sign({ ...claims, iss: "https://elsewhere.example/auth/v1" }),
    "without an issuer": (claims) => sign(without(claims, "iss")),
    "for the role anon": (claims) => sign({ ...claims, role: "anon" }),
    "for the role service_role": (claims) => sign({ ...claims, role: "service_role" }),
    "without a role": (claims) => sign(without(claims, "role")),
    "of nobody": (claims) => sign(without(claims, "sub")),
    "of somebody who is no user": (claims) => sign({ ...claims, sub: "service" }),
    "of no session": (claims) => sign(without(claims, "session_id")),
    "which is no token": () => "token",
    "which is the publishable key": () => stack.publishableKey,
    "which is the secret key": () => stack.secretKey,
  };
}

/** Headers that are nobody's credentials for this kind of caller; `guest` is who could call as a user. */
export async function badCredentials(
  backend: Backend,
  guest: Guest,
  auth: Auth,
): Promise<Record<string, Record<string, string>>> {
  const { publishableKey, secretKey } = backend.stack;
  const user = `Bearer ${guest.token}`;
  switch (auth) {
    case "user":
    case "admin": {
      const claims = decodeJwt(guest.token);
      const tokens = Object.entries(badTokens(backend)).map(async ([what, forge]) =>
        [`a token ${what}`, {
          apikey: publishableKey,
          authorization: `Bearer ${await forge(claims)}`,
        }] as const
      );
      return {
        "nothing": {},
        "an API key alone": { apikey: publishableKey },
        "a secret key alone": { apikey: secretKey },
        "a token without an API key": { authorization: user },
        "a token with an API key of another project": { apikey: `${publishableKey}x`, authorization: user },
        "a token in another scheme": { apikey: publishableKey, authorization: `Basic ${guest.token}` },
        ...Object.fromEntries(await Promise.all(tokens)),
      };
    }
    case "service":
    case "worker":
    case "metrics": {
      const [key, others] = auth === "metrics"
        ? [backend.keys.metricsToken, backend.keys.workerKey]
        : [backend.keys.workerKey, backend.keys.metricsToken];
      return {
        "nothing": {},
        "a publishable key": { apikey: publishableKey },
        "a secret key of another project": { apikey: `${secretKey.slice(0, -1)}_` },
        "a secret key as a token": { authorization: `Bearer ${secretKey}` },
        "a secret key as a token, with a publishable key": {
          apikey: publishableKey,
          authorization: `Bearer ${secretKey}`,
        },
        "a user": { apikey: publishableKey, authorization: user },
        "a key that is not ours": { authorization: `Bearer ${key}x` },
        "the key in another scheme": { authorization: `Basic ${key}` },
        "the key as an API key": { apikey: key },
        "the key of another operation": { authorization: `Bearer ${others}` },
      };
    }
    case "public":
      return { "an API key of another project": { apikey: `${publishableKey}x` } };
    case "signed":
      // Nothing that a caller is: the signature's forgeries are provider_webhook_test.ts's.
      return {
        "nothing": {},
        "a user": { apikey: publishableKey, authorization: user },
        "a secret key": { apikey: secretKey },
      };
  }
}
