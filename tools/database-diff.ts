/**
 * Writes the migration that brings supabase/migrations to what supabase/schemas declares. docs/database.md says how it is used.
 */
import { readArguments, refuse } from "../local/arguments.ts";
import { createDatabase, type Database } from "../local/postgres/database.ts";
import { migrate } from "../local/postgres/migrations.ts";
import { preparePlatform } from "../local/platform/platform.ts";
import { startPostgres } from "../local/postgres/postgres.ts";
import { exitOnTermination } from "../local/processes/process.ts";
import { buildText, type Plan, planMigration, Refusal } from "./migration-plan.ts";
import {
  baselineOf,
  changesRows,
  isBaselineOpen,
  migrationNames,
  migrationsFolder,
  schemaFiles,
} from "./schemas.ts";

const usage = `deno task db:diff <name> [--allow-drop <schema.table[.column]>]...

Writes supabase/migrations/<UTC time>_<name>.sql: the difference between what the migrations make and what supabase/schemas
declares, for review. A table or a column is only dropped, with its rows, when --allow-drop names it.`;

export interface Request {
  /** As in the file's name. */
  readonly name: string;
  readonly allowedDrops: readonly string[];
}

/** Gives what is asked for: a name in words, and the drops that are allowed. */
export function requestOf([given, ...others]: readonly string[], allowedDrops: readonly string[]): Request {
  if (given === undefined || others.length > 0) throw new Refusal(`One name is needed.\n\n${usage}`);
  if (!/^[a-z][a-z0-9]*([_-][a-z0-9]+)*$/.test(given)) {
    throw new Refusal(`A name is lower-case words with - or _ between them: ${given}`);
  }
  const name = given.replaceAll("-", "_");
  if (changesRows(`${name}.sql`) || name === "rows") {
    throw new Refusal("A migration whose name ends with rows changes rows alone, and is written by hand");
  }
  return { name, allowedDrops };
}

/** The file's text. A drop that is not allowed is refused, and so is a permission for what is not dropped. */
export function migrationOf({ sql, drops }: Plan, { name, allowedDrops }: Request): string {
  const refused = drops.filter((drop) => !allowedDrops.includes(drop));
  if (refused.length > 0) {
    throw new Refusal(
      `It would lose what is in ${refused.join(", ")}. If that is what you want, add ${
        refused.map((drop) => `--allow-drop ${drop}`).join(" ")
      }. If it is a rename, write a migration by hand that renames it, and run this again for the rest.`,
    );
  }
  const missing = allowedDrops.filter((drop) => !drops.includes(drop));
  if (missing.length > 0) throw new Refusal(`It does not drop ${missing.join(", ")}`);
  return [
    `-- Written by \`deno task db:diff ${name}\`, and to be reviewed: docs/database.md says what the differ does not see.\n`,
    ...(drops.length === 0 ? [] : [`-- Drops ${drops.join(", ")}, with --allow-drop.\n`]),
    `\n${sql}`,
  ].join("");
}

/** The file's name. It must come after all others, or databases that have those would not get it in its turn. */
export function fileName(name: string, now: Date, existing: readonly string[]): string {
  const version = now.toISOString().replaceAll(/\D/g, "").slice(0, 14);
  const last = existing.at(-1);
  const file = `${version}_${name}.sql`;
  if (last !== undefined && file <= last) {
    throw new Refusal(`The clock says ${version}, which is before ${last}`);
  }
  return file;
}

async function createPlatform(serverUrl: string): Promise<Database> {
  await using cleanup = new AsyncDisposableStack();
  const { url } = cleanup.use(await createDatabase(serverUrl));
  await preparePlatform(url);
  const kept = cleanup.move();
  return { url, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

async function main(): Promise<void> {
  const { values, positionals } = readArguments(usage, {
    options: { "allow-drop": { type: "string", multiple: true, default: [] } },
    allowPositionals: true,
  });
  const request = requestOf(positionals, values["allow-drop"]);

  await using cleanup = new AsyncDisposableStack();
  using _termination = exitOnTermination(() => cleanup.disposeAsync());
  const postgres = cleanup.use(await startPostgres());
  const plan = await planMigration({
    createScratch: () => createPlatform(postgres.url()),
    from: migrate,
    to: buildText("schemas", baselineOf(await schemaFiles())),
  });
  if (plan === undefined) {
    console.log("The migrations make what the schemas declare: nothing is written.");
    if (await isBaselineOpen()) {
      console.log("`deno task generate` puts each change of them into the baseline.");
    }
    return;
  }
  const text = migrationOf(plan, request);
  const file = fileName(request.name, new Date(), await migrationNames());
  await Deno.writeTextFile(new URL(file, migrationsFolder), text, { createNew: true });
  console.log(`supabase/migrations/${file} is written: review it, then run \`deno task generate\`.`);
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    if (error instanceof Refusal) refuse(error.message);
    throw error;
  }
}
