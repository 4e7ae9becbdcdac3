/**
 * Who may do what: every role, on everything in our schemas. What is not in these lists is nobody's, so that a grant that slips
 * in, or a default that is forgotten, fails here.
 */
import assert from "node:assert/strict";
import { type Database, withConnection } from "../../local/database.ts";
import { cloneTemplate } from "./harness.ts";
import { rolledBack, type Sql } from "./support/ledger.ts";

const schemas = ["public", "credits", "guard", "generation", "ops"];
const roles = ["public", "anon", "authenticated", "service_role"];

const schemaUsage = [
  "anon usage public",
  "authenticated usage public",
  "public usage public",
  "service_role usage public",
];

/** Clients read the columns that api.md shows, of the rows that the policies let them see. */
const columns = [
  ...["id", "display_name", "language", "theme_preference", "created_at"].map((column) =>
    `authenticated select public.users.${column}`
  ),
  ...[
    "id",
    "status",
    "prompt",
    "model_id",
    "model_name",
    "settings",
    "credits_used",
    "video_url",
    "video_url_expires_at",
    "thumbnail_url",
    "error_code",
    "error_details",
    "created_at",
    "completed_at",
  ].map((column) => `authenticated select public.video_jobs.${column}`),
];

/** The procedures that endpoints and worker call. */
const functions = [
  "begin_device_check",
  "cancel_video",
  "claim_submission",
  "claim_tasks",
  "delete_video_job",
  "enter_device_lane",
  "generate_video",
  "grant_device_credits",
  "health",
  "keep_signed_urls",
  "leave_device_lane",
  "list_models",
  "record_cancel",
  "record_device_intent",
  "record_error",
  "record_files_deleted",
  "record_poll",
  "record_provider_event",
  "record_stored",
  "record_submission",
  "record_unusable_result",
  "retry_task",
  "video_status",
].map((name) => `service_role execute public.${name}`);

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

Deno.test("only `public` is open to API roles, and nobody may make anything in it", async () => {
  await assertLines((sql) =>
    sql`
        select format('%s %s %s', r, p, n.nspname) as line
        from unnest(${roles}::text[]) as r, unnest('{usage,create}'::text[]) as p, pg_namespace as n
        where n.nspname = any (${schemas}) and has_schema_privilege(r, n.oid, p)`, schemaUsage);
});

Deno.test("no API role has a right to any table, view or sequence, but to the columns of its own rows", async () => {
  await assertLines((sql) =>
    sql`
        select format('%s %s %s.%s', r, p, n.nspname, c.relname) as line
        from unnest(${roles}::text[]) as r,
          unnest('{select,insert,update,delete,truncate,references,trigger,maintain}'::text[]) as p,
          pg_class as c
          join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = any (${schemas}) and c.relkind in ('r', 'p', 'v', 'm', 'f')
          and has_table_privilege(r, c.oid, p)
        union all
        select format('%s %s %s.%s', r, p, n.nspname, c.relname)
        from unnest(${roles}::text[]) as r, unnest('{usage,select,update}'::text[]) as p, pg_class as c
          join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = any (${schemas}) and c.relkind = 'S' and has_sequence_privilege(r, c.oid, p)`, []);
  await assertLines((sql) =>
    sql`
        select format('%s %s %s.%s.%s', r, p, n.nspname, c.relname, a.attname) as line
        from unnest(${roles}::text[]) as r, unnest('{select,insert,update,references}'::text[]) as p,
          pg_attribute as a
          join pg_class as c on c.oid = a.attrelid
          join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = any (${schemas}) and c.relkind in ('r', 'p', 'v', 'm', 'f')
          and a.attnum > 0 and not a.attisdropped and has_column_privilege(r, c.oid, a.attnum, p)`, columns);
});

Deno.test("service_role executes what endpoints call, and no other role executes anything", async () => {
  await assertLines((sql) =>
    sql`
        select format('%s execute %s.%s', r, n.nspname, f.proname) as line
        from unnest(${roles}::text[]) as r, pg_proc as f
          join pg_namespace as n on n.oid = f.pronamespace
        where n.nspname = any (${schemas}) and has_function_privilege(r, f.oid, 'execute')`, functions);
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

Deno.test("only procedures of endpoints, and one trigger, run with their owner's rights", async () => {
  await assertLines((sql) =>
    sql`
        select format('service_role execute %s.%s', n.nspname, f.proname) as line
        from pg_proc as f join pg_namespace as n on n.oid = f.pronamespace
        where n.nspname = any (${schemas}) and f.prosecdef`, [
    ...functions,
    "service_role execute public.bump_catalogue_version",
  ]);
});
