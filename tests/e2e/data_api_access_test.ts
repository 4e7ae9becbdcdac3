/**
 * What the Data API gives whoever asks it: nothing, in any schema, by any kind of key or token, but to the functions' own key,
 * which executes the procedures of `api`; also after traffic has gone through the gateway.
 */
import assert from "node:assert/strict";
import type { SupabaseClient } from "@supabase/supabase-js";
import type postgres from "postgres";
import { withConnection } from "../../local/postgres/database.ts";
import { allOperations } from "../operations.ts";
import { cloneTemplate } from "../database/harness.ts";
import { cases } from "../runs.ts";
import { ourSchemas } from "../database/support/our-schemas.ts";
import { errorOf } from "./support/answer.ts";
import { type Guest, newClient, signInWithPassword, startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import { badCredentials } from "./support/bad-credentials.ts";
import { eventually } from "./eventually.ts";
import { exampleRequest, signedByApple } from "./support/example-requests.ts";
import { ended, generate, priceOfKling } from "./support/videos.ts";

/** Those of the platform that an app might try. */
const platformSchemas = ["auth", "public", "storage"];

const backend = shared(startBackend);
/** Has a completed video. */
let guest: Guest;
let jobId: string;
/** Another one, with a video too. */
let stranger: Guest;

interface Caller {
  readonly supabase: SupabaseClient;
  /** What the Data API answers in `api`, and in a schema that is not exposed; null where not even the gateway lets in. */
  readonly answers: { readonly exposed: number; readonly hidden: number } | null;
}

/** Whoever has no right to anything, by what they send. */
const strangers = new Map<string, Caller>();
let withSecretKey: SupabaseClient;

/** A client that sends these credentials, and no others. */
function clientWith(credentials: Record<string, string>): SupabaseClient {
  return newClient(backend.stack, (input, init) => {
    const request = new Request(input, init);
    for (const name of ["apikey", "authorization"]) request.headers.delete(name);
    for (const [name, value] of Object.entries(credentials)) request.headers.set(name, value);
    return fetch(request);
  });
}

/** A token that nobody's key has signed, or whose time is over: refused before it is anybody's. */
const forgeries = [
  "a token signed with another key",
  "a token with a changed claim",
  "a token unsigned",
  "a token signed with the public key as a secret",
  "a token expired",
  "a token which is no token",
];

Deno.test.beforeAll(async () => {
  [guest, stranger] = await Promise.all([backend.signIn(2 * priceOfKling), backend.signIn(priceOfKling)]);
  const [own, theirs] = await Promise.all([generate(guest), generate(stranger)]);
  await Promise.all([ended(backend, guest, own.job_id), ended(backend, stranger, theirs.job_id)]);
  jobId = own.job_id;

  const { stack } = backend;
  const ofUsers = { exposed: 403, hidden: 406 };
  strangers.set("a publishable key", { supabase: newClient(stack), answers: { exposed: 401, hidden: 406 } });
  strangers.set("a guest", { supabase: guest.supabase, answers: ofUsers });
  strangers.set("a user", { supabase: (await signInWithPassword(stack)).supabase, answers: ofUsers });
  strangers.set("an admin", { supabase: (await backend.signInAdmin()).supabase, answers: ofUsers });
  strangers.set("nothing", { supabase: clientWith({}), answers: null });
  const bad = await badCredentials(backend, guest, "user");
  for (const what of forgeries) {
    const credentials = bad[what];
    assert(credentials, what);
    strangers.set(what, { supabase: clientWith(credentials), answers: null });
  }
  withSecretKey = newClient({ url: stack.url, publishableKey: stack.secretKey });
});

interface Named {
  readonly schema: string;
  readonly name: string;
}

/** Every table and view of our schemas and the platform's. */
async function relations(): Promise<(Named & { columns: string[] })[]> {
  const { sql } = backend.database;
  return await sql<(Named & { columns: string[] })[]>`
    select n.nspname as schema, c.relname as name, array_agg(a.attname::text order by a.attnum) as columns
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid
    where n.nspname in ${sql([...ourSchemas, ...platformSchemas])} and c.relkind in ('r', 'p', 'v', 'm', 'f')
      and a.attnum > 0 and not a.attisdropped
    group by n.nspname, c.relname order by 1, 2`;
}

/** Every function of our schemas that can be called by its name, and its arguments. */
async function functions(): Promise<(Named & { arguments: Record<string, null> })[]> {
  const { sql } = backend.database;
  const rows = await sql<(Named & { arguments: string[] })[]>`
    select n.nspname as schema, p.proname as name, coalesce(p.proargnames[1:p.pronargs], '{}') as arguments
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname in ${sql(ourSchemas)} and p.prorettype <> 'trigger'::regtype order by 1, 2`;
  return rows.map(({ arguments: names, ...named }) => ({
    ...named,
    arguments: Object.fromEntries(names.map((name) => [name, null])),
  }));
}

/** What our tables hold; views are made of that, and of the time. */
async function everyRow(): Promise<unknown> {
  const { sql } = backend.database;
  const tables = await sql<Named[]>`
    select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ${sql(ourSchemas)} and c.relkind = 'r'
      -- What isolates count of all that comes to them, whoever asks, and tell when it suits them.
      and c.relname <> 'metric_rows'
    order by 1, 2`;
  const rows: Record<string, unknown> = {};
  for (const { schema, name } of tables) {
    const table = `${schema}.${name}`;
    rows[table] = await sql`select t::text from ${sql(table)} as t order by 1`;
  }
  return rows;
}

/** Reads and writes a table or view in every way that supabase-js has; gives each answer's status and code. */
async function attempts(
  supabase: SupabaseClient,
  schema: string,
  name: string,
  column: string,
): Promise<[status: number, code: string | undefined, data: unknown][]> {
  const table = supabase.schema(schema).from(name);
  const row = { [column]: null };
  const answers = await Promise.all([
    table.select(),
    table.select(column).not(column, "is", null).order(column),
    table.insert(row),
    table.upsert(row),
    table.update(row).not(column, "is", null),
    table.delete().not(column, "is", null),
  ]);
  return answers.map(({ status, error, data }) => [status, error?.code, data]);
}

Deno.test("the Data API has tables and procedures that clients must be refused", async () => {
  const found = [...await relations(), ...await functions()];
  assert.deepEqual(
    [...new Set(found.map(({ schema }) => schema))].filter((name) => ourSchemas.includes(name)).sort(),
    [
      ...ourSchemas,
    ].sort(),
  );
  assert((await relations()).length > 40);
  assert((await functions()).length > 100);
});

// Who has no token is refused before anything is asked for: one kind of them stands for all, but in the long tests.
const callers = ["a publishable key", "a guest", "a user", "an admin", "nothing", ...cases(1, forgeries)];

for (const what of callers) {
  Deno.test(`${what} reads and writes no table or view, and executes nothing, in any schema`, async () => {
    const { supabase, answers } = strangers.get(what) ?? assert.fail(what);
    const before = await everyRow();
    for (const { schema, name, columns: [column = ""] } of await relations()) {
      for (const [status, code, data] of await attempts(supabase, schema, name, column)) {
        assert.deepEqual([name, status, data], [name, answers?.hidden ?? 401, null]);
        if (answers !== null) assert.equal(code, "PGRST106", name);
      }
      // By the schema that is exposed, which has no tables.
      for (const path of [name, `${schema}.${name}`]) {
        const { status, error, data } = await supabase.schema("api").from(path).select();
        assert.deepEqual([path, status, data], [path, answers === null ? 401 : 404, null]);
        if (answers !== null) assert.equal(error?.code, "PGRST205", path);
      }
    }
    for (const { schema, name, arguments: values } of await functions()) {
      for (const get of [false, true]) {
        const { status, error, data } = await supabase.schema(schema).rpc(name, values, { get });
        const isExposed = schema === "api";
        const expected = answers === null ? 401 : isExposed ? answers.exposed : answers.hidden;
        assert.deepEqual([name, status, data], [name, expected, null], JSON.stringify(error));
        if (answers !== null) assert.equal(error?.code, isExposed ? "42501" : "PGRST106", name);
      }
    }
    assert.deepEqual(await everyRow(), before);
  });
}

Deno.test("the secret key executes the procedures of `api`, and reads and writes no table or view", async () => {
  const before = await everyRow();
  for (const { schema, name, columns: [column = ""] } of await relations()) {
    for (const [status, code, data] of await attempts(withSecretKey, schema, name, column)) {
      assert.deepEqual([name, status, code, data], [name, 406, "PGRST106", null]);
    }
    const { error, data } = await withSecretKey.schema("api").from(name).select();
    assert.deepEqual([name, error?.code, data], [name, "PGRST205", null]);
  }
  assert.deepEqual(await everyRow(), before);
  for (const { schema, name, arguments: values } of await functions()) {
    const { status, error } = await withSecretKey.schema(schema).rpc(name, values);
    if (schema === "api") {
      // Called with nothing, some raise; but it is they who do.
      const refused = error !== null && /^(42501|PGRST)/.test(error.code);
      assert.deepEqual([name, refused], [name, false], JSON.stringify(error));
    } else assert.deepEqual([name, status, error?.code], [name, 406, "PGRST106"]);
  }
});

Deno.test("the files are reached by their signed URLs alone", async () => {
  const [asset] = await backend.database.sql<{ path: string }[]>`
    select path from videos.assets where job_id = ${jobId} and kind = 'video'`;
  assert(asset);
  const [folder = ""] = asset.path.split("/");
  for (const { storage } of [guest.supabase, stranger.supabase, newClient(backend.stack)]) {
    const files = storage.from("videos");
    assert((await files.download(asset.path)).error);
    assert((await files.createSignedUrl(asset.path, 60)).error);
    assert((await files.upload(`${folder}/own.mp4`, new Blob(["own"]))).error);
    assert((await files.upload(asset.path, new Blob(["own"]), { upsert: true })).error);
    assert.deepEqual((await files.list(folder)).data ?? [], []);
    assert.deepEqual((await files.remove([asset.path])).data ?? [], []);
    assert.equal((await fetch(files.getPublicUrl(asset.path).data.publicUrl)).ok, false);
  }
  const [left] = await backend.database.sql`select from storage.objects where name = ${asset.path}`;
  assert(left, "it is still there");
});

for (
  const [what, change, code, status] of [
    ["closed", { closed_at: new Date() }, "ERR_4005", 401],
    ["suspended", { is_banned: true }, "ERR_4017", 403],
  ] as const
) {
  Deno.test(`a ${what} account, whose token still lives, is refused by every endpoint`, async () => {
    const { sql } = backend.database;
    const account = await backend.signIn(2 * priceOfKling);
    const { job_id } = await generate(account);
    await ended(backend, account, job_id);
    await sql`update accounts.users set ${sql({ ...change })} where id = ${account.id}`;

    const told = async () =>
      (await sql`select from purchases.notifications as n where n.handled_at is not null`).length;
    const toldBefore = await told();
    const signed = {
      ...await signedByApple(backend.stack),
      guestToken: (await backend.signIn()).token,
    };
    await eventually(
      "the store's own notifications have come",
      async () => await told() === toldBefore + 2 || undefined,
    );
    // Another isolate, which does not remember the catalogue.
    await backend.stack.functions.reload();
    const before = await everyRow();
    const devices = async () => (await backend.stack.simulators.deviceCheck.control.report()).devices;
    const known = await devices();
    const asked = allOperations.filter(({ auth, operation }) =>
      // Whoever is suspended may still go, and object to the removal that they are suspended for.
      auth === "user" &&
      !(what === "suspended" && ["DELETE user-profile", "POST appeals"].includes(operation))
    );
    const answers = asked.map((operation) => {
      const { query, body } = exampleRequest(operation, { job: job_id, ...signed });
      const key = operation.idempotencyKey === undefined ? {} : { key: crypto.randomUUID() };
      return account.call(`${operation.place}${query}`, { method: operation.method, body, ...key });
    });
    for (const answer of await Promise.all(answers)) {
      errorOf(answer, code);
      assert.equal(answer.status, status);
    }
    assert.deepEqual(await everyRow(), before);
    assert.deepEqual(await devices(), known);
  });
}

Deno.test("all this traffic has left every grant as the migrations made it", async () => {
  await using fresh = await cloneTemplate();
  const made = await withConnection(fresh.url, grants);
  assert(made.length > 50);
  assert.deepEqual(await grants(backend.database.sql), made);
});

/**
 * Every grant in our rooms and in the platform's, on schemas, tables, columns, functions and by default. Lists as text: the
 * driver reads an array only once it has asked for the server's types, which on a busy machine comes late.
 */
async function grants(sql: postgres.Sql): Promise<unknown[]> {
  return [
    ...await sql`
      with rooms as (
        select n.oid, n.nspname, n.nspacl from pg_namespace n
        where n.nspname in ${sql([...ourSchemas, ...platformSchemas])}
      )
      select 'schema' as kind, r.nspname::text as name, r.nspacl::text as acl from rooms r
      union all
      select 'relation', c.oid::regclass::text, c.relacl::text
      from pg_class c join rooms r on r.oid = c.relnamespace where c.relkind in ('r', 'p', 'v', 'm', 'S')
      union all
      select 'column', c.oid::regclass::text || '.' || a.attname, a.attacl::text
      from pg_attribute a join pg_class c on c.oid = a.attrelid join rooms r on r.oid = c.relnamespace
      where a.attacl is not null
      union all
      select 'function', p.oid::regprocedure::text, p.proacl::text
      from pg_proc p join rooms r on r.oid = p.pronamespace
      union all
      select 'default', coalesce(r.nspname, '') || ' ' || d.defaclobjtype::text, d.defaclacl::text
      from pg_default_acl d left join rooms r on r.oid = d.defaclnamespace
      order by 1, 2`,
  ];
}
