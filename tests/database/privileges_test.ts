/**
 * Who may do what: every role, on everything in our schemas, held to the first table of docs/security.md. What is not written
 * there is nobody's, so that a grant that slips in, or a default that is forgotten, fails here.
 */
import assert from "node:assert/strict";
import { type Database, withConnection } from "../../local/postgres/database.ts";
import { readRights, roles as apiRoles } from "../security-document.ts";
import { cloneTemplate } from "./harness.ts";
import { rolledBack, type Sql } from "./support/ledger.ts";
import { ourSchemas as schemas } from "./support/our-schemas.ts";

/** The kinds of `pg_class` that hold rows: tables, views, and what else one selects from. */
const relations = ["r", "p", "v", "m", "f"];
const onRelations = ["select", "insert", "update", "delete", "truncate", "references", "trigger", "maintain"];
const onColumns = ["select", "insert", "update", "references"];
const onSequences = ["usage", "select", "update"];

const rights = await readRights();

/** The rights of the document with these privileges, as the queries below write them. */
function documented(...privileges: readonly string[]): string[] {
  return rights.filter(({ privilege }) => privilege !== null && privileges.includes(privilege))
    .flatMap(({ objects, privilege, roles }) =>
      [...roles].flatMap((role) => objects.map((object) => `${role} ${privilege} ${object}`))
    );
}

let template: Database | undefined;
/** `public`, and every role that is neither ours nor Postgres' own: those of the API, and those of the platform's services. */
let roles: string[] = [];

Deno.test.beforeAll(async () => {
  template = await cloneTemplate();
  const found = await withConnection(template.url, (sql) =>
    sql<{ name: string }[]>`
      select r.rolname as name
      from pg_roles as r, pg_namespace as n
      where n.nspname = 'api' and not r.rolsuper and r.rolname !~ '^pg_'
        -- The owner, whoever acts as the owner, and whoever may read everything of everybody.
        and not pg_has_role(r.oid, n.nspowner, 'usage') and not pg_has_role(r.oid, 'pg_read_all_data', 'usage')`);
  roles = ["public", ...found.map(({ name }) => name)];
  for (const role of [...apiRoles, "authenticator"]) assert(roles.includes(role), role);
});
Deno.test.afterAll(async () => await template?.[Symbol.asyncDispose]());

/** Runs `work` on the database as the migrations left it, and undoes it. */
async function onTemplate(work: (sql: Sql) => Promise<unknown>): Promise<void> {
  if (template === undefined) throw new Error("The database is there while tests run");
  await withConnection(template.url, (sql) => rolledBack(sql, work));
}

type Query = (sql: Sql) => PromiseLike<readonly { line: string }[]>;

/** Asserts that the query gives these lines, in any order. */
function assertLines(query: Query, expected: readonly string[]): Promise<void> {
  return onTemplate(async (sql) => {
    const lines = (await query(sql)).map(({ line }) => line);
    assert.deepEqual(lines.sort(), [...expected].sort());
  });
}

/** Asserts that the query gives what the document says, and tells whoever made something new where to write it. */
function assertDocumented(query: Query, document: readonly string[]): Promise<void> {
  return onTemplate(async (sql) => {
    const rows = await query(sql);
    const lines = new Set(rows.map(({ line }) => line));
    assert.equal(
      lines.size,
      rows.length,
      "two procedures have one name, of which the document says one thing",
    );
    const written = new Set(document);
    assert.deepEqual(
      {
        "add it to docs/security.md": [...lines.difference(written)].sort(),
        "docs/security.md has it, the database has not": [...written.difference(lines)].sort(),
      },
      { "add it to docs/security.md": [], "docs/security.md has it, the database has not": [] },
    );
  });
}

Deno.test("every schema stands in docs/security.md, and every procedure that somebody may execute", async () => {
  const named = rights.flatMap(({ objects }) => objects);
  assert.deepEqual(named.filter((object, index) => named.indexOf(object) !== index), [], "named twice");
  await assertDocumented((sql) =>
    sql`
        select n.nspname as line from pg_namespace as n where n.nspname = any (${schemas})
        union
        select format('%s.%s', n.nspname, f.proname)
        from unnest(${roles}::text[]) as r, pg_proc as f
          join pg_namespace as n on n.oid = f.pronamespace
        where n.nspname = any (${schemas}) and has_function_privilege(r, f.oid, 'execute')`, named);
});

Deno.test("the tests of this file see every schema that has something of ours, and `public` is empty", async () => {
  await assertLines(
    (sql) =>
      sql`
        select distinct n.nspname as line
        from pg_namespace as n
        where n.nspname !~ '^(pg_|information_schema$)'
          -- The platform's own, which are there before the migrations.
          and n.nspname not in ('auth', 'storage', 'realtime', 'extensions', 'vault', 'cron', 'net', 'supabase_migrations')
          and (
            exists (select from pg_class as c where c.relnamespace = n.oid)
            or exists (select from pg_proc as f where f.pronamespace = n.oid)
            or exists (select from pg_type as t where t.typnamespace = n.oid)
          )`,
    schemas,
  );
});

Deno.test("`service_role` may enter `api`, `authenticated` `accounts`, and nobody may make anything in any schema", async () => {
  await assertDocumented(
    (sql) =>
      sql`
        select format('%s %s %s', r, p, n.nspname) as line
        from unnest(${roles}::text[]) as r, unnest('{usage,create}'::text[]) as p, pg_namespace as n
        where n.nspname = any (${schemas}) and has_schema_privilege(r, n.oid, p)`,
    documented("usage", "create"),
  );
});

Deno.test("no role has a right to any table, view, column or sequence", async () => {
  assert.deepEqual(documented(...onRelations), []);
  await assertLines((sql) =>
    sql`
        select format('%s %s %s.%s', r, p, n.nspname, c.relname) as line
        from unnest(${roles}::text[]) as r, unnest(${onRelations}::text[]) as p,
          pg_class as c join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = any (${schemas}) and c.relkind = any (${relations}) and has_table_privilege(r, c.oid, p)
        union all
        select format('%s %s %s.%s', r, p, n.nspname, c.relname)
        from unnest(${roles}::text[]) as r, unnest(${onSequences}::text[]) as p,
          pg_class as c join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = any (${schemas}) and c.relkind = 'S' and has_sequence_privilege(r, c.oid, p)
        union all
        select format('%s %s %s.%s.%s', r, p, n.nspname, c.relname, a.attname)
        from unnest(${roles}::text[]) as r, unnest(${onColumns}::text[]) as p,
          pg_attribute as a
          join pg_class as c on c.oid = a.attrelid
          join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = any (${schemas}) and c.relkind = any (${relations})
          and a.attnum > 0 and not a.attisdropped and has_column_privilege(r, c.oid, a.attnum, p)`, []);
});

Deno.test("service_role executes what endpoints call, and `authenticated` what a policy asks", async () => {
  await assertDocumented(
    (sql) =>
      sql`
        select format('%s execute %s.%s', r, n.nspname, f.proname) as line
        from unnest(${roles}::text[]) as r, pg_proc as f
          join pg_namespace as n on n.oid = f.pronamespace
        where n.nspname = any (${schemas}) and has_function_privilege(r, f.oid, 'execute')`,
    documented("execute"),
  );
});

Deno.test("what a later migration makes is closed, in every schema, until it says who may use it", () =>
  onTemplate(async (sql) => {
    for (const schema of [...schemas, "public"]) {
      await sql.unsafe(`
        create table ${schema}.later (id serial);
        create function ${schema}.later() returns integer language sql as 'select 1';
      `).simple();
      for (const role of roles) {
        const [rights] = await sql`
          select has_table_privilege(${role}, ${`${schema}.later`}, ${onRelations.join()}) as table,
            has_sequence_privilege(${role}, ${`${schema}.later_id_seq`}, ${onSequences.join()}) as sequence,
            has_function_privilege(${role}, ${`${schema}.later()`}, 'execute') as function`;
        assert.deepEqual(
          { ...rights },
          { table: false, sequence: false, function: false },
          `${role} in ${schema}`,
        );
      }
    }
  }));

Deno.test("every table has row level security on, and a comment; every view asks with its caller's rights", async () => {
  await assertLines((sql) =>
    sql`
        select format('%s.%s', n.nspname, c.relname) as line
        from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = any (${schemas}) and (
          (c.relkind in ('r', 'p') and not c.relrowsecurity)
          or (c.relkind in ('v', 'm') and not coalesce(c.reloptions, '{}') @> '{security_invoker=true}')
          or (c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition and obj_description(c.oid, 'pg_class') is null)
        )`, []);
});

Deno.test("no policy opens a row to anybody, in our schemas or in the platform's, but a user's own channel to hear", async () => {
  await assertLines(
    (sql) =>
      sql`
        select format('%s on %s.%s for %s to %s', p.policyname, p.schemaname, p.tablename, p.cmd, p.roles) as line
        from pg_policies as p`,
    ["listen_to_own_channel on realtime.messages for SELECT to {authenticated}"],
  );
});

/** A procedure that sets what holds for it alone cannot commit: every name in these has its schema. */
const committing = ["core.run_task", "core.tick"];

Deno.test("every function has an empty search_path, or a body that was bound when it was made", async () => {
  await assertLines(
    (sql) =>
      sql`
        select format('%s.%s', n.nspname, f.proname) as line
        from pg_proc as f join pg_namespace as n on n.oid = f.pronamespace
        where n.nspname = any (${schemas})
          and f.prosqlbody is null and not coalesce(f.proconfig, '{}') @> array['search_path=""']`,
    committing,
  );
});

/** Triggers, which nobody calls, on tables of the platform's services: those act by roles that have no right here. */
const triggersOfThePlatform = ["accounts.close_deleted"];

Deno.test("only procedures of endpoints and policies, and triggers of Auth's tables, run with their owner's rights", async () => {
  await assertLines((sql) =>
    sql`
        select format('%s.%s', n.nspname, f.proname) as line
        from pg_proc as f join pg_namespace as n on n.oid = f.pronamespace
        where n.nspname = any (${schemas}) and f.prosecdef`, [
    ...rights.filter(({ privilege }) => privilege === "execute").flatMap(({ objects }) => objects),
    ...triggersOfThePlatform,
  ]);
});
