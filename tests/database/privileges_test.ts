/**
 * Who may do what: every role, on everything in our schemas, held to the first table of docs/security.md. What is not written
 * there is nobody's, so that a grant that slips in, or a default that is forgotten, fails here.
 */
import assert from "node:assert/strict";
import { type Database, withConnection } from "../../local/database.ts";
import { readRights, roles as apiRoles } from "../security-document.ts";
import { cloneTemplate } from "./harness.ts";
import { rolledBack, type Sql } from "./support/ledger.ts";

const schemas = ["api", "core", "accounts", "credits", "guard", "queue", "videos", "devices", "ops"];
const roles = ["public", ...apiRoles];

const rights = await readRights();

/** The rights of the document with these privileges, on whole objects or on columns, as the queries below write them. */
function documented(kind: "objects" | "columns", privileges: readonly string[]): string[] {
  return rights.filter(({ privilege }) => privilege !== null && privileges.includes(privilege))
    .filter(({ columns }) => (columns !== null) === (kind === "columns"))
    .flatMap(({ objects, columns, privilege, actors }) => {
      const granted = apiRoles.filter((role) => actors.has(role));
      // What all of them may, `public` may.
      const holders = granted.length === apiRoles.length ? roles : granted;
      const names = columns?.map((column) => `${objects[0]}.${column}`) ?? objects;
      return holders.flatMap((role) => names.map((name) => `${role} ${privilege} ${name}`));
    });
}

let template: Database | undefined;
Deno.test.beforeAll(async () => {
  template = await cloneTemplate();
});
Deno.test.afterAll(async () => await template?.[Symbol.asyncDispose]());

/** Runs `work` on the database as the migrations left it, and undoes it. */
async function onTemplate(work: (sql: Sql) => Promise<unknown>): Promise<void> {
  if (template === undefined) throw new Error("The database is there while tests run");
  await withConnection(template.url, (sql) => rolledBack(sql, work));
}

/** Asserts that the query gives these lines, in any order. */
function assertLines(
  query: (sql: Sql) => PromiseLike<readonly { line: string }[]>,
  expected: readonly string[],
): Promise<void> {
  return onTemplate(async (sql) => {
    const lines = (await query(sql)).map(({ line }) => line);
    assert.deepEqual(lines.sort(), [...expected].sort());
  });
}

/** Asserts that the query gives what the document says, and tells whoever made something new where to write it. */
function assertDocumented(
  query: (sql: Sql) => PromiseLike<readonly { line: string }[]>,
  document: readonly string[],
): Promise<void> {
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

Deno.test("every schema, table and view stands in docs/security.md, and every procedure that somebody may execute", async () => {
  const named = rights.flatMap(({ objects }) => objects);
  assert.deepEqual(named.filter((object, index) => named.indexOf(object) !== index), [], "named twice");
  await assertDocumented((sql) =>
    sql`
        select n.nspname as line from pg_namespace as n where n.nspname = any (${schemas})
        union all
        select format('%s.%s', n.nspname, c.relname)
        from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = any (${schemas}) and c.relkind in ('r', 'p', 'v', 'm', 'f')
        union
        select format('%s.%s', n.nspname, f.proname)
        from unnest(${roles}::text[]) as r, pg_proc as f
          join pg_namespace as n on n.oid = f.pronamespace
        where n.nspname = any (${schemas}) and has_function_privilege(r, f.oid, 'execute')`, named);
});

Deno.test("only `public` is open to API roles, and nobody may make anything in it", async () => {
  const privileges = ["usage", "create"];
  await assertDocumented(
    (sql) =>
      sql`
        select format('%s %s %s', r, p, n.nspname) as line
        from unnest(${roles}::text[]) as r, unnest(${privileges}::text[]) as p, pg_namespace as n
        where n.nspname = any (${schemas}) and has_schema_privilege(r, n.oid, p)`,
    documented("objects", privileges),
  );
});

Deno.test("no API role has a right to any table, view or sequence, but to the columns of its own rows", async () => {
  const onTables = ["select", "insert", "update", "delete", "truncate", "references", "trigger", "maintain"];
  await assertDocumented(
    (sql) =>
      sql`
        select format('%s %s %s.%s', r, p, n.nspname, c.relname) as line
        from unnest(${roles}::text[]) as r, unnest(${onTables}::text[]) as p,
          pg_class as c
          join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = any (${schemas}) and c.relkind in ('r', 'p', 'v', 'm', 'f')
          and has_table_privilege(r, c.oid, p)
        union all
        select format('%s %s %s.%s', r, p, n.nspname, c.relname)
        from unnest(${roles}::text[]) as r, unnest('{usage,select,update}'::text[]) as p, pg_class as c
          join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = any (${schemas}) and c.relkind = 'S' and has_sequence_privilege(r, c.oid, p)`,
    documented("objects", onTables),
  );
  const onColumns = ["select", "insert", "update", "references"];
  await assertDocumented(
    (sql) =>
      sql`
        select format('%s %s %s.%s.%s', r, p, n.nspname, c.relname, a.attname) as line
        from unnest(${roles}::text[]) as r, unnest(${onColumns}::text[]) as p,
          pg_attribute as a
          join pg_class as c on c.oid = a.attrelid
          join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = any (${schemas}) and c.relkind in ('r', 'p', 'v', 'm', 'f')
          and a.attnum > 0 and not a.attisdropped and has_column_privilege(r, c.oid, a.attnum, p)`,
    documented("columns", onColumns),
  );
});

Deno.test("service_role executes what endpoints call, and no other role executes anything", async () => {
  await assertDocumented(
    (sql) =>
      sql`
        select format('%s execute %s.%s', r, n.nspname, f.proname) as line
        from unnest(${roles}::text[]) as r, pg_proc as f
          join pg_namespace as n on n.oid = f.pronamespace
        where n.nspname = any (${schemas}) and has_function_privilege(r, f.oid, 'execute')`,
    documented("objects", ["execute"]),
  );
});

Deno.test("what a later migration makes is closed, until it says who may use it", () =>
  onTemplate(async (sql) => {
    await sql`
      create table public.later (id serial);
      create function public.later() returns integer language sql as 'select 1';
      create function ops.later() returns integer language sql as 'select 1';
    `.simple();
    for (const role of roles) {
      const [rights] = await sql`
        select has_table_privilege(${role}, 'public.later', 'select, insert, update, delete') as table,
          has_sequence_privilege(${role}, 'public.later_id_seq', 'usage, select') as sequence,
          has_function_privilege(${role}, 'public.later()', 'execute') as function,
          has_function_privilege(${role}, 'ops.later()', 'execute') as elsewhere`;
      assert.deepEqual(
        { ...rights },
        { table: false, sequence: false, function: false, elsewhere: false },
        role,
      );
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

Deno.test("every function has an empty search_path, or a body that was bound when it was made", async () => {
  await assertLines((sql) =>
    sql`
        select format('%s.%s', n.nspname, f.proname) as line
        from pg_proc as f join pg_namespace as n on n.oid = f.pronamespace
        where n.nspname = any (${schemas})
          and f.prosqlbody is null and not coalesce(f.proconfig, '{}') @> array['search_path=""']`, []);
});

Deno.test("every function says what it is for", async () => {
  await assertLines((sql) =>
    sql`
        select format('%s.%s', n.nspname, f.proname) as line
        from pg_proc as f join pg_namespace as n on n.oid = f.pronamespace
        where n.nspname = any (${schemas}) and coalesce(obj_description(f.oid, 'pg_proc'), '') = ''`, []);
});

Deno.test("only procedures of endpoints run with their owner's rights", async () => {
  await assertLines((sql) =>
    sql`
        select format('service_role execute %s.%s', n.nspname, f.proname) as line
        from pg_proc as f join pg_namespace as n on n.oid = f.pronamespace
        where n.nspname = any (${schemas}) and f.prosecdef`, [
    ...documented("objects", ["execute"]),
  ]);
});
