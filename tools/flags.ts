/** `deno task flags`: flags out of a database and into it, in flagd's JSON. */
import { readArguments, refuse } from "../local/arguments.ts";
import { withConnection } from "../local/postgres/database.ts";
import { defaultDirectory, demoDirectory, readStatus } from "../local/served.ts";
import { flagdOf, flagsIn, UnsupportedFlags } from "./flags/flagd.ts";
import { putFlag, readFlags } from "./flags/stored.ts";

const usage = `deno task flags export|import [<file>] [options]

Feature flags, in flagd's JSON.

  export            prints every flag
  import <file>     makes the flags of the file, or makes them so, all of them or none; others stay. --reason=<why> is needed

  --database=<url>  of the database; without it, that of deno task dev, or of deno task demo --serve`;

const { values, positionals } = readArguments(usage, {
  options: { database: { type: "string" }, reason: { type: "string" } },
  allowPositionals: true,
});
const [command = "", file, ...rest] = positionals;

async function databaseUrl(): Promise<string> {
  if (values.database !== undefined) return values.database;
  const status = await readStatus(defaultDirectory) ?? await readStatus(demoDirectory);
  if (!status) refuse("No stack runs here: start deno task dev, or name the database by --database.");
  return JSON.parse(status).DB_URL;
}

async function definitionsOf(path: string) {
  try {
    return flagsIn(JSON.parse(await Deno.readTextFile(path)));
  } catch (error) {
    if (error instanceof UnsupportedFlags) refuse(`Nothing was imported:\n${error.message}`);
    refuse(`${path} cannot be read: ${error instanceof Error ? error.message : error}`);
  }
}

if (command === "export" && file === undefined) {
  const flags = await withConnection(await databaseUrl(), (sql) => readFlags(sql));
  console.log(JSON.stringify(flagdOf(flags), null, 2));
} else if (command === "import" && file !== undefined && rest.length === 0) {
  const { reason } = values;
  if (reason === undefined || reason.length < 3) refuse("An import needs a --reason, which is written down.");
  const definitions = await definitionsOf(file);
  const changed = await withConnection(await databaseUrl(), (sql) =>
    sql.begin(async (transaction) => {
      const keys: string[] = [];
      // In the order in which whoever else changes several at once locks them.
      for (const definition of definitions.toSorted((one, other) => one.key < other.key ? -1 : 1)) {
        if (await putFlag(transaction, definition, reason)) keys.push(definition.key);
      }
      return keys;
    })).catch((error) => refuse(`Nothing was imported: ${error instanceof Error ? error.message : error}`));
  console.log(changed.length === 0 ? "Nothing changed." : `Changed: ${changed.join(", ")}`);
} else {
  refuse(usage);
}
