/** Supabase Auth on this machine, through supabase-js. */
import assert from "node:assert/strict";
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { decodeJwt, decodeProtectedHeader, generateKeyPair, SignJWT } from "jose";
import { type Stack, startStack } from "../../local/stack.ts";
import { type TestDatabase, testDatabase } from "../database/harness.ts";

let database: TestDatabase;
let stack: Stack;

Deno.test.beforeAll(async () => {
  database = await testDatabase();
  stack = await startStack({
    databaseUrl: database.url,
    functionsSource: { directory: new URL("functions/", import.meta.url) },
    tickMilliseconds: Infinity,
  });
});

Deno.test.afterAll(async () => {
  await stack[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

function client(key = stack.publishableKey): SupabaseClient {
  return createClient(stack.url, key, { auth: { persistSession: false, autoRefreshToken: false } });
}

/** A client that has signed in as a new guest, with its session. */
async function guest() {
  const supabase = client();
  const { data: { session, user }, error } = await supabase.auth.signInAnonymously();
  assert.equal(error, null);
  assert(session !== null && user !== null);
  return { supabase, session, user };
}

async function refresh(token: string) {
  const { data, error } = await client().auth.refreshSession({ refresh_token: token });
  return { token: data.session?.refresh_token, accessToken: data.session?.access_token, code: error?.code };
}

/** The name of the error that a token gets; auth-js has a class of its own for a session that is gone. */
async function refusalOf(token: string): Promise<string | undefined> {
  return (await client().auth.getUser(token)).error?.name;
}

Deno.test("a guest's token has the platform's claims", async () => {
  const { session, user } = await guest();
  const { alg, kid, typ } = decodeProtectedHeader(session.access_token);
  assert.deepEqual({ alg, kid, typ }, { alg: "ES256", kid: stack.jwks.keys[0]?.kid, typ: "JWT" });
  const { iat = 0, exp, session_id, amr, ...claims } = decodeJwt(session.access_token);
  assert.deepEqual(claims, {
    iss: `${stack.url}/auth/v1`,
    aud: "authenticated",
    sub: user.id,
    role: "authenticated",
    is_anonymous: true,
    aal: "aal1",
    email: "",
    phone: "",
    app_metadata: {},
    user_metadata: {},
  });
  assert.equal(exp, iat + 3600);
  assert.match(String(session_id), /^[0-9a-f-]{36}$/);
  assert(Array.isArray(amr) && amr[0].method === "anonymous" && amr[0].timestamp <= iat);
  assert.equal(user.is_anonymous, true);
});

Deno.test("a function that checks credentials by SUPABASE_JWKS accepts a guest's token, and none that is forged, expired or unsigned", async () => {
  const { session, user } = await guest();
  const verify = async (token: string) => {
    const response = await fetch(`${stack.url}/functions/v1/probe?do=verify`, {
      headers: { apikey: stack.publishableKey, authorization: `Bearer ${token}` },
    });
    return { status: response.status, body: await response.json() };
  };
  const { status, body } = await verify(session.access_token);
  assert.equal(status, 200, JSON.stringify(body));
  assert.equal(body.sub, user.id);
  assert.equal(body.is_anonymous, true);

  const { privateKey } = await generateKeyPair("ES256");
  const kid = String(stack.jwks.keys[0]?.kid);
  const forged = await new SignJWT(decodeJwt(session.access_token)).setProtectedHeader({ alg: "ES256", kid })
    .sign(privateKey);
  assert.equal((await verify(forged)).status, 401);
  const [, payload] = session.access_token.split(".");
  assert.equal((await verify(`${btoa(JSON.stringify({ alg: "none", kid }))}.${payload}.`)).status, 401);
});

Deno.test("the published keys are those of SUPABASE_JWKS, and open to everybody", async () => {
  const response = await fetch(`${stack.url}/auth/v1/.well-known/jwks.json`);
  assert.deepEqual(await response.json(), stack.jwks);
  assert.equal(JSON.stringify(stack.jwks).includes('"d"'), false);
});

Deno.test("getUser tells who the token's owner is, and that it is a guest", async () => {
  const { supabase, user } = await guest();
  const { data } = await supabase.auth.getUser();
  assert.equal(data.user?.id, user.id);
  assert.equal(data.user?.is_anonymous, true);
});

Deno.test("a refresh gives a new token of the same session, still a guest's", async () => {
  const { session } = await guest();
  const { token, accessToken } = await refresh(session.refresh_token);
  assert.notEqual(token, session.refresh_token);
  const [before, after] = [decodeJwt(session.access_token), decodeJwt(accessToken ?? "")];
  assert.equal(after.session_id, before.session_id);
  assert.equal(after.is_anonymous, true);
  assert.deepEqual(after.amr, before.amr);
});

Deno.test("a client that lost the answer to its refresh gets the same new token again", async () => {
  const { session } = await guest();
  const first = await refresh(session.refresh_token);
  const second = await refresh(session.refresh_token);
  assert.equal(second.token, first.token);
});

Deno.test("a refresh token that comes back late ends its session's tokens", async () => {
  const { session } = await guest();
  const { token: second = "" } = await refresh(session.refresh_token);
  const { token: third = "" } = await refresh(second);
  await database
    .sql`update auth.refresh_tokens set updated_at = updated_at - interval '11 seconds' where token = ${session.refresh_token}`;
  assert.equal((await refresh(session.refresh_token)).code, "refresh_token_already_used");
  await database
    .sql`update auth.refresh_tokens set updated_at = updated_at - interval '11 seconds' where token = ${third}`;
  assert.equal((await refresh(third)).code, "refresh_token_already_used");
});

Deno.test("an unknown refresh token is refused", async () => {
  assert.equal((await refresh("000000000000")).code, "refresh_token_not_found");
});

Deno.test("after signOut neither the token nor its refresh token is good", async () => {
  const { supabase, session } = await guest();
  assert.equal((await supabase.auth.signOut()).error, null);
  assert.equal(await refusalOf(session.access_token), "AuthSessionMissingError");
  assert.equal((await refresh(session.refresh_token)).code, "refresh_token_not_found");
});

Deno.test("signOut of one session leaves the user's others, signOut of the others leaves the one", async () => {
  const admin = client(stack.secretKey);
  const email = `${crypto.randomUUID()}@example.com`;
  await admin.auth.admin.createUser({ email, password: "correct horse", email_confirm: true });
  const sessions = [client(), client(), client()];
  for (const supabase of sessions) {
    assert.equal((await supabase.auth.signInWithPassword({ email, password: "correct horse" })).error, null);
  }
  const alive = async () => {
    const results = await Promise.all(sessions.map((supabase) => supabase.auth.getUser()));
    return results.map(({ error }) => error === null);
  };
  assert.equal((await sessions[0]?.auth.signOut({ scope: "local" }))?.error, null);
  assert.deepEqual(await alive(), [false, true, true]);
  assert.equal((await sessions[1]?.auth.signOut({ scope: "others" }))?.error, null);
  assert.deepEqual(await alive(), [false, true, false]);
});

Deno.test("a session that was deleted in the database is gone, as a ban needs it", async () => {
  const { session, user } = await guest();
  await database.sql`delete from auth.sessions where user_id = ${user.id}`;
  assert.equal(await refusalOf(session.access_token), "AuthSessionMissingError");
  assert.equal((await refresh(session.refresh_token)).code, "refresh_token_not_found");
});

Deno.test("a banned user neither signs in nor refreshes", async () => {
  const { session, user } = await guest();
  await database.sql`update auth.users set banned_until = now() + interval '1 day' where id = ${user.id}`;
  assert.equal((await client().auth.getUser(session.access_token)).error?.code, "user_banned");
  assert.equal((await refresh(session.refresh_token)).code, "user_banned");
});

Deno.test("the admin finds and deletes a user, whose token is then nobody's", async () => {
  const { session, user } = await guest();
  const { auth: { admin } } = client(stack.secretKey);
  assert.equal((await admin.getUserById(user.id)).data.user?.id, user.id);
  assert.equal((await admin.deleteUser(user.id)).error, null);
  assert.equal((await admin.getUserById(user.id)).error?.code, "user_not_found");
  assert.equal((await admin.deleteUser(user.id)).error?.code, "user_not_found");
  assert.equal((await client().auth.getUser(session.access_token)).error?.code, "user_not_found");
});

Deno.test("the admin signs a user out", async () => {
  const { session } = await guest();
  assert.equal((await client(stack.secretKey).auth.admin.signOut(session.access_token)).error, null);
  assert.equal(await refusalOf(session.access_token), "AuthSessionMissingError");
});

Deno.test("neither a guest nor an app is an admin", async () => {
  const { user, session } = await guest();
  const response = await fetch(`${stack.url}/auth/v1/admin/users/${user.id}`, {
    headers: { apikey: stack.publishableKey, authorization: `Bearer ${session.access_token}` },
  });
  assert.equal(response.status, 403);
  await response.body?.cancel();
  assert.equal((await client().auth.admin.deleteUser(user.id)).error?.code, "not_admin");
});

Deno.test("a user with a password is not a guest, and signs in with it alone", async () => {
  const { auth: { admin } } = client(stack.secretKey);
  const email = `${crypto.randomUUID()}@Example.com`;
  const created = await admin.createUser({ email, password: "correct horse", email_confirm: true });
  assert.equal(created.data.user?.is_anonymous, false);
  assert.equal((await admin.createUser({ email, password: "another" })).error?.code, "email_exists");
  const { data } = await client().auth.signInWithPassword({ email, password: "correct horse" });
  assert.equal(decodeJwt(data.session?.access_token ?? "").is_anonymous, false);
  assert.equal(
    (await client().auth.signInWithPassword({ email, password: "wrong" })).error?.code,
    "invalid_credentials",
  );
});

Deno.test("nobody signs up by an address that nobody has proved to be theirs", async () => {
  const email = `${crypto.randomUUID()}@example.com`;
  const { data, error } = await client().auth.signUp({ email, password: "correct horse" });
  assert.deepEqual([data.session, data.user, error?.code], [null, null, "email_address_not_authorized"]);
  const signedIn = await client().auth.signInWithPassword({ email, password: "correct horse" });
  assert.equal(signedIn.error?.code, "invalid_credentials");
});
