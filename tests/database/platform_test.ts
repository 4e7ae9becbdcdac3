import assert from "node:assert/strict";
import type postgres from "postgres";
import { withConnection } from "../../local/postgres/database.ts";
import { preparePlatform } from "../../local/platform/platform.ts";
import { loginAs, owner } from "../../local/platform/platform-roles.ts";
import { emptyDatabase } from "./harness.ts";

/** Runs `work` as the owner in a database that was prepared, twice, and not migrated. */
async function onPlatform(work: (sql: postgres.Sql) => Promise<void>): Promise<void> {
  await using database = await emptyDatabase();
  await preparePlatform(database.url);
  await preparePlatform(database.url);
  await withConnection(loginAs(owner, database.url), work);
}

Deno.test("databases of one server are prepared at the same time, though they share its roles", async () => {
  await using databases = new AsyncDisposableStack();
  const urls: string[] = [];
  for (let count = 0; count < 4; count++) urls.push(databases.use(await emptyDatabase()).url);
  await Promise.all(urls.map(preparePlatform));
});

Deno.test("the API roles are those of a hosted project, and only service_role passes row level security", () =>
  onPlatform(async (sql) => {
    const roles = await sql`
      select rolname, rolbypassrls, rolsuper, rolcanlogin from pg_roles
      where rolname in ('anon', 'authenticated', 'service_role') order by rolname`;
    assert.deepEqual(roles.map((role) => ({ ...role })), [
      { rolname: "anon", rolbypassrls: false, rolsuper: false, rolcanlogin: false },
      { rolname: "authenticated", rolbypassrls: false, rolsuper: false, rolcanlogin: false },
      { rolname: "service_role", rolbypassrls: true, rolsuper: false, rolcanlogin: false },
    ]);
  }));

Deno.test("the owner has the attributes and the memberships of a hosted project's postgres", () =>
  onPlatform(async (sql) => {
    const [role] = await sql`
      select rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, rolcanlogin,
        (select pg_get_userbyid(datdba) from pg_database where datname = current_database()) as database,
        (select array_agg(m.roleid::regrole::text order by m.roleid::regrole::text) from pg_auth_members as m where m.member = r.oid) as of
      from pg_roles as r where rolname = current_user`;
    assert.deepEqual({ ...role }, {
      rolsuper: false,
      rolcreatedb: true,
      rolcreaterole: true,
      rolreplication: true,
      rolbypassrls: true,
      rolcanlogin: true,
      database: owner,
      of: ["anon", "authenticated", "pg_monitor", "pg_read_all_data", "pg_signal_backend", "service_role"],
    });
  }));

Deno.test("a call of the Data API has the platform's 8 s for each statement, and for each lock", () =>
  onPlatform(async (sql) => {
    const [role] = await sql`select rolconfig from pg_roles where rolname = 'authenticator'`;
    assert.deepEqual(role?.["rolconfig"], ["statement_timeout=8s", "lock_timeout=8s"]);
  }));

Deno.test("the owner reads and writes the rows of Auth and Storage, and hangs triggers on them", () =>
  onPlatform(async (sql) => {
    await sql`
      insert into auth.users (id, is_anonymous) values ('0190a000-0000-7000-8000-0000000000aa', true);
      insert into auth.sessions (id, user_id) select gen_random_uuid(), u.id from auth.users as u;
      insert into storage.buckets (id, name) values ('own', 'own');
      create function public.note() returns trigger language plpgsql security definer set search_path = '' as $$
        begin delete from storage.buckets where id = 'own'; return null; end $$;
      create trigger note after delete on auth.users for each row execute function public.note();
      delete from auth.sessions;
      delete from auth.users;
    `.simple();
    assert.deepEqual([...await sql`select id from storage.buckets`], []);
  }));

Deno.test("what a hosted project refuses its owner on the platform's schemas is refused here", () =>
  onPlatform(async (sql) => {
    const refused = {
      "create table auth.own (id int)": "permission denied for schema auth",
      "create function storage.own() returns int language sql return 1":
        "permission denied for schema storage",
      "create index own on auth.users (phone)": "must be owner of table users",
      "alter table auth.users add column own int": "must be owner of table users",
      "alter table storage.objects disable row level security": "must be owner of table objects",
      "drop table storage.objects": "must be owner of table objects",
      "create or replace function auth.uid() returns uuid language sql as 'select null::uuid'":
        "permission denied for schema auth",
      "set role supabase_auth_admin": 'permission denied to set role "supabase_auth_admin"',
      "set role authenticator": 'permission denied to set role "authenticator"',
      "alter system set work_mem = '1GB'": 'permission denied to set parameter "work_mem"',
      "create role own superuser": "permission denied to create role",
      "copy (select 1) to program 'true'": "permission denied to COPY to or from an external program",
    };
    const answers: Record<string, string> = {};
    for (const statement of Object.keys(refused)) {
      answers[statement] = await sql.unsafe(statement).then(() => "done", ({ message }) => message);
    }
    assert.deepEqual(answers, refused);
  }));

Deno.test("a new table, sequence and function in public are open to every API role, so that a migration must close them", () =>
  onPlatform(async (sql) => {
    await sql`
      create table public.fresh (id serial);
      create function public.fresh() returns integer language sql as 'select 1';
    `.simple();
    for (const role of ["anon", "authenticated", "service_role"]) {
      const [granted] = await sql`
        select has_table_privilege(${role}, 'public.fresh', 'select, insert, update, delete') as table,
               has_sequence_privilege(${role}, 'public.fresh_id_seq', 'usage') as sequence,
               has_function_privilege(${role}, 'public.fresh()', 'execute') as function,
               has_schema_privilege(${role}, 'auth', 'usage') as auth,
               has_table_privilege(${role}, 'auth.users', 'select') as users,
               has_table_privilege(${role}, 'storage.objects', 'select') as objects`;
      assert.deepEqual(
        { ...granted },
        { table: true, sequence: true, function: true, auth: true, users: false, objects: true },
        role,
      );
    }
  }));

Deno.test("auth.uid(), role(), email() and jwt() read the claims as PostgREST gives them, together or one by one", () =>
  onPlatform(async (sql) => {
    const id = crypto.randomUUID();
    const claims = { sub: id, role: "authenticated", email: "a@example.com" };
    const read = (sql: postgres.TransactionSql) =>
      sql`select auth.uid(), auth.role(), auth.email(), auth.jwt()`;

    await sql.begin(async (sql) => {
      const [nobody] = await read(sql);
      assert.deepEqual({ ...nobody }, { uid: null, role: null, email: null, jwt: null });
    });
    await sql.begin(async (sql) => {
      await sql`select set_config('request.jwt.claims', ${JSON.stringify(claims)}, true)`;
      const [together] = await read(sql);
      assert.deepEqual({ ...together }, {
        uid: id,
        role: "authenticated",
        email: "a@example.com",
        jwt: claims,
      });
    });
    await sql.begin(async (sql) => {
      await sql`select set_config('request.jwt.claim.sub', ${id}, true)`;
      const [apart] = await read(sql);
      assert.equal(apart?.["uid"], id);
    });
  }));

Deno.test("pgcrypto stands in the schema extensions", () =>
  onPlatform(async (sql) => {
    const [row] = await sql`select length(extensions.gen_random_bytes(4)) as length`;
    assert.equal(row?.["length"], 4);
  }));
