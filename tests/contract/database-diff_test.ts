/**
 * That the migrations make what supabase/schemas declares, and that `deno task db:diff` can be trusted to write the next one:
 * what the pinned differ sees, and what is done about what it does not see.
 */
import assert from "node:assert/strict";
import type { Database } from "../../local/postgres/database.ts";
import { migrate } from "../../local/postgres/migrations.ts";
import { preparePlatform } from "../../local/platform/platform.ts";
import { databaseDifference } from "../../local/supabase-cli.ts";
import { baselineOf, schemaFiles } from "../../tools/schemas.ts";
import { migrationOf } from "../../tools/database-diff.ts";
import { type Build, buildText, type Plan, planMigration } from "../../tools/migration-plan.ts";
import { emptyDatabase } from "../database/harness.ts";

async function createScratch(): Promise<Database> {
  await using cleanup = new AsyncDisposableStack();
  const { url } = cleanup.use(await emptyDatabase());
  await preparePlatform(url);
  const kept = cleanup.move();
  return { url, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

Deno.test("migrations and schemas end in the same catalogue", async () => {
  const to = buildText("schemas", baselineOf(await schemaFiles()));
  const difference = await planMigration({ createScratch, from: migrate, to });
  assert.equal(
    difference?.sql,
    undefined,
    "run `deno task generate`, or `deno task db:diff <name>` where the migrations are deployed",
  );
});

const before = `
create schema planted;
create table planted.things (id integer primary key, name text not null, number integer, old_name text);
create table planted.dropped (id integer primary key, text text);
create table planted.narrowed (id integer primary key, text text);
create function planted.answer() returns integer language sql set search_path = '' as 'select 41';
create function planted.on_user() returns trigger language plpgsql set search_path = ''
as 'begin return null; end';
`;

const after = `
create schema planted;
create type planted.mood as enum ('calm', 'loud');
create table planted.things (
  id integer primary key, name text not null check (char_length(name) < 50), number integer, new_name text,
  zeal integer not null default 7, added text
);
create index things_number on planted.things (number) where number is not null;
comment on column planted.things.number is 'What is counted;
ALTER DEFAULT PRIVILEGES as a text.';
grant select (id, name) on planted.things to authenticated;
alter table planted.things enable row level security;
create table planted.narrowed (id integer primary key);
create function planted.answer() returns integer language sql set search_path = '' as 'select 42';
revoke execute on function planted.answer() from public;
grant execute on function planted.answer() to service_role;
create function planted.on_user() returns trigger language plpgsql set search_path = ''
as 'begin return null; end';
create view planted.numbers with (security_invoker = true) as select t.number from planted.things as t;
create trigger planted after delete on auth.users for each row execute function planted.on_user();
create policy planted on storage.objects for select to authenticated using (bucket_id = 'planted');
create statistics planted.unmanaged on id, number from planted.things;
`;

Deno.test("the differ sees columns, functions, grants, policies of Storage and triggers of Auth; rows are lost by permission alone", async () => {
  // That it is there at all says that it was applied, and that nothing was left of the difference.
  const kinds: string[] = [];
  const found = await planMigration({
    createScratch,
    from: buildText("before", before),
    to: buildText("after", after),
    difference: async (from, to) => {
      const { sql, unmanaged } = await databaseDifference(from, to);
      kinds.push(...unmanaged);
      return { sql, unmanaged: [] };
    },
  });
  assert.deepEqual(new Set(kinds), new Set(["statistics object"]));
  assert.ok(found !== undefined);

  for (
    const statement of [
      /^ALTER TABLE "planted"."things"\s+ADD COLUMN "added" text;$/m,
      /^ALTER TABLE "planted"."things"\s+ADD COLUMN "zeal" integer NOT NULL DEFAULT 7;$/m,
      /^CREATE TYPE "planted"."mood" AS ENUM/m,
      /^ALTER TABLE "planted"."things"\s+ADD CONSTRAINT "things_name_check" CHECK/m,
      /^ALTER TABLE "planted"."things"\s+ENABLE ROW LEVEL SECURITY;$/m,
      /^CREATE INDEX things_number /m,
      /^COMMENT ON COLUMN "planted"."things"."number" IS 'What is counted;\nALTER DEFAULT PRIVILEGES as a text.';$/m,
      /^CREATE OR REPLACE FUNCTION planted.answer\(\)[^;]*select 42/m,
      /^CREATE VIEW "planted"."numbers" WITH \(security_invoker=true\)/m,
      /^GRANT SELECT \("name"\) ON TABLE "planted"."things" TO "authenticated";$/m,
      /^REVOKE ALL ON FUNCTION "planted"."answer"\(\) FROM PUBLIC;$/m,
      /^GRANT EXECUTE ON FUNCTION "planted"."answer"\(\) TO "service_role";$/m,
      /^CREATE TRIGGER planted\s+AFTER DELETE ON auth.users/m,
      /^CREATE POLICY "planted" ON "storage"."objects"/m,
    ]
  ) assert.match(found.sql, statement);

  // A rename is a drop and an add.
  assert.deepEqual(found.drops, ["planted.dropped", "planted.narrowed.text", "planted.things.old_name"]);
  const name = "planted";
  assert.throws(
    () => migrationOf(found, { name, allowedDrops: ["planted.dropped", "planted.narrowed.text"] }),
    /lose what is in planted\.things\.old_name\. .*--allow-drop planted\.things\.old_name\b.* a rename/,
  );
  assert.throws(() => migrationOf(found, { name, allowedDrops: [] }), /planted\.dropped, planted\.narrowed/);
  assert.ok(migrationOf(found, { name, allowedDrops: found.drops }).endsWith(found.sql));
});

/** Plans with a differ that says these, one after the other, and nothing any more. */
function planWith(differences: string[], from: Build, to: Build): Promise<Plan | undefined> {
  const difference = () => Promise.resolve({ sql: differences.shift() ?? "", unmanaged: [] });
  return planMigration({ createScratch: emptyDatabase, from, to, difference });
}

const empty = buildText("empty", "create schema planted;");
const table = buildText("table", "create schema planted; create table planted.t (one integer, two text);");

Deno.test("a difference of which something is left, or that cannot be applied, is no migration", async () => {
  const sql = "create table planted.t (one integer, two text);\n";
  assert.deepEqual(await planWith([sql], empty, table), { sql, drops: [] });
  await assert.rejects(
    planWith([sql, "comment on table planted.t is 'left';\n"], empty, table),
    /this is left of it:\n\ncomment on table planted\.t is 'left';\n\n\nThe difference was:\n\ncreate table/,
  );
  await assert.rejects(
    planWith(["create table missing.t ();\n"], empty, table),
    /cannot be applied: .*schema "missing" does not exist\n\nThe difference was/,
  );
});

Deno.test("default privileges and the order of columns are compared without the differ, which overlooks them", async () => {
  const swapped = buildText(
    "swapped",
    "create schema planted; create table planted.t (two text, one integer);",
  );
  await assert.rejects(
    planWith([], table, swapped),
    /migrations: columns of planted\.t: one, two\n +schemas: +columns of planted\.t: two, one$/,
  );
  const closed = buildText(
    "closed",
    "create schema planted; alter default privileges in schema planted revoke execute on functions from public;",
  );
  const granted = buildText(
    "granted",
    "create schema planted; alter default privileges in schema planted grant select on tables to anon;",
  );
  assert.equal(await planWith([], empty, closed), undefined);
  await assert.rejects(
    planWith(["ALTER DEFAULT PRIVILEGES of any;\n"], empty, granted),
    /schemas: +default privileges of \S+ in planted on r: anon=r\//,
  );
});

Deno.test("kinds of objects that the differ does not compare are refused", async () => {
  const difference = () => Promise.resolve({ sql: "", unmanaged: ["cast", "operator"] });
  await assert.rejects(
    planMigration({ createScratch: emptyDatabase, from: empty, to: empty, difference }),
    /does not compare these kinds of objects: cast, operator$/,
  );
});

Deno.test("a table that is made anew has lost its rows", async () => {
  const sql = "drop table planted.t; create table planted.t (one integer, two text);\n";
  assert.deepEqual(await planWith([sql], table, table), { sql, drops: ["planted.t"] });
});
