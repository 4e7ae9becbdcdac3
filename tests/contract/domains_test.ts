/**
 * That supabase/schemas can be found one's way in: every file in the order, a domain's objects in its folder, and the order
 * that its first file names.
 */
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { withConnection } from "../../local/postgres/database.ts";
import { migrate } from "../../local/postgres/migrations.ts";
import { preparePlatform } from "../../local/platform/platform.ts";
import { changesRows, migrationNames, migrationsFolder, schemaFiles } from "../../tools/schemas.ts";
import { emptyDatabase } from "../database/harness.ts";
import { listFiles } from "../files.ts";
import { readDocument, root, tableRows } from "./documents.ts";

const files = await schemaFiles();
const domainOf = (path: string) => path.split("/").at(-2) ?? "";
const nameOf = (path: string) => path.split("/").at(-1) ?? "";
const domains = Map.groupBy(files, ({ path }) => domainOf(path));

Deno.test("config.toml names every file of supabase/schemas once", async () => {
  const there = (await listFiles(root, "supabase/schemas/")).filter((path) => path.endsWith(".sql"));
  assert.deepEqual(
    files.map(({ path }) => path).sort(),
    there,
    "a file of supabase/schemas must stand once in `schema_paths` of supabase/config.toml, after what it builds on",
  );
});

Deno.test("every file of supabase/migrations has a name by which it is applied", async () => {
  const names = (await listFiles(root, "supabase/migrations/")).map(nameOf);
  assert.deepEqual(
    names.filter((name) => !/^\d{14}_[a-z0-9_]+\.sql$/.test(name)),
    [],
    "a migration is named <UTC time in 14 digits>_<what>.sql; a file of another name is never applied",
  );
});

Deno.test("docs/database.md lists the domains in their order", async () => {
  const rows = tableRows(await readDocument("docs/database.md"), "domain");
  assert.deepEqual(rows.map(([domain]) => domain), [...domains.keys()]);
});

/** An endpoint finds its file by its name. */
const withoutOrder = ["api"];

Deno.test("a domain's first file makes its schema, and names the domain's files in the order of config.toml", () => {
  for (const [domain, [first, ...others]] of domains) {
    assert.match(first?.text ?? "", new RegExp(`^create schema ${domain};$`, "m"));
    if (withoutOrder.includes(domain) || others.length === 0) continue;
    const head = /^(--.*\n)+/.exec(first?.text ?? "")?.[0] ?? "";
    const named = Array.from(head.matchAll(/[\w-]+\.sql\b/g), ([name]) => name);
    assert.deepEqual(named, [first, ...others].map((file) => nameOf(file?.path ?? "")), domain);
  }
});

/** Tables of the platform that a domain writes, and why. */
const platformTables: Record<string, string> = {
  "auth.identities": "one that Apple has ended is taken from its user",
  "auth.sessions": "a ban and a closed account end them",
  "auth.users": "what is erased is erased there, too",
};

Deno.test("a domain writes its own tables alone, and only `api` writes those of the domains that it decides about", () => {
  // Money moves only inside credits, work waits only in queue, and facts are told only through events.
  const closed = ["credits", "queue", "events", "guard", "core"];
  const isAllowed = (domain: string, table: string) => {
    const [schema = ""] = table.split(".");
    return schema === domain || table in platformTables || (domain === "api" && !closed.includes(schema));
  };
  const writes = files.flatMap(({ path, text }) =>
    Array.from(
      text.matchAll(/\b(?:insert into|update|delete from|truncate) ([a-z_]+\.[a-z_]+)/g),
      ([, table = ""]) => ({ path, table }),
    )
  );
  assert.ok(writes.length > 100);
  assert.deepEqual(writes.filter(({ path, table }) => !isAllowed(domainOf(path), table)), []);
});

/** What a domain makes outside its schema, and why. Extensions are the platform's, and not asked. */
const elsewhere: Record<string, string> = {
  "supabase/schemas/accounts/closing.sql: trigger close_account on auth.users":
    "whoever deletes a user in Auth closes the account, and only Auth's own table hears of it",
  "supabase/schemas/accounts/channels.sql: policy listen_to_own_channel on realtime.messages":
    "who may hear a channel is asked of the table of its messages, which is Realtime's",
};

Deno.test("a domain's files make objects in its schema alone, but for those that are listed here with their reason", async () => {
  await using database = await emptyDatabase();
  await preparePlatform(database.url);
  // Notes every object that a statement makes or alters, with the transaction, of which each file has one.
  await withConnection(database.url, (sql) =>
    sql`
      create schema noted;
      create table noted.commands (transaction xid, domain text, object text);
      create function noted.note() returns event_trigger language plpgsql security definer set search_path = '' as $$
      begin
        insert into noted.commands
        select pg_current_xact_id()::xid,
          case c.object_type
            when 'schema' then c.object_identity
            -- These have their table's schema.
            when 'trigger' then substring(c.object_identity from ' on (\\w+)\.')
            when 'policy' then substring(c.object_identity from ' on (\\w+)\.')
            else c.schema_name
          end,
          format('%s %s', c.object_type, c.object_identity)
        from pg_event_trigger_ddl_commands() as c
        where c.command_tag not in ('GRANT', 'REVOKE', 'ALTER DEFAULT PRIVILEGES', 'CREATE EXTENSION');
      end $$;
      create event trigger note on ddl_command_end execute function noted.note();
    `.simple());
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/migrations`);
    for (const [index, { text }] of files.entries()) {
      await Deno.writeTextFile(`${folder}/migrations/${`${index}`.padStart(4, "0")}_file.sql`, text);
    }
    await migrate(database.url, pathToFileURL(`${folder}/`));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  const notes = await withConnection(
    database.url,
    (sql) =>
      sql<{ index: number; domain: string | null; object: string }[]>`
      select distinct m.version::integer as index, c.domain, c.object
      from noted.commands as c join supabase_migrations.schema_migrations as m on m.xmin = c.transaction
      order by 1, 3`,
  );
  assert.ok(notes.length > files.length);
  const found = notes.map(({ index, ...note }) => ({ ...note, path: files[index]?.path ?? "" }))
    .filter(({ domain, path }) => domain !== domainOf(path))
    .map(({ path, object }) => `${path}: ${object}`);
  assert.deepEqual(found, Object.keys(elsewhere));
});

Deno.test("a migration whose name ends with rows has no statement but those that change rows", async () => {
  for (const name of (await migrationNames()).filter(changesRows)) {
    const text = await Deno.readTextFile(new URL(name, migrationsFolder));
    const statements = text.matchAll(
      /^(?!(insert into|update|delete from|values|on conflict)\b)[a-z]+ .*$/gm,
    );
    assert.deepEqual(Array.from(statements, ([line]) => line), [], name);
  }
});
