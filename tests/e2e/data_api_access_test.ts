/**
 * What an app can do with its own keys beside the endpoints: read the shown columns of its own rows, and nothing else,
 * also after traffic has gone through the gateway.
 */
import assert from "node:assert/strict";
import type { SupabaseClient } from "@supabase/supabase-js";
import type postgres from "postgres";
import { withConnection } from "../../local/database.ts";
import { deviceToken } from "../../local/simulators/device-check.ts";
import { cloneTemplate } from "../database/harness.ts";
import { readableColumns } from "../security-document.ts";
import { errorOf } from "./support/answer.ts";
import { type Backend, type Guest, newClient, startBackend } from "./support/backend.ts";
import { ended, generate, kling, priceOfKling } from "./support/videos.ts";

let backend: Backend;
/** Has a completed video. */
let guest: Guest;
let jobId: string;
/** Another one, with a video too. */
let stranger: Guest;
let admin: Guest;

Deno.test.beforeAll(async () => {
  backend = await startBackend();
  [guest, stranger] = await Promise.all([backend.signIn(2 * priceOfKling), backend.signIn(priceOfKling)]);
  const [own, theirs] = await Promise.all([generate(guest), generate(stranger)]);
  await Promise.all([ended(backend, guest, own.job_id), ended(backend, stranger, theirs.job_id)]);
  jobId = own.job_id;
  admin = await backend.signIn();
  await backend.database.sql`insert into accounts.users (id, is_admin) values (${admin.id}, true)`;
  // What a client may try first, as traffic of its own.
  for (const client of [guest.supabase, newClient(backend.stack)]) {
    for (const table of ["users", "video_jobs", "models"]) await client.from(table).select().limit(1);
  }
});
Deno.test.afterAll(() => backend[Symbol.asyncDispose]());

/** Of the tables that the Data API serves, the columns that a client may read of its own rows. */
const readable = await readableColumns();

/** Whoever has the functions' key. */
function withSecretKey(): SupabaseClient {
  const { url, secretKey } = backend.stack;
  return newClient({ url, publishableKey: secretKey });
}

async function columns(): Promise<Map<string, string[]>> {
  const rows = await backend.database.sql<{ table: string; columns: string[] }[]>`
    select c.relname as table, array_agg(a.attname::text order by a.attnum) as columns
    from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
      and a.attnum > 0 and not a.attisdropped
    group by c.relname`;
  return new Map(rows.map(({ table, columns }) => [table, columns]));
}

Deno.test("a guest reads its own row and its own jobs, by the columns that the API shows", async () => {
  const users = await guest.supabase.from("users").select(readable.users?.join());
  assert.deepEqual([users.error, users.data?.length], [null, 1]);
  assert.partialDeepStrictEqual(users.data, [{ id: guest.id, theme_preference: "system" }]);
  const jobs = await guest.supabase.from("video_jobs").select(readable.video_jobs?.join());
  assert.deepEqual([jobs.error, jobs.data?.length], [null, 1]);
  assert.partialDeepStrictEqual(jobs.data, [{ id: jobId, status: "completed", model_id: kling }]);
});

Deno.test("no other column of any table can be read, filtered or ordered by", async () => {
  for (const [table, names] of await columns()) {
    const hidden = names.filter((name) => !readable[table]?.includes(name));
    for (const name of hidden) {
      const attempts = [
        guest.supabase.from(table).select(name),
        guest.supabase.from(table).select(readable[table]?.[0] ?? name).not(name, "is", null),
        guest.supabase.from(table).select(readable[table]?.[0] ?? name).order(name),
      ];
      for (const { error, data } of await Promise.all(attempts)) {
        assert.deepEqual([`${table}.${name}`, error?.code, data], [`${table}.${name}`, "42501", null]);
      }
    }
    const all = await guest.supabase.from(table).select();
    assert.equal(hidden.length === 0 ? null : all.error?.code, hidden.length === 0 ? null : "42501");
  }
});

Deno.test("nobody sees another user's rows, an admin neither", async () => {
  const users = await guest.supabase.from("users").select("id").eq("id", stranger.id);
  const jobs = await guest.supabase.from("video_jobs").select("id").neq("id", jobId);
  assert.deepEqual([users.data, jobs.data], [[], []]);
  const others = await admin.supabase.from("users").select("id").neq("id", admin.id);
  assert.deepEqual([others.data, (await admin.supabase.from("video_jobs").select("id")).data], [[], []]);
});

Deno.test("a deleted job is not seen any more", async () => {
  const { sql } = backend.database;
  await sql`update videos.jobs set deleted_at = now() where id = ${jobId}`;
  const jobs = await guest.supabase.from("video_jobs").select("id");
  await sql`update videos.jobs set deleted_at = null where id = ${jobId}`;
  assert.deepEqual(jobs.data, []);
});

/** Tries every kind of write, with a column, on all rows of a table that the caller may reach. */
async function writes(client: SupabaseClient, table: string, column: string): Promise<string[]> {
  const row = { [column]: null };
  // By a column that may be read, where there is one: a refusal must be the write's.
  const reachable = readable[table]?.[0] ?? column;
  const attempts = await Promise.all([
    client.from(table).insert(row),
    client.from(table).upsert(row),
    client.from(table).update(row).not(reachable, "is", null),
    client.from(table).delete().not(reachable, "is", null),
  ]);
  return attempts.map(({ error }) => error?.code ?? "no error");
}

async function everyRow(): Promise<unknown> {
  const { sql } = backend.database;
  const rows: Record<string, unknown> = {};
  for (const [table] of await columns()) {
    rows[table] = await sql`select * from public.${sql(table)} as t order by t::text`;
  }
  return rows;
}

Deno.test("clients write nothing: no insert, upsert, update or delete, in any table", async () => {
  const before = await everyRow();
  for (const [table, names] of await columns()) {
    for (const name of names) {
      for (const client of [guest.supabase, admin.supabase, newClient(backend.stack), withSecretKey()]) {
        const refused = [`${table}.${name}`, ...Array(4).fill("42501")];
        assert.deepEqual([`${table}.${name}`, ...await writes(client, table, name)], refused);
      }
    }
  }
  // The columns that would pay, too.
  const promoted = await guest.supabase.from("users").update({ is_admin: true }).eq("id", guest.id);
  const refunded = await guest.supabase.from("video_jobs").update({ status: "failed" }).eq("id", jobId);
  assert.deepEqual([promoted.error?.code, refunded.error?.code], ["42501", "42501"]);
  assert.deepEqual(await everyRow(), before);
});

Deno.test("clients call no procedure", async () => {
  const procedures = await backend.database.sql<{ name: string; arguments: string[] }[]>`
    select p.proname as name, coalesce(p.proargnames[1:p.pronargs], '{}') as arguments
    from pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.prorettype <> 'trigger'::regtype order by p.proname`;
  assert(procedures.some(({ name }) => name === "generate_video"));
  for (const { name, arguments: names } of procedures) {
    const values = Object.fromEntries(names.map((argument) => [argument, null]));
    for (const client of [guest.supabase, admin.supabase, newClient(backend.stack)]) {
      const { error, data } = await client.rpc(name, values);
      assert.deepEqual([name, error?.code, data], [name, "42501", null]);
    }
  }
});

Deno.test("no other schema is there for a client", async () => {
  for (
    const [schema, table] of [
      ["credits", "accounts"],
      ["guard", "idempotency_keys"],
      ["generation", "submissions"],
      ["ops", "feature_flags"],
      ["auth", "users"],
      ["storage", "objects"],
    ] as const
  ) {
    for (const client of [guest.supabase, admin.supabase, newClient(backend.stack), withSecretKey()]) {
      const { error, data } = await client.schema(schema).from(table).select();
      assert.deepEqual([schema, error?.code, data], [schema, "PGRST106", null]);
    }
  }
});

Deno.test("somebody without a session sees nothing, nor does the secret key, which only calls procedures", async () => {
  for (const client of [newClient(backend.stack), withSecretKey()]) {
    for (const [table, names] of await columns()) {
      for (const name of names) {
        const { error, data } = await client.from(table).select(name);
        assert.deepEqual([`${table}.${name}`, error?.code, data], [`${table}.${name}`, "42501", null]);
      }
    }
  }
});

Deno.test("the files are reached by their signed URLs alone", async () => {
  const [asset] = await backend.database.sql<{ path: string }[]>`
    select path from videos.assets where job_id = ${jobId} and kind = 'video'`;
  assert(asset);
  for (const { storage } of [guest.supabase, stranger.supabase, newClient(backend.stack)]) {
    const files = storage.from("videos");
    assert((await files.download(asset.path)).error);
    assert((await files.createSignedUrl(asset.path, 60)).error);
    assert((await files.upload(`${guest.id}/own.mp4`, new Blob(["own"]))).error);
    assert((await files.upload(asset.path, new Blob(["own"]), { upsert: true })).error);
    assert.deepEqual((await files.list(guest.id)).data ?? [], []);
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
  Deno.test(`a ${what} account, whose token still lives, sees no row and is refused by every endpoint`, async () => {
    const { sql } = backend.database;
    const account = await backend.signIn(2 * priceOfKling);
    const { job_id } = await generate(account);
    await ended(backend, account, job_id);
    await sql`update accounts.users set ${sql({ ...change })} where id = ${account.id}`;

    for (const [table, [column = ""]] of Object.entries(readable)) {
      assert.deepEqual((await account.supabase.from(table).select(column)).data, []);
    }
    // Another isolate, which does not remember the catalogue.
    await backend.stack.functions.reload();
    const before = await everyRow();
    const body = { model_id: kling, prompt: "One more" };
    for (
      const answer of await Promise.all([
        account.call("models"),
        account.call(`video-status?job_id=${job_id}`),
        account.call("generate-video", { body, key: crypto.randomUUID() }),
        account.call("device-check", { body: { device_token: deviceToken(`phone of a ${what} account`) } }),
      ])
    ) {
      errorOf(answer, code);
      assert.equal(answer.status, status);
    }
    assert.deepEqual(await everyRow(), before);
    const { devices } = await backend.stack.simulators.deviceCheck.control.report();
    assert.equal(devices[`phone of a ${what} account`], undefined);
  });
}

Deno.test("all this traffic has left every grant as the migrations made it", async () => {
  await using fresh = await cloneTemplate();
  const made = await withConnection(fresh.url, grants);
  assert(made.length > 50);
  assert.deepEqual(await grants(backend.database.sql), made);
});

/** Every grant in our rooms and in the platform's, on schemas, tables, columns, functions and by default. */
async function grants(sql: postgres.Sql): Promise<unknown[]> {
  return [
    ...await sql`
      with rooms as (
        select n.oid, n.nspname, n.nspacl from pg_namespace n
        where n.nspname in ('public', 'credits', 'generation', 'guard', 'ops', 'auth', 'storage')
      )
      select 'schema' as kind, r.nspname::text as name, r.nspacl::text[] as acl from rooms r
      union all
      select 'relation', c.oid::regclass::text, c.relacl::text[]
      from pg_class c join rooms r on r.oid = c.relnamespace where c.relkind in ('r', 'p', 'v', 'm', 'S')
      union all
      select 'column', c.oid::regclass::text || '.' || a.attname, a.attacl::text[]
      from pg_attribute a join pg_class c on c.oid = a.attrelid join rooms r on r.oid = c.relnamespace
      where a.attacl is not null
      union all
      select 'function', p.oid::regprocedure::text, p.proacl::text[]
      from pg_proc p join rooms r on r.oid = p.pronamespace
      union all
      select 'default', coalesce(r.nspname, '') || ' ' || d.defaclobjtype::text, d.defaclacl::text[]
      from pg_default_acl d left join rooms r on r.oid = d.defaclnamespace
      order by 1, 2`,
  ];
}
