/** Sign in with Apple against the Auth of this machine, through supabase-js as an app uses it. */
import assert from "node:assert/strict";
import { decodeJwt, generateKeyPair, importPKCS8, SignJWT } from "jose";
import { Profile } from "../../supabase/functions/_shared/accounts/contract.ts";
import { shared } from "../shared.ts";
import { type Backend, newClient, startBackend } from "./support/backend.ts";

const backend: Backend = shared(() => startBackend());

const newSub = () => `001234.${crypto.randomUUID().replaceAll("-", "")}.0815`;
const newEmail = () => `${crypto.randomUUID()}@privaterelay.appleid.com`;

/** Signs in with a token of Apple's; the nonce is the one that the token was made for, where nothing else is said. */
async function signInWithApple(
  token: string,
  nonce: string | undefined,
  supabase = newClient(backend.stack),
) {
  const credentials = { provider: "apple", token, ...(nonce === undefined ? {} : { nonce }) };
  const { data, error } = await supabase.auth.signInWithIdToken(credentials);
  return { supabase, user: data.user, session: data.session, error };
}

Deno.test("whoever signs in with Apple is one user, however often and from however many devices", async () => {
  const { appleId } = backend.stack.simulators;
  const [sub, email] = [newSub(), newEmail()];
  const first = await signInWithApple(await appleId.identityToken({ sub, email, nonce: "one" }), "one");
  assert.equal(first.error, null);
  assert.equal(first.user?.is_anonymous, false);
  assert.equal(first.user?.email, email);
  assert.deepEqual(first.user?.identities?.map(({ provider, id }) => [provider, id]), [["apple", sub]]);
  assert.deepEqual(first.user?.app_metadata, { provider: "apple", providers: ["apple"] });
  const claims = decodeJwt(first.session?.access_token ?? "");
  assert.equal(claims.is_anonymous, false);
  assert.deepEqual((claims.amr as { method: string }[]).map(({ method }) => method), ["oauth"]);
  // Apple sends the address only while the app asks for it, and needs no nonce.
  const again = await Promise.all(
    [1, 2, 3].map(async () => await signInWithApple(await appleId.identityToken({ sub }), undefined)),
  );
  for (const { user, error } of again) assert.deepEqual([user?.id, error], [first.user?.id, null]);
});

Deno.test("two first sign-ins of one Apple user at the same moment make one user", async () => {
  const { appleId } = backend.stack.simulators;
  const sub = newSub();
  const both = await Promise.all(
    [1, 2].map(async () => await signInWithApple(await appleId.identityToken({ sub }), undefined)),
  );
  assert.deepEqual(both.map(({ error }) => error), [null, null]);
  assert.equal(both[0]?.user?.id, both[1]?.user?.id);
});

Deno.test("a token that is not Apple's, not for this app, not alive or not for this nonce signs nobody in", async () => {
  const { appleId } = backend.stack.simulators;
  const { privateKey: forgedWith } = await generateKeyPair("RS256");
  const sub = newSub();
  const good = await appleId.identityToken({ sub, nonce: "n" });
  const [header, payload, signature] = good.split(".");
  const none = `${btoa('{"alg":"none"}').replaceAll("=", "")}.${payload}.`;
  const cases: [string, string, string | undefined, RegExp][] = [
    ["signed by another", await appleId.identityToken({ sub, forgedWith }), undefined, /Bad ID token/],
    ["unsigned", none, "n", /Bad ID token/],
    ["changed", `${header}.${payload?.replace(/.$/, "A")}x.${signature}`, "n", /Bad ID token/],
    ["no token", "nonsense", undefined, /Bad ID token/],
    [
      "of another app",
      await appleId.identityToken({ sub, audience: "com.example.other" }),
      undefined,
      /audience/,
    ],
    [
      "of another issuer",
      await appleId.identityToken({ sub, issuer: "https://example.com" }),
      undefined,
      /Bad/,
    ],
    ["over", await appleId.identityToken({ sub, expiresInSeconds: -60 }), undefined, /Bad ID token/],
    ["of another nonce", good, "m", /Nonces mismatch/],
    ["with the hash for a nonce", good, String(decodeJwt(good).nonce), /Nonces mismatch/],
    ["whose nonce is kept back", good, undefined, /either both exist or not/],
    ["without the nonce that is sent", await appleId.identityToken({ sub }), "n", /either both exist or not/],
  ];
  for (const [name, token, nonce, message] of cases) {
    const { session, error } = await signInWithApple(token, nonce);
    assert.equal(session, null, name);
    assert.equal(error?.status, 400, name);
    assert.match(error?.message ?? "", message, name);
  }
  const [made] = await backend.database.sql`select from auth.identities where provider_id = ${sub}`;
  assert.equal(made, undefined);
  const other = await newClient(backend.stack).auth.signInWithIdToken({ provider: "google", token: good });
  assert.match(other.error?.message ?? "", /not enabled/);
});

Deno.test("an app that is no test signs in by what the sheet would give it", async () => {
  const { appleId } = backend.stack.simulators;
  const body = JSON.stringify({ sub: newSub(), email: newEmail(), nonce: "n" });
  const given = await (await fetch(`${appleId.url}/_sign-in`, { method: "POST", body })).json();
  assert.equal((await signInWithApple(given.identity_token, "n")).error, null);
});

Deno.test("Apple's other issuer is Apple, too", async () => {
  const token = await backend.stack.simulators.appleId.identityToken({
    sub: newSub(),
    issuer: "https://account.apple.com",
  });
  assert.equal((await signInWithApple(token, undefined)).error, null);
});

for (const email of [newEmail(), undefined]) {
  Deno.test(`a guest who links an identity ${email === undefined ? "without" : "with"} an address is the same user with the same credits, and no guest`, async () => {
    const { appleId } = backend.stack.simulators;
    const guest = await backend.signIn(7);
    assert.equal(Profile.parse((await guest.call("user-profile")).body).is_guest, true);
    const sub = newSub();
    const token = await appleId.identityToken({ sub, nonce: "n", ...(email === undefined ? {} : { email }) });
    const { data, error } = await guest.supabase.auth.linkIdentity({ provider: "apple", token, nonce: "n" });
    assert.equal(error, null);
    assert.deepEqual([data.user?.id, data.user?.is_anonymous, data.user?.email], [
      guest.id,
      false,
      email ?? "",
    ]);
    const authorization = `Bearer ${data.session?.access_token}`;
    const body = Profile.parse((await guest.call("user-profile", { headers: { authorization } })).body);
    assert.deepEqual([body.user_id, body.is_guest, body.credits_remaining], [guest.id, false, 7]);
    // And whoever signs in with it elsewhere is that user.
    const elsewhere = await signInWithApple(await appleId.identityToken({ sub }), undefined);
    assert.equal(elsewhere.user?.id, guest.id);
  });
}

Deno.test("an identity that is linked is nobody else's to link, nor its user's a second time", async () => {
  const { appleId } = backend.stack.simulators;
  const [sub, email] = [newSub(), newEmail()];
  const owner = await signInWithApple(await appleId.identityToken({ sub, email }), undefined);
  const guest = await backend.signIn(3);
  for (const supabase of [guest.supabase, owner.supabase]) {
    const token = await appleId.identityToken({ sub });
    const { error } = await supabase.auth.linkIdentity({ provider: "apple", token });
    assert.deepEqual([error?.status, error?.code], [422, "identity_already_exists"]);
  }
  const token = await appleId.identityToken({ sub: newSub(), email });
  const taken = await guest.supabase.auth.linkIdentity({ provider: "apple", token });
  assert.deepEqual([taken.error?.status, taken.error?.code], [400, "email_exists"]);
  // Nothing of the refused attempt is left: they are a guest as before, and may link another.
  const { data } = await guest.supabase.auth.getUser();
  assert.deepEqual([data.user?.is_anonymous, data.user?.identities], [true, []]);
  const own = await appleId.identityToken({ sub: newSub() });
  assert.equal((await guest.supabase.auth.linkIdentity({ provider: "apple", token: own })).error, null);
});

Deno.test("nobody links without a session that is alive", async () => {
  const { appleId } = backend.stack.simulators;
  const token = await appleId.identityToken({ sub: newSub() });
  const stranger = await newClient(backend.stack).auth.linkIdentity({ provider: "apple", token });
  assert.notEqual(stranger.error, null);
  const guest = await backend.signIn();
  await backend.database.sql`delete from auth.sessions where user_id = ${guest.id}`;
  assert.notEqual((await guest.supabase.auth.linkIdentity({ provider: "apple", token })).error, null);
});

Deno.test("an identity is unlinked where another is left", async () => {
  const { appleId } = backend.stack.simulators;
  const { supabase } = await signInWithApple(await appleId.identityToken({ sub: newSub() }), undefined);
  const identities = async () => (await supabase.auth.getUserIdentities()).data?.identities ?? [];
  const [only] = await identities();
  assert(only);
  assert.equal((await supabase.auth.unlinkIdentity(only)).error?.code, "single_identity_not_deletable");
  const token = await appleId.identityToken({ sub: newSub() });
  assert.equal((await supabase.auth.linkIdentity({ provider: "apple", token })).error, null);
  assert.equal((await supabase.auth.unlinkIdentity(only)).error, null);
  assert.equal((await identities()).length, 1);
});

Deno.test("an authorization code is exchanged once by our client secret, and what it gave is revoked", async () => {
  const { appleId } = backend.stack.simulators;
  const { appleTeamId, appleIdKeyId, appleIdPrivateKey } = backend.keys;
  const key = await importPKCS8(appleIdPrivateKey, "ES256");
  const secret = (kid = appleIdKeyId, lifeTime = "5 minutes") =>
    new SignJWT({}).setProtectedHeader({ alg: "ES256", kid }).setIssuer(appleTeamId).setSubject(
      appleId.clientId,
    )
      .setAudience("https://appleid.apple.com").setIssuedAt().setExpirationTime(lifeTime).sign(key);
  const send = async (path: string, form: Record<string, string>, client_secret?: string) => {
    const ours = { client_id: appleId.clientId, client_secret: client_secret ?? await secret() };
    const body = new URLSearchParams({ ...ours, ...form });
    const response = await fetch(`${appleId.url}${path}`, { method: "POST", body });
    const text = await response.text();
    return { status: response.status, body: text === "" ? {} : JSON.parse(text) };
  };
  const sub = newSub();
  const exchange = { grant_type: "authorization_code", code: appleId.authorizationCode(sub) };
  for (const refused of ["", await secret("OTHER"), await secret(appleIdKeyId, "200 days")]) {
    const answer = await send("/auth/token", exchange, refused);
    assert.deepEqual([answer.status, answer.body.error], [400, "invalid_client"]);
  }
  const given = await send("/auth/token", exchange);
  assert.equal(given.status, 200);
  assert.equal(decodeJwt(given.body.id_token).sub, sub);
  assert((await appleId.control.report()).consents.includes(sub));
  assert.equal((await send("/auth/token", exchange)).body.error, "invalid_grant");
  const token = { token: given.body.refresh_token, token_type_hint: "refresh_token" };
  assert.equal((await send("/auth/revoke", token)).status, 200);
  assert.equal((await send("/auth/revoke", token)).status, 200);
  assert(!(await appleId.control.report()).consents.includes(sub));
});
