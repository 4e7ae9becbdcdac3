import assert from "node:assert/strict";
import type postgres from "postgres";
import { withConnection } from "../../local/database.ts";
import { preparePlatform } from "../../local/platform.ts";
import { emptyDatabase } from "./harness.ts";

/** Runs `work` in a database that was prepared, twice, and not migrated. */
async function onPlatform(work: (sql: postgres.Sql) => Promise<void>): Promise<void> {
  await using database = await emptyDatabase();
  await preparePlatform(database.url);
  await preparePlatform(database.url);
  await withConnection(database.url, work);
}

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
