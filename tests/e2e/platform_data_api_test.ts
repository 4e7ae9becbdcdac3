/** The Data API on this machine behaves as PostgREST does, where Supabase Lite by itself does not. */
import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";
import { decodeJwt, generateKeyPair, importJWK, SignJWT } from "jose";
import { type Stack, startStack } from "../../local/stack.ts";
import { type TestDatabase, testDatabase } from "../database/harness.ts";
import { eventually } from "./eventually.ts";

let database: TestDatabase;
let stack: Stack;
/** Kept by the stack, so that a test may read the project's keys. */
let dataDirectory: string;

Deno.test.beforeAll(async () => {
  database = await testDatabase();
  await database.sql`
    grant usage on schema api to anon, authenticated;
    create function api.probe_caller() returns jsonb language sql as $$
      select jsonb_build_object('role', current_user, 'uid', auth.uid(), 'jwt', auth.jwt())
    $$;
    create function api.probe_argument(p_value jsonb) returns jsonb language sql as $$
      select jsonb_build_object('type', jsonb_typeof(p_value), 'value', p_value)
    $$;
    create function api.probe_raise(p_code text) returns void language plpgsql as $$
    begin
      raise exception 'the message' using errcode = p_code, detail = 'the detail', hint = 'the hint';
    end
    $$;
    grant execute on function api.probe_caller, api.probe_argument, api.probe_raise to anon, authenticated, service_role;
    create table api.probe_values (
      owner uuid not null, moment timestamptz not null, amount numeric not null, big bigint not null, document jsonb not null
    );
    alter table api.probe_values enable row level security;
    create policy own on api.probe_values for select to authenticated using (owner = (select auth.uid()));
    grant select on api.probe_values to anon, authenticated;
    grant select, insert on api.probe_values to service_role;
    create schema secret_room;
    create table secret_room.gold (amount int);
    alter table secret_room.gold enable row level security;
    grant usage on schema secret_room to service_role;
    grant select on secret_room.gold to service_role;
  `.simple();
  dataDirectory = await Deno.makeTempDir();
  stack = await startStack({ databaseUrl: database.url, dataDirectory, tickMilliseconds: Infinity });
});

Deno.test.afterAll(async () => {
  await stack[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  await Deno.remove(dataDirectory, { recursive: true });
});

function client(key = stack.publishableKey) {
  return createClient(stack.url, key, {
    db: { schema: "api" },
    auth: { persistSession: false, autoRefreshToken: false },
  });
}

async function guest() {
  const supabase = client();
  const { data: { session } } = await supabase.auth.signInAnonymously();
  assert(session !== null);
  return { supabase, session };
}

/** Calls a procedure with exactly these headers. */
async function call(name: string, headers: Record<string, string>, body: unknown = {}) {
  const response = await fetch(`${stack.url}/rest/v1/rpc/${name}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

Deno.test("a publishable key alone is the role anon", async () => {
  const { status, body } = await call("probe_caller", { apikey: stack.publishableKey });
  assert.equal(status, 200);
  assert.equal(body.role, "anon");
  assert.equal(body.uid, null);
});

Deno.test("a secret key alone is the role service_role, also where supabase-js repeats it as a bearer", async () => {
  assert.equal((await call("probe_caller", { apikey: stack.secretKey })).body.role, "service_role");
  assert.equal((await client(stack.secretKey).rpc("probe_caller")).data.role, "service_role");
});

Deno.test("a user's token decides the role and the user, with a publishable and with a secret key", async () => {
  const { session } = await guest();
  for (const apikey of [stack.publishableKey, stack.secretKey]) {
    const { body } = await call("probe_caller", { apikey, authorization: `Bearer ${session.access_token}` });
    assert.equal(body.role, "authenticated");
    assert.equal(body.uid, session.user.id);
    assert.equal(body.jwt.is_anonymous, true);
    assert.equal(body.jwt.session_id, decodeJwt(session.access_token).session_id);
  }
});

Deno.test("a request without an API key, or with a wrong one, is refused by the gateway", async () => {
  const { session } = await guest();
  const authorization = `Bearer ${session.access_token}`;
  const missing = await call("probe_caller", { authorization });
  assert.equal(missing.status, 401);
  assert.equal(missing.body.message, "No API key found in request");
  const wrong = await call("probe_caller", { authorization, apikey: `${stack.publishableKey}x` });
  assert.equal(wrong.status, 401);
  assert.equal(wrong.body.message, "Invalid API key");
});

Deno.test("a secret key is nobody's token", async () => {
  const authorization = `Bearer ${stack.secretKey}`;
  assert.equal((await call("probe_caller", { authorization })).status, 401);
  assert.equal((await call("probe_caller", { authorization, apikey: stack.publishableKey })).status, 401);
});

Deno.test("a secret key from a browser is refused, whatever it asks for", async () => {
  for (const path of ["/rest/v1/rpc/probe_caller", "/auth/v1/settings", "/storage/v1/bucket"]) {
    const response = await fetch(stack.url + path, {
      headers: { apikey: stack.secretKey, "user-agent": "Mozilla/5.0 (X11; Linux)" },
    });
    await response.body?.cancel();
    assert.deepEqual([path, response.status], [path, 401]);
  }
});

Deno.test("a token that is forged, expired, unsigned or of another issuer is refused", async () => {
  const { session } = await guest();
  const claims = decodeJwt(session.access_token);
  const { signingKey } = JSON.parse(await Deno.readTextFile(`${dataDirectory}/keys.json`));
  const real = await importJWK(signingKey, "ES256");
  const { privateKey: other } = await generateKeyPair("ES256");
  const header = { alg: "ES256", kid: signingKey.kid };
  const sign = (payload: Record<string, unknown>, key = real) =>
    new SignJWT(payload).setProtectedHeader(header).sign(key);
  const check = async (token: string) =>
    await call("probe_caller", { apikey: stack.publishableKey, authorization: `Bearer ${token}` });

  assert.equal((await check(await sign(claims))).status, 200, "a token signed with the project's key");
  const expired = await check(await sign({ ...claims, exp: 1_700_000_000 }));
  assert.deepEqual([expired.status, expired.body.code], [401, "PGRST303"]);
  assert.equal((await check(await sign(claims, other))).status, 401);
  assert.equal(
    (await check(await sign({ ...claims, iss: "https://elsewhere.example/auth/v1" }))).status,
    401,
  );
  assert.equal((await check(await sign({ ...claims, role: "postgres" }))).status, 401);
  const [, payload] = session.access_token.split(".");
  assert.equal((await check(`${btoa(JSON.stringify({ alg: "none" }))}.${payload}.`)).status, 401);
});

Deno.test("traffic leaves the grants as the migrations made them", async () => {
  const { supabase } = await guest();
  await supabase.from("probe_values").select();
  await client().from("probe_values").select();
  await client(stack.secretKey).from("probe_values").select();

  const [grants] = await database.sql`
    select has_table_privilege('anon', 'api.probe_values', 'insert, update, delete') as writes,
           has_schema_privilege('anon', 'secret_room', 'usage') as enters,
           has_table_privilege('service_role', 'secret_room.gold', 'insert, update, delete') as takes`;
  assert.deepEqual({ ...grants }, { writes: false, enters: false, takes: false });
});

Deno.test("row-level security holds: a guest sees its own rows, and writes none", async () => {
  const { supabase, session } = await guest();
  const row = { moment: "2026-11-20T15:52:44.5+00:00", amount: 1, big: 1, document: {} };
  const other = crypto.randomUUID();
  const inserted = await client(stack.secretKey).from("probe_values")
    .insert([{ owner: session.user.id, ...row }, { owner: other, ...row }]);
  assert.equal(inserted.error, null);
  const { data } = await supabase.from("probe_values").select("owner");
  assert.deepEqual(data, [{ owner: session.user.id }]);
  const { error, status } = await supabase.from("probe_values").insert({ owner: session.user.id, ...row });
  assert.deepEqual([error?.code, status], ["42501", 403]);
});

Deno.test("no schema but `api` is exposed, and it is the one of a request that names none", async () => {
  const { error } = await client(stack.secretKey).schema("secret_room").from("gold").select();
  assert.equal(error?.code, "PGRST106");
  await database.sql`create function public.probe_hidden() returns integer language sql as 'select 1'`;
  await database.sql`grant execute on function public.probe_hidden to anon`;
  await database.sql`notify pgrst, 'reload schema'`;
  // What is made after it is known, and it is not.
  await database.sql`create function api.probe_shown() returns integer language sql as 'select 1'`;
  await database.sql`grant execute on function api.probe_shown to anon`;
  await database.sql`notify pgrst, 'reload schema'`;
  const shown = () => call("probe_shown", { apikey: stack.publishableKey });
  await eventually("it is known", async () => (await shown()).status === 200 || undefined);
  assert.equal((await shown()).body, 1);
  for (const headers of [{}, { "accept-profile": "public" }]) {
    const hidden = await call("probe_hidden", { apikey: stack.publishableKey, ...headers });
    assert.deepEqual([hidden.status, hidden.body.code], [404, "PGRST202"]);
  }
  const rows = await fetch(`${stack.url}/rest/v1/probe_values`, {
    headers: { apikey: stack.publishableKey },
  });
  assert.deepEqual([rows.status, await rows.json()], [200, []]);
});

Deno.test("values come back as PostgREST writes them", async () => {
  const { supabase, session } = await guest();
  const row = {
    owner: session.user.id,
    moment: "2026-11-20T15:52:44.5+00:00",
    amount: 1.1,
    big: 9_007_199_254_740_991,
    document: { list: [1, "two", null], text: 'in"side' },
  };
  await client(stack.secretKey).from("probe_values").insert(row);
  const { data } = await supabase.from("probe_values").select();
  assert.deepEqual(data, [row]);
});

// Lite takes a string for the text of a JSON value, PostgREST for a JSON string. No procedure of ours has such an argument.
for (const value of [{ a: [1, { b: null }], text: 'in"side' }, [1, "two", { c: 3 }], 7, true, null]) {
  Deno.test(`a jsonb argument arrives as it was sent: ${JSON.stringify(value)}`, async () => {
    const { data, error } = await client(stack.secretKey).rpc("probe_argument", { p_value: value });
    assert.equal(error, null);
    // PostgREST too makes a JSON null of the body an SQL null.
    const type = value === null ? null : Array.isArray(value) ? "array" : typeof value;
    assert.deepEqual(data, { type, value });
  });
}

for (
  const [code, status] of [
    ["KN001", 400],
    ["P0001", 400],
    ["P0002", 500],
    ["40001", 500],
    ["40P01", 500],
    ["57014", 500],
    ["22023", 400],
    ["23505", 409],
    ["23514", 400],
    ["53000", 503],
    ["PT402", 402],
  ] as const
) {
  Deno.test(`an exception with SQLSTATE ${code} is a ${status} that says all the database said`, async () => {
    const { body, status: got } = await call("probe_raise", { apikey: stack.publishableKey }, {
      p_code: code,
    });
    assert.equal(got, status);
    assert.deepEqual(body, { code, message: "the message", details: "the detail", hint: "the hint" });
  });
}

Deno.test("a procedure that is made while the stack runs is found after NOTIFY pgrst", async () => {
  const supabase = client();
  assert.equal((await supabase.rpc("probe_late")).error?.code, "PGRST202");
  await database.sql`create function api.probe_late() returns int language sql as 'select 7'`;
  await database.sql`grant execute on function api.probe_late to anon`;
  await database.sql`notify pgrst, 'reload schema'`;
  const data = await eventually(
    "it is found",
    async () => (await supabase.rpc("probe_late")).data ?? undefined,
  );
  assert.equal(data, 7);
});

Deno.test("a browser's preflight is answered for every service", async () => {
  for (const path of ["/rest/v1/rpc/probe_caller", "/auth/v1/user", "/storage/v1/object/videos/a"]) {
    const response = await fetch(stack.url + path, {
      method: "OPTIONS",
      headers: { origin: "https://app.example", "access-control-request-method": "POST" },
    });
    assert.equal(response.status, 204);
    assert.equal(response.headers.get("access-control-allow-origin"), "*");
  }
});
