/**
 * Applies supabase/migrations and supabase/seed.sql as the Supabase CLI's `db push` does, in a fraction of its time, and
 * with its history tables, so that either may follow the other.
 */
import { createHash } from "node:crypto";
import postgres from "postgres";
import { withConnection } from "./database.ts";
import { splitStatements } from "../platform/platform-statements.ts";

const supabase = new URL("../../supabase/", import.meta.url);

/** The CLI records a seed under its path from the project's root. */
const seedPath = "supabase/seed.sql";

/** What the CLI creates. */
const historyTables = `
  create schema if not exists supabase_migrations;
  create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
  alter table supabase_migrations.schema_migrations add column if not exists statements text[];
  alter table supabase_migrations.schema_migrations add column if not exists name text;
  create table if not exists supabase_migrations.seed_files (path text not null primary key, hash text not null);
`;

/**
 * Applies what the database at `url` does not have yet: the migrations in the order of their versions, each in a
 * transaction of its own, then the seed, once. A file that fails leaves nothing behind, and the error names it.
 * `directory` is the folder that holds migrations/ and seed.sql.
 *
 * All of it runs with the rights of the database's owner, whoever `url` is; only as a superuser's can it also do what the
 * platform lets the owner do on tables that are not its own.
 */
export async function migrate(url: string, directory: URL = supabase): Promise<void> {
  await withConnection(url, async (sql) => {
    await sql.unsafe(becomeOwner).simple();
    await sql.unsafe(historyTables).simple();
    const applied = await sql<
      { version: string }[]
    >`select version from supabase_migrations.schema_migrations`;
    const versions = new Set(applied.map(({ version }) => version));

    for (const { file, version, name } of await listMigrations(new URL("migrations/", directory))) {
      if (versions.has(version)) continue;
      const text = await Deno.readTextFile(file);
      await sql.begin(async (sql) => {
        await runFile(sql, file, text);
        // The CLI splits the text into statements. Kept whole, `migration fetch` gives back the file as it was.
        await sql`
          insert into supabase_migrations.schema_migrations (version, name, statements)
          values (${version}, ${name}, ${[text]})`;
      });
      versions.add(version);
    }
    await seed(sql, new URL("seed.sql", directory));
  });
}

interface Migration {
  file: URL;
  version: string;
  name: string;
}

async function listMigrations(directory: URL): Promise<Migration[]> {
  const found: Migration[] = [];
  for await (const { name: fileName } of Deno.readDir(directory)) {
    const [, version, name] = /^(\d+)_(.*)\.sql$/.exec(fileName) ?? [];
    if (version === undefined || name === undefined) continue;
    const other = found.find((migration) => migration.version === version);
    if (other !== undefined) throw new Error(`${other.name} and ${name} are both migration ${version}`);
    found.push({ file: new URL(fileName, directory), version, name });
  }
  return found.sort((one, other) => one.version < other.version ? -1 : 1);
}

async function seed(sql: postgres.Sql, file: URL): Promise<void> {
  let text: string;
  try {
    text = await Deno.readTextFile(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  const hash = createHash("sha256").update(text).digest("hex");
  await sql.begin(async (sql) => {
    const { count } = await sql`
      insert into supabase_migrations.seed_files (path, hash) values (${seedPath}, ${hash}) on conflict do nothing`;
    if (count > 0) await runFile(sql, file, text);
  });
}

/** A session authorization, unlike a role, decides also what `set role` may become. */
const becomeOwner = `
do $$
begin
  execute format('set session authorization %I', (
    select pg_get_userbyid(d.datdba) from pg_database as d where d.datname = current_database()
  ));
end
$$;
`;

async function runFile(sql: postgres.TransactionSql, file: URL, text: string): Promise<void> {
  let before = "";
  for (const part of await splitStatements(text)) {
    try {
      if (part.privileged) await sql`reset session authorization`;
      await sql.unsafe(part.text).simple();
      if (part.privileged) await sql.unsafe(becomeOwner).simple();
    } catch (error) {
      if (!(error instanceof postgres.PostgresError)) throw error;
      const fileName = file.pathname.slice(file.pathname.lastIndexOf("/") + 1);
      const line = error.position === undefined
        ? ""
        : `:${lineEnds(before) + lineEnds(upTo(part.text, Number(error.position))) + 1}`;
      const parts = [error.message, error.detail, error.hint, error.where];
      throw new Error(`${fileName}${line}: ${parts.filter((part) => part !== undefined).join("\n  ")}`, {
        cause: error,
      });
    }
    before += part.text;
  }
}

/** Postgres counts characters, not UTF-16 units, and from 1. */
function upTo(text: string, position: number): string {
  return [...text].slice(0, position - 1).join("");
}

function lineEnds(text: string): number {
  return text.split("\n").length - 1;
}
