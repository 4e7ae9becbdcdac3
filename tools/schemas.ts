/**
 * The database as supabase/schemas declares it: its files in the order of config.toml, and the baseline that is made of them.
 */
import { parse } from "smol-toml";
import * as z from "zod";

const supabase = new URL("../supabase/", import.meta.url);

/** The first migration, which makes all of it. Until 1.0.0 it is made anew with every change of the schemas. */
export const baselineFile = new URL("migrations/20261128000100_baseline.sql", supabase);

const Config = z.object({ db: z.object({ migrations: z.object({ schema_paths: z.array(z.string()) }) }) });

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
