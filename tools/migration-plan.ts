/**
 * What is to be done to a database so that it becomes another, proved on databases that live as long as the question.
 */
import { pathToFileURL } from "node:url";
import type postgres from "postgres";
import { type Database, withConnection } from "../local/postgres/database.ts";
import { migrate } from "../local/postgres/migrations.ts";
import { databaseDifference, type Difference } from "../local/supabase-cli.ts";

/** Applies something to the database at `url`, which has what the platform gives and nothing else. */
export type Build = (url: string) => Promise<void>;

export interface Plan {
  /** The statements, formatted as the differ does. */
  readonly sql: string;
  /** The tables and columns whose rows they lose, as accounts.users or accounts.users.theme. */
  readonly drops: readonly string[];
}

export interface PlanOptions {
  /** Makes a database with what the platform gives, and its superuser's URL. */
  createScratch: () => Promise<Database>;
  from: Build;
  to: Build;
  /** The differ; the CLI's unless a test puts its own. */
  difference?: (from: string, to: string) => Promise<Difference>;
}

/**
 * Plans how what `from` builds becomes what `to` builds; undefined where the two end in the same catalogue. The plan is
 * applied to a third database, and rejected unless nothing is left between that and `to`, for the differ or in what it
 * overlooks.
 */
export async function planMigration(options: PlanOptions): Promise<Plan | undefined> {
  const { createScratch, from, to, difference = databaseDifference } = options;
  await using before = await createScratch();
  await from(before.url);
  await using after = await createScratch();
  await to(after.url);
  const { sql: text, unmanaged } = await difference(before.url, after.url);
  if (unmanaged.length > 0) {
    throw new Refusal(`The differ does not compare these kinds of objects: ${unmanaged.join(", ")}`);
  }
  const sql = tidy(text);
  if (sql === "") {
    await assertNothingOverlooked(before.url, after.url);
    return undefined;
  }

  await using proof = await createScratch();
  await from(proof.url);
  const had = await withConnection(proof.url, readColumns);
  try {
    await applyText(proof.url, "99999999999999_difference", sql);
  } catch (error) {
    throw noMigration(`The difference cannot be applied: ${(error as Error).message}`, sql);
  }
  const left = tidy((await difference(proof.url, after.url)).sql);
  if (left !== "") throw noMigration(`Once the difference is applied, this is left of it:\n\n${left}`, sql);
  await assertNothingOverlooked(proof.url, after.url);
  const has = await withConnection(proof.url, readColumns);
  return { sql, drops: dropsBetween(had, has) };
}

/** Builds what the text of a file says, with the rights that migrations have. */
export function buildText(name: string, text: string): Build {
  return (url) => applyText(url, `00000000000000_${name}`, text);
}

/** What is asked for cannot be done as it stands. The message says why to whoever asked, and no stack adds to it. */
export class Refusal extends Error {}

/** The message ends with the statements, for whoever writes a migration from them. */
function noMigration(message: string, sql: string): Refusal {
  return new Refusal(`${message}\n\nThe difference was:\n\n${sql}`);
}

/** Applies a text as the migration of this name, so that it has a migration's owner, transaction and errors. */
async function applyText(url: string, name: string, text: string): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/migrations`);
    await Deno.writeTextFile(`${folder}/migrations/${name}.sql`, text);
    await migrate(url, pathToFileURL(`${folder}/`));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/**
 * The differ's text as a migration has it. Statements about default privileges go: the differ may write them as a part of
 * something else, and what the schemas say of them is compared without it. Were a line of something else to go with them,
 * the second difference would show it.
 */
export function tidy(sql: string): string {
  const setting = "SET local check_function_bodies = off;\n";
  const statements = sql.replaceAll(/(?<=^|\n\n)ALTER DEFAULT PRIVILEGES [^;]*;\n/g, "").split(setting).join(
    "",
  )
    .replaceAll(/\n{3,}/g, "\n\n").trim();
  if (statements === "") return "";
  return `${sql.includes(setting) ? `${setting}\n` : ""}${statements}\n`;
}

/** The names of all tables and their columns, by what identifies them: a table made anew is another one. */
async function readColumns(sql: postgres.Sql): Promise<Map<string, string>> {
  const rows = await sql<{ id: string; name: string }[]>`
    select format('%s/%s', c.oid, a.attnum) as id, concat_ws('.', n.nspname, c.relname, a.attname) as name
    from pg_class as c
      join pg_namespace as n on n.oid = c.relnamespace
      left join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relkind in ('r', 'p') and n.nspname !~ '^(pg_|information_schema$)'
    union all
    select format('%s/', c.oid), concat_ws('.', n.nspname, c.relname)
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and n.nspname !~ '^(pg_|information_schema$)'`;
  return new Map(rows.map(({ id, name }) => [id, name]));
}

/** A table that is gone stands for its columns. */
function dropsBetween(had: ReadonlyMap<string, string>, has: ReadonlyMap<string, string>): string[] {
  const isTable = (id: string) => id.endsWith("/");
  const tableOf = (id: string) => id.replace(/\/.*/, "/");
  return [...had].filter(([id]) => !has.has(id) && (isTable(id) || has.has(tableOf(id))))
    .map(([, name]) => name).sort();
}

/** Asserts that two databases are the same in what the differ does not compare. */
async function assertNothingOverlooked(one: string, other: string): Promise<void> {
  const [made, wanted] = await Promise.all([one, other].map((url) => withConnection(url, readOverlooked)));
  const lines = [
    ...[...made ?? []].filter((line) => !wanted?.has(line)).map((line) => `  migrations: ${line}`),
    ...[...wanted ?? []].filter((line) => !made?.has(line)).map((line) => `  schemas:    ${line}`),
  ];
  if (lines.length > 0) {
    throw new Refusal(
      `The differ does not see these. Append new columns to their table; write default privileges by hand:\n${
        lines.join("\n")
      }`,
    );
  }
}

async function readOverlooked(sql: postgres.Sql): Promise<Set<string>> {
  const rows = await sql<{ line: string }[]>`
    select format(
      'default privileges of %s in %s on %s: %s',
      d.defaclrole::regrole, coalesce(n.nspname, 'all schemas'), d.defaclobjtype,
      (select string_agg(acl::text, ' ' order by acl::text) from unnest(d.defaclacl) as acl)
    ) as line
    from pg_default_acl as d left join pg_namespace as n on n.oid = d.defaclnamespace
    union all
    select format('columns of %s.%s: %s', n.nspname, c.relname, string_agg(a.attname, ', ' order by a.attnum))
    from pg_class as c
      join pg_namespace as n on n.oid = c.relnamespace
      join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relkind in ('r', 'p') and n.nspname !~ '^(pg_|information_schema$)'
    group by n.nspname, c.relname`;
  return new Set(rows.map(({ line }) => line));
}
