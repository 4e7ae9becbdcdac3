import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { type Database, withConnection } from "../../local/postgres/database.ts";
import { migrate } from "../../local/postgres/migrations.ts";
import { preparePlatform } from "../../local/platform/platform.ts";
import { loginAs, owner } from "../../local/platform/platform-roles.ts";
import { supabase } from "../../local/supabase-cli.ts";
import { emptyDatabase } from "./harness.ts";

interface Project extends AsyncDisposable {
  root: string;
  /** The folder that holds migrations/ and seed.sql. */
  supabase: URL;
  write(path: string, text: string): Promise<void>;
}

/** A project of its own, with two migrations and a seed. */
async function createProject(): Promise<Project> {
  const root = await Deno.makeTempDir();
  const supabase = pathToFileURL(`${root}/supabase/`);
  const write = (path: string, text: string) => Deno.writeTextFile(new URL(path, supabase), text);
  await Deno.mkdir(new URL("migrations/", supabase), { recursive: true });
  await write("config.toml", 'project_id = "migrations-test"\n');
  await write(
    "migrations/20260102000000_second.sql",
    "alter table first add column name text default 'none';\n",
  );
  await write("migrations/20260101000000_first.sql", "create table first (id integer);\n-- a comment\n");
  await write("migrations/README.md", "not a migration");
  await write("seed.sql", "insert into first (id) values (1);");
  return { root, supabase, write, [Symbol.asyncDispose]: () => Deno.remove(root, { recursive: true }) };
}

function rowsOf(url: string, query: string): Promise<unknown[]> {
  return withConnection(url, async (sql) => (await sql.unsafe(query)).map((row) => ({ ...row })));
}

Deno.test("migrations run once, in the order of their versions, and the seed after them, once", async () => {
  await using project = await createProject();
  await using database = await emptyDatabase();
  await migrate(database.url, project.supabase);
  await migrate(database.url, project.supabase);
  await project.write("migrations/20260103000000_third.sql", "alter table first add column third integer;");
  await migrate(database.url, project.supabase);
  assert.deepEqual(await rowsOf(database.url, "select * from first"), [{ id: 1, name: "none", third: null }]);
});

Deno.test("the CLI agrees with the history: nothing to push, and each file as it was", async () => {
  await using project = await createProject();
  await using database = await emptyDatabase();
  await migrate(database.url, project.supabase);
  const push = await supabase(["db", "push", "--include-seed"], database.url, project.root);
  assert.match(push.stdout + push.stderr, /Remote database is up to date/);
  assert.deepEqual(
    await rowsOf(
      database.url,
      "select * from supabase_migrations.schema_migrations order by version limit 1",
    ),
    [{
      version: "20260101000000",
      name: "first",
      statements: ["create table first (id integer);\n-- a comment\n"],
    }],
  );
});

Deno.test("what the CLI pushed is not applied again", async () => {
  await using project = await createProject();
  await using database = await emptyDatabase();
  const push = await supabase(["db", "push", "--include-seed", "--yes"], database.url, project.root);
  assert.equal(push.code, 0, push.stderr);
  await migrate(database.url, project.supabase);
  assert.deepEqual(await rowsOf(database.url, "select * from first"), [{ id: 1, name: "none" }]);
});

Deno.test("a migration that fails leaves nothing behind, and the error names file and line", async () => {
  await using project = await createProject();
  await using database = await emptyDatabase();
  await project.write(
    "migrations/20260103000000_third.sql",
    "create table third ();\n-- ş😀\nselect * from missing;",
  );
  await project.write("migrations/20260104000000_fourth.sql", "create table fourth ();");
  await assert.rejects(migrate(database.url, project.supabase), {
    message: '20260103000000_third.sql:3: relation "missing" does not exist',
  });
  assert.deepEqual(
    await rowsOf(database.url, "select to_regclass('third') as third, to_regclass('fourth') as fourth"),
    [{ third: null, fourth: null }],
  );
  assert.deepEqual(
    await rowsOf(database.url, "select version from supabase_migrations.schema_migrations order by 1"),
    [
      { version: "20260101000000" },
      { version: "20260102000000" },
    ],
  );
});

Deno.test("two migrations of one version are refused before anything is applied", async () => {
  await using project = await createProject();
  await using database = await emptyDatabase();
  await project.write("migrations/20260101000000_twin.sql", "create table twin ();");
  await assert.rejects(migrate(database.url, project.supabase), /both migration 20260101000000/);
  assert.deepEqual(await rowsOf(database.url, "select to_regclass('first') as first"), [{ first: null }]);
});

Deno.test("a bucket that was there before the migrations, and open to everybody, is private after them", async () => {
  await using database = await emptyDatabase();
  await preparePlatform(database.url);
  await rowsOf(
    database.url,
    "insert into storage.buckets (id, name, public) values ('videos', 'videos', true), ('uploads', 'uploads', true)",
  );
  await migrate(database.url);
  assert.deepEqual(await rowsOf(database.url, "select distinct public from storage.buckets"), [{
    public: false,
  }]);
});

/** A database as a hosted project is before its first migration. */
async function emptyPlatform(): Promise<Database> {
  const database = await emptyDatabase();
  await preparePlatform(database.url);
  return database;
}

Deno.test("migrations run as the owner, who can push the next ones with the CLI", async () => {
  await using project = await createProject();
  await using database = await emptyPlatform();
  await project.write(
    "seed.sql",
    "insert into first (id, name) values (1, session_user || ' ' || current_user);",
  );
  await migrate(database.url, project.supabase);
  assert.deepEqual(
    await rowsOf(database.url, "select name, tableowner from first, pg_tables where tablename = 'first'"),
    [
      { name: `${owner} ${owner}`, tableowner: owner },
    ],
  );
  await project.write("migrations/20260103000000_third.sql", "alter table first add column third integer;");
  const push = await supabase(["db", "push", "--yes"], loginAs(owner, database.url), project.root);
  assert.equal(push.code, 0, push.stderr);
});

Deno.test("a migration changes policies of Storage, as the platform lets it, and the rest of it stays the owner's", async () => {
  await using project = await createProject();
  await using database = await emptyPlatform();
  await project.write(
    "migrations/20260103000000_third.sql",
    `
    create schema own;
    create table own.allowed (name text);
    create policy own on storage.objects for select to authenticated
      using (exists (select from own.allowed as a where a.name = objects.name));
    create policy gone on storage.buckets using (true);
    drop policy gone on storage.buckets;
    alter policy own on storage.objects to anon;
    create table own.after ();
    `,
  );
  await migrate(database.url, project.supabase);
  assert.deepEqual(await rowsOf(database.url, "select policyname, tablename, roles::text from pg_policies"), [
    { policyname: "own", tablename: "objects", roles: "{anon}" },
  ]);
  assert.deepEqual(
    await rowsOf(
      database.url,
      "select tablename, tableowner from pg_tables where schemaname = 'own' order by 1",
    ),
    [{ tablename: "after", tableowner: owner }, { tablename: "allowed", tableowner: owner }],
  );
});

Deno.test("a trigger of auth.users is made and dropped by a migration", async () => {
  await using project = await createProject();
  await using database = await emptyPlatform();
  const make = "create trigger own after delete on auth.users for each row execute function public.own();";
  await project.write(
    "migrations/20260103000000_third.sql",
    `create function public.own() returns trigger language plpgsql as 'begin return null; end';
     ${make} drop trigger own on auth.users; ${make}`,
  );
  await migrate(database.url, project.supabase);
  assert.deepEqual(
    await rowsOf(
      database.url,
      "select tgname from pg_trigger where tgrelid = 'auth.users'::regclass and not tgisinternal",
    ),
    [
      { tgname: "own" },
    ],
  );
});

Deno.test("what the platform does not allow fails, with the line, and after it is nothing else", async () => {
  for (
    const [statement, message] of [
      ["alter table storage.objects disable row level security", "must be owner of table objects"],
      ["create policy own on auth.users using (true)", "must be owner of table users"],
      [
        "drop policy own on storage.objects; create table auth.own ()",
        'policy "own" for table "objects" does not exist',
      ],
      ["create policy own on storage.objects; create table auth.own ()", "permission denied for schema auth"],
    ]
  ) {
    await using project = await createProject();
    await using database = await emptyPlatform();
    await project.write("migrations/20260103000000_third.sql", `create table third ();\n${statement};`);
    await assert.rejects(migrate(database.url, project.supabase), ({ message: said }: Error) => {
      assert.match(said, /^20260103000000_third.sql/);
      assert.ok(said.includes(message ?? ""), said);
      return true;
    });
    assert.deepEqual(
      await rowsOf(
        database.url,
        "select to_regclass('third') as third, count(*)::int as policies from pg_policies",
      ),
      [{ third: null, policies: 0 }],
    );
  }
});

Deno.test("an error after a statement of the platform's names its line of the file", async () => {
  await using project = await createProject();
  await using database = await emptyPlatform();
  await project.write(
    "migrations/20260103000000_third.sql",
    "select 'ş';\ncreate policy a on storage.objects using (true);\n\nselect * from missing;",
  );
  await assert.rejects(migrate(database.url, project.supabase), {
    message: '20260103000000_third.sql:4: relation "missing" does not exist',
  });
});
