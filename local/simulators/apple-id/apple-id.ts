/**
 * Sign in with Apple on one machine: its public keys, identity tokens, authorization codes, their exchange and the
 * revocation of what they were exchanged for, and Apple's word about an identity. README.md tells the switches.
 */
import {
  calculateJwkThumbprint,
  type CryptoKey,
  errors,
  exportJWK,
  generateKeyPair,
  importJWK,
  importSPKI,
  type JWK,
  jwtVerify,
  SignJWT,
} from "jose";
import * as z from "zod";
import { tryParseJson } from "../../../supabase/functions/_shared/platform/json.ts";
import { takeRule } from "../engine/control.ts";
import { hangUp } from "../engine/loopback-server.ts";
import { keepRequest } from "../engine/request-log.ts";
import { type Simulator, startSimulator } from "../engine/simulator.ts";
import { stateFile } from "../engine/state-file.ts";
import { type ActiveAppleIdRule, type AppleIdRule, appleIdRule } from "./rules.ts";

export type { AppleIdRule } from "./rules.ts";

export const appleIssuer = "https://appleid.apple.com";

/** Apple's are good for so long. */
const identityTokenSeconds = 24 * 60 * 60;
const codeSeconds = 5 * 60;
/** What Apple takes as the life of a client secret at most: six months. */
const clientSecretSeconds = 15_777_000;

const call = z.object({
  at: z.number(),
  operation: z.string(),
  /** The Apple user whom the code or token is of. */
  sub: z.string().nullable(),
  /** Null where the connection was closed instead. */
  status: z.number().nullable(),
});

const signIn = z.strictObject({
  sub: z.string().min(1),
  email: z.string().optional(),
  nonce: z.string().optional(),
});

const appleIdState = z.object({
  signingKey: z.record(z.string(), z.unknown()),
  rules: z.array(appleIdRule),
  /** Authorization codes that were not exchanged yet. */
  codes: z.record(z.string(), z.object({ sub: z.string(), until: z.number() })),
  /** Refresh tokens that are alive, with their users. */
  refreshTokens: z.record(z.string(), z.string()),
});
type AppleIdState = z.infer<typeof appleIdState>;

const appleIdReport = z.object({
  /** Since the start or the last reset, the newest 1,000. */
  requests: z.array(call),
  rules: z.array(appleIdRule),
  /** Apple users whose consent is alive, as often as it was given. */
  consents: z.array(z.string()),
});

export interface AppleIdOptions {
  /** A free one without it. */
  readonly port?: number;
  /** Where its key, codes and rules live on between two starts. */
  readonly stateFile?: string;
  readonly teamId: string;
  readonly keyId: string;
  /** Of the client secrets' key: SPKI in PEM. */
  readonly publicKey: string;
  /** The app's bundle id. */
  readonly clientId: string;
}

/** What an identity token says besides what it must. */
export interface IdentityTokenOptions {
  readonly sub: string;
  readonly email?: string;
  /** As the app sends it, raw; the token carries its SHA-256. */
  readonly nonce?: string;
  readonly audience?: string;
  readonly issuer?: string;
  /** From now; negative for one that has expired. */
  readonly expiresInSeconds?: number;
  /** Signed by this key, and not Apple's. */
  readonly forgedWith?: CryptoKey;
}

/** Apple's word about an identity. */
export interface IdentityEvent {
  /** `consent-revoked`, `account-delete`, `email-enabled` or `email-disabled`; Apple may have more some day. */
  readonly type: string;
  readonly sub: string;
  readonly email?: string;
  readonly audience?: string;
  readonly issuer?: string;
  /** Milliseconds since 1970. */
  readonly at?: number;
  readonly id?: string;
  readonly forgedWith?: CryptoKey;
}

/** Its `url` is for APPLE_ID_URL. */
export interface AppleIdSimulator extends Simulator<AppleIdRule, z.infer<typeof appleIdReport>> {
  readonly clientId: string;
  readonly jwksUrl: string;
  /** What an app gets when its user signs in. */
  identityToken(options: IdentityTokenOptions): Promise<string>;
  /** What an app gets with it, good once. */
  authorizationCode(sub: string, options?: { expiresInSeconds: number }): string;
  /** The body of a notification, as Apple sends it. */
  notification(event: IdentityEvent): Promise<{ payload: string }>;
}

/** Starts the simulator, with the key that an earlier one with the same state file had. */
export async function startAppleIdSimulator(options: AppleIdOptions): Promise<AppleIdSimulator> {
  const { teamId, keyId, clientId } = options;
  const secretsKey = await importSPKI(options.publicKey, "ES256");
  const file = stateFile(options.stateFile, appleIdState);
  const state: AppleIdState = file.load() ??
    { signingKey: await newSigningKey(), rules: [], codes: {}, refreshTokens: {} };
  const save = () => file.save(state);
  save();
  const signingJwk: JWK = state.signingKey;
  const signingKey = await importJWK(signingJwk, "RS256");
  const { kty, kid, n, e } = signingJwk;
  const log: z.infer<typeof call>[] = [];

  async function sign(
    claims: Record<string, unknown>,
    { audience = clientId, issuer = appleIssuer, forgedWith }: Pick<
      IdentityTokenOptions,
      "audience" | "issuer" | "forgedWith"
    >,
    expiresInSeconds = identityTokenSeconds,
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    return await new SignJWT(claims).setProtectedHeader({ alg: "RS256", kid: kid ?? "" }).setIssuer(issuer)
      .setAudience(audience).setIssuedAt(Math.min(now, now + expiresInSeconds))
      .setExpirationTime(now + expiresInSeconds).sign(forgedWith ?? signingKey);
  }

  /** Whether a client secret is one of ours, as Apple asks. */
  async function isClient(form: URLSearchParams): Promise<boolean> {
    if (form.get("client_id") !== clientId) return false;
    try {
      const { protectedHeader, payload } = await jwtVerify(form.get("client_secret") ?? "", secretsKey, {
        algorithms: ["ES256"],
        issuer: teamId,
        subject: clientId,
        audience: appleIssuer,
        requiredClaims: ["iat", "exp"],
      });
      return protectedHeader.kid === keyId && (payload.exp ?? 0) - (payload.iat ?? 0) <= clientSecretSeconds;
    } catch (error) {
      if (error instanceof errors.JOSEError) return false;
      throw error;
    }
  }

  /** What the system gives to an app whose user signs in, for apps that are no test. */
  async function sheet(request: Request): Promise<Response> {
    const asked = signIn.safeParse(tryParseJson(await request.text()));
    if (!asked.success) return Response.json({ error: z.prettifyError(asked.error) }, { status: 400 });
    const { sub, email, nonce } = asked.data;
    return Response.json({
      identity_token: await identityToken({
        sub,
        ...(email === undefined ? {} : { email }),
        ...(nonce === undefined ? {} : { nonce }),
      }),
      authorization_code: authorizationCode(sub),
    });
  }

  async function identityToken(
    { sub, email, nonce, expiresInSeconds, ...signing }: IdentityTokenOptions,
  ): Promise<string> {
    const claims = {
      sub,
      auth_time: Math.floor(Date.now() / 1000),
      ...(email === undefined ? {} : { email, email_verified: "true" }),
      ...(nonce === undefined ? {} : { nonce: await sha256(nonce), nonce_supported: true }),
    };
    return await sign(claims, signing, expiresInSeconds);
  }

  function authorizationCode(sub: string, { expiresInSeconds } = { expiresInSeconds: codeSeconds }): string {
    const code = newSecret("c");
    state.codes[code] = { sub, until: Date.now() + expiresInSeconds * 1000 };
    save();
    return code;
  }

  /** The answer to a form, and whom it was about. */
  async function perform(
    operation: "token" | "revoke",
    form: URLSearchParams,
  ): Promise<{ response: Response; sub: string | null }> {
    if (!await isClient(form)) return { response: refusal("invalid_client"), sub: null };
    if (operation === "revoke") {
      const token = form.get("token") ?? "";
      const sub = state.refreshTokens[token] ?? null;
      delete state.refreshTokens[token];
      // As RFC 7009: a token that is not known is revoked.
      return { response: new Response(null, { status: 200 }), sub };
    }
    if (form.get("grant_type") !== "authorization_code") {
      return { response: refusal("unsupported_grant_type"), sub: null };
    }
    const code = form.get("code") ?? "";
    const known = Object.hasOwn(state.codes, code) ? state.codes[code] : undefined;
    delete state.codes[code];
    if (known === undefined || known.until < Date.now()) {
      return { response: refusal("invalid_grant"), sub: known?.sub ?? null };
    }
    const refreshToken = newSecret("r");
    state.refreshTokens[refreshToken] = known.sub;
    const body = {
      access_token: newSecret("a"),
      token_type: "Bearer",
      expires_in: 3600,
      refresh_token: refreshToken,
      id_token: await sign({ sub: known.sub }, {}),
    };
    return { response: Response.json(body), sub: known.sub };
  }

  async function answer(
    request: Request,
    pause: (milliseconds: number) => Promise<void>,
  ): Promise<Response | typeof hangUp> {
    const { pathname } = new URL(request.url);
    if (pathname === "/_sign-in") return await sheet(request);
    const operation = ({ "/auth/keys": "keys", "/auth/token": "token", "/auth/revoke": "revoke" } as const)[
      pathname
    ];
    if (operation === undefined) return new Response("Not Found", { status: 404 });
    if (request.method !== (operation === "keys" ? "GET" : "POST")) {
      return new Response("Method Not Allowed", { status: 405 });
    }
    const rule = takeRule<ActiveAppleIdRule>(
      state.rules,
      (each) => each.operation === undefined || each.operation === operation,
    );
    const { response, sub } = await answerTo(operation, await request.text(), rule, pause);
    save();
    keepRequest(log, { at: Date.now(), operation, sub, status: response?.status ?? null });
    return response ?? hangUp;
  }

  /** No response where the connection closes instead. */
  async function answerTo(
    operation: "keys" | "token" | "revoke",
    body: string,
    rule: ActiveAppleIdRule | null,
    pause: (milliseconds: number) => Promise<void>,
  ): Promise<{ response: Response | null; sub: string | null }> {
    switch (rule?.effect) {
      case "down":
        return { response: null, sub: null };
      case "rate_limited":
        return { response: new Response(null, { status: 429 }), sub: null };
      case "server_error":
        return { response: new Response(null, { status: 500 }), sub: null };
      case "unauthorized":
        return { response: refusal("invalid_client"), sub: null };
      case "garbage":
        return { response: new Response("<html>It works!</html>"), sub: null };
      case "slow":
        await pause(rule.milliseconds);
        break;
    }
    const done = operation === "keys"
      ? { response: Response.json({ keys: [{ kty, kid, n, e, use: "sig", alg: "RS256" }] }), sub: null }
      : await perform(operation, new URLSearchParams(body));
    return rule?.effect === "answer_lost" ? { response: null, sub: done.sub } : done;
  }

  const simulator = await startSimulator({
    port: options.port,
    rule: appleIdRule,
    rules: state.rules,
    log,
    report: appleIdReport,
    tell: () => ({ consents: Object.values(state.refreshTokens) }),
    save,
    answer,
  });
  return Object.assign(simulator, {
    clientId,
    jwksUrl: `${simulator.url}/auth/keys`,
    identityToken,
    authorizationCode,
    async notification(
      { type, sub, email, at = Date.now(), id = crypto.randomUUID(), ...signing }: IdentityEvent,
    ) {
      const about = email === undefined ? {} : { email, is_private_email: "true" };
      // Apple puts it in as a text.
      const events = JSON.stringify({ type, sub, ...about, event_time: at });
      return { payload: await sign({ jti: id, events }, signing) };
    },
  });
}

async function newSigningKey(): Promise<Record<string, unknown>> {
  const { privateKey } = await generateKeyPair("RS256", { extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, kid: (await calculateJwkThumbprint(jwk)).slice(0, 10) };
}

/** As Apple's look: a code, a refresh or an access token, by its first letter. */
function newSecret(kind: "c" | "r" | "a"): string {
  const random = () => crypto.randomUUID().replaceAll("-", "");
  return `${kind}${random()}.0.mrtz.${random().slice(0, 22)}`;
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(digest).reduce((hex, byte) => hex + byte.toString(16).padStart(2, "0"), "");
}

function refusal(error: string): Response {
  return Response.json({ error }, { status: 400 });
}
