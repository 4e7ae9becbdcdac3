/**
 * The database as supabase/schemas declares it: its files in the order of config.toml, and the baseline that is made of them.
 */
import { parse } from "smol-toml";
import * as z from "zod";

const root = new URL("../", import.meta.url);
const supabase = new URL("supabase/", root);

export const migrationsFolder = new URL("migrations/", supabase);

/** The first migration, which makes all of it. While it is open, it is made anew with every change of the schemas. */
export const baselineFile = new URL("20261128000100_baseline.sql", migrationsFolder);

const Config = z.object({ db: z.object({ migrations: z.object({ schema_paths: z.array(z.string()) }) }) });
const DenoConfig = z.object({ version: z.string().default("0.0.0") });

export interface SchemaFile {
  /** From the project's root: supabase/schemas/credits/credits.sql. */
  readonly path: string;
  readonly text: string;
}

/** The files in the order in which they are applied. */
export async function schemaFiles(): Promise<SchemaFile[]> {
  const config = Config.parse(parse(await Deno.readTextFile(new URL("config.toml", supabase))));
  return await Promise.all(config.db.migrations.schema_paths.map(async (path) => {
    const file = new URL(path, supabase);
    return { path: `supabase/${file.href.slice(supabase.href.length)}`, text: await Deno.readTextFile(file) };
  }));
}

/** The text of the baseline: the files one after the other, each under its path. */
export function baselineOf(files: readonly SchemaFile[]): string {
  const head = "-- Made from supabase/schemas by `deno task generate`. Edit those files, not this one.\n";
  return head + files.map(({ path, text }) => `\n-- ${path}\n\n${text}`).join("");
}

/** The names of the migrations' files, in their order. */
export async function migrationNames(): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(migrationsFolder));
  return entries.map(({ name }) => name).filter((name) => name.endsWith(".sql")).sort();
}

/** Whether a migration, by its name, changes rows and nothing else, so that it can follow any baseline. */
export function changesRows(name: string): boolean {
  return name.endsWith("_rows.sql");
}

/**
 * Whether the baseline is still made anew: before 1.0.0, as long as no migration builds on it. docs/database.md says when
 * that is.
 */
export async function isBaselineOpen(): Promise<boolean> {
  const { version } = DenoConfig.parse(JSON.parse(await Deno.readTextFile(new URL("deno.json", root))));
  return baselineIsOpen(version, await migrationNames());
}

export function baselineIsOpen(version: string, migrations: readonly string[]): boolean {
  return version.startsWith("0.") &&
    migrations.every((name) => baselineFile.pathname.endsWith(`/${name}`) || changesRows(name));
}
