import assert from "node:assert/strict";
import { SignJWT } from "jose";
import { AppError } from "../errors/app-error.ts";
import { authenticate } from "./caller.ts";
import type { Auth, Caller } from "../endpoint/context.ts";
import { testConfig } from "../testing/config.ts";
import {
  createTokenIssuer,
  projectUrl,
  publishableKey,
  secretKey,
  sessionId,
  userId,
} from "../testing/tokens.ts";

const workerKey = "a key of thirty-two or more characters".replaceAll(" ", "-");
const metricsToken = "m".repeat(40);
const issuer = await createTokenIssuer();
const { supabase } = testConfig({
  SUPABASE_JWKS: issuer.jwks,
  SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: publishableKey, ios: "sb_publishable_ios" }),
  SUPABASE_SECRET_KEYS: JSON.stringify({ default: secretKey, cron: "sb_secret_cron" }),
  WORKER_KEY: workerKey,
  METRICS_TOKEN: metricsToken,
});

async function outcome(auth: Auth, headers: Record<string, string>): Promise<Caller | string> {
  try {
    return await authenticate(new Request(projectUrl, { headers }), auth, supabase);
  } catch (error) {
    assert(error instanceof AppError);
    assert.notEqual(error.cause, undefined, "the log is told why");
    return error.code;
  }
}

function user(token: string, apikey: string = publishableKey): Record<string, string> {
  return { apikey, authorization: `Bearer ${token}` };
}

Deno.test("a user is who the verified token says", async () => {
  const guest: Caller = { kind: "user", userId, sessionId, isAnonymous: true, assuranceLevel: "aal1" };
  assert.deepEqual(await outcome("user", user(await issuer.sign())), guest);
  assert.deepEqual(await outcome("user", user(await issuer.sign(), "sb_publishable_ios")), guest);
  const claims = {
    sub: userId.toUpperCase(),
    is_anonymous: undefined,
    aal: "aal2",
    aud: ["other", "authenticated"],
  };
  assert.deepEqual(await outcome("user", user(await issuer.sign(claims))), {
    kind: "user",
    userId,
    sessionId,
    isAnonymous: false,
    assuranceLevel: "aal2",
  });
});

Deno.test("a token that is not exactly a user's is ERR_4005", async () => {
  const now = Math.floor(Date.now() / 1000);
  const forger = await createTokenIssuer();
  const [header = "", payload = "", signature = ""] = (await issuer.sign()).split(".");
  const encoded = (value: unknown) => btoa(JSON.stringify(value)).replace(/=+$/, "");
  const jwk = JSON.parse(issuer.jwks).keys[0];
  const tokens: Record<string, string> = {
    "signed by somebody else with our key id": await forger.sign(),
    "expired": await issuer.sign({ exp: now - 1 }),
    "not yet valid": await issuer.sign({ nbf: now + 600 }),
    "without an end": await issuer.sign({ exp: undefined }),
    "for another audience": await issuer.sign({ aud: "anon" }),
    "without an audience": await issuer.sign({ aud: undefined }),
    "by another issuer": await issuer.sign({ iss: "https://other.example.com/auth/v1" }),
    "without an issuer": await issuer.sign({ iss: undefined }),
    "with another role": await issuer.sign({ role: "service_role" }),
    "without a role": await issuer.sign({ role: undefined }),
    "without a subject": await issuer.sign({ sub: undefined }),
    "whose subject is no uuid": await issuer.sign({ sub: "me" }),
    "without a signature": `${header}.${payload}.`,
    "of algorithm none": `${encoded({ alg: "none", kid: "test-key" })}.${payload}.`,
    "of algorithm none that keeps the signature": `${
      encoded({ alg: "none", kid: "test-key" })
    }.${payload}.${signature}`,
    "with changed claims": `${header}.${encoded({ ...JSON.parse(atob(payload)), aal: "aal2" })}.${signature}`,
    "signed with the public key as if it were a secret": await new SignJWT(JSON.parse(atob(payload)))
      .setProtectedHeader({ alg: "HS256", kid: "test-key" })
      .sign(new TextEncoder().encode(jwk.x)),
    "cut": `${header}.${payload}`,
    "empty": "",
    "a publishable key": publishableKey,
    "a secret key": secretKey,
    "no token at all": "x",
  };
  for (const [what, token] of Object.entries(tokens)) {
    assert.equal(await outcome("user", user(token)), "ERR_4005", `a token ${what}`);
  }
});

Deno.test("a user's request also needs a publishable key of the project", async () => {
  const token = await issuer.sign();
  for (const apikey of ["sb_publishable_other", secretKey, "", `${publishableKey}x`]) {
    assert.equal(await outcome("user", user(token, apikey)), "ERR_4005", apikey);
  }
  assert.equal(await outcome("user", { authorization: `Bearer ${token}` }), "ERR_4005");
  assert.equal(await outcome("user", { apikey: publishableKey }), "ERR_4005");
  assert.equal(await outcome("user", { apikey: publishableKey, authorization: token }), "ERR_4005");
});

Deno.test("a guest is never an admin, and a signed-in user is left to the database", async () => {
  assert.equal(await outcome("admin", user(await issuer.sign())), "ERR_4006");
  const caller = await outcome("admin", user(await issuer.sign({ is_anonymous: false, aal: "aal2" })));
  assert(typeof caller === "object" && caller.kind === "user");
  assert.equal(await outcome("admin", user(await issuer.sign({ is_anonymous: false }))), "ERR_4006");
  assert.equal(await outcome("admin", user("x")), "ERR_4005");
});

Deno.test("a service is whoever has a secret key, by its name", async () => {
  assert.deepEqual(await outcome("service", { apikey: "sb_secret_cron" }), {
    kind: "service",
    keyName: "cron",
  });
  assert.equal(await outcome("service", { apikey: publishableKey }), "ERR_4005");
  assert.equal(await outcome("service", { apikey: `${secretKey}x` }), "ERR_4005");
  assert.equal(await outcome("service", { authorization: `Bearer ${secretKey}` }), "ERR_4005");
  assert.equal(await outcome("service", user(await issuer.sign())), "ERR_4005");
  assert.equal(await outcome("service", {}), "ERR_4005");
});

Deno.test("a public endpoint asks for nothing, knows a service, and refuses a wrong key", async () => {
  assert.deepEqual(await outcome("public", {}), { kind: "unknown" });
  assert.deepEqual(await outcome("public", user(await issuer.sign())), { kind: "unknown" });
  assert.deepEqual(await outcome("public", { apikey: secretKey }), { kind: "service", keyName: "default" });
  assert.equal(await outcome("public", { apikey: "sb_secret_old" }), "ERR_4005");
});

Deno.test("a signed request is not asked for credentials of the project", async () => {
  assert.deepEqual(await outcome("signed", { authorization: "Key of-somebody-else" }), { kind: "unknown" });
});

Deno.test("a token that was verified is refused as soon as it has expired", async () => {
  const RealDate = Date;
  const later = RealDate.now() + 61_000;
  const token = await issuer.sign({ exp: Math.floor(RealDate.now() / 1000) + 60 });
  assert.notEqual(await outcome("user", user(token)), "ERR_4005");
  try {
    // The library that checks the times has a clock of its own.
    globalThis.Date = class extends RealDate {
      constructor() {
        super(later);
      }
      static override now = () => later;
    } as DateConstructor;
    assert.equal(await outcome("user", user(token)), "ERR_4005");
  } finally {
    globalThis.Date = RealDate;
  }
});

Deno.test("a token that was verified does not vouch for another key, nor a key for another token", async () => {
  const token = await issuer.sign();
  assert.notEqual(await outcome("user", user(token)), "ERR_4005");
  assert.equal(await outcome("user", user(token, "sb_publishable_other")), "ERR_4005");
  assert.equal(await outcome("user", user(`${token.slice(0, -8)}AAAAAAAA`)), "ERR_4005");
  assert.equal(await outcome("user", { authorization: `Bearer ${token}` }), "ERR_4005");
});

/** Keys that open one operation each. */
const ownKeys = { worker: workerKey, metrics: metricsToken } as const;

for (const [auth, key] of Object.entries(ownKeys) as ["worker" | "metrics", string][]) {
  Deno.test(`the key of ${auth} opens that and nothing else; a secret key opens it as well`, async () => {
    const bearer = { authorization: `Bearer ${key}` };
    assert.deepEqual(await outcome(auth, bearer), { kind: "service", keyName: auth });
    assert.deepEqual(await outcome(auth, { apikey: "sb_secret_cron" }), {
      kind: "service",
      keyName: "cron",
    });
    const others = (["user", "admin", "service", "worker", "metrics"] as const).filter((each) =>
      each !== auth
    );
    for (const other of others) {
      assert.equal(await outcome(other, bearer), "ERR_4005", other);
      assert.equal(await outcome(other, { apikey: key }), "ERR_4005", other);
      assert.equal(await outcome(other, { apikey: publishableKey, ...bearer }), "ERR_4005", other);
    }
    assert.deepEqual(await outcome("public", bearer), { kind: "unknown" });
  });

  Deno.test(`what is not the key of ${auth} does not open it, nor does any where none is set`, async () => {
    const others: Record<string, string>[] = [
      {},
      { authorization: "Bearer" },
      { authorization: "Bearer " },
      { authorization: `Bearer ${key}x` },
      { authorization: `Bearer ${key.slice(0, -1)}` },
      { authorization: `Bearer ${key.toUpperCase()}` },
      { authorization: `Basic ${key}` },
      { authorization: key },
      { apikey: key },
      { apikey: publishableKey, authorization: `Bearer ${await issuer.sign()}` },
      { authorization: `Bearer ${secretKey}` },
    ];
    for (const headers of others) {
      assert.equal(await outcome(auth, headers), "ERR_4005", JSON.stringify(headers));
    }
    const request = new Request(projectUrl, { headers: { authorization: `Bearer ${key}` } });
    const { supabase: without } = testConfig({ SUPABASE_JWKS: issuer.jwks });
    await assert.rejects(authenticate(request, auth, without), { code: "ERR_4005" });
  });
}
