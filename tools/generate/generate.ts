/**
 * Writes anew the baseline of the migrations, while it is open, and what is generated from the migrated database: its types,
 * those of a job's status, and parts of documents. Then what is generated from the endpoints' declarations, in a process that
 * loads what was written. Says what it changed, and nothing where nothing changed.
 */
import { fileURLToPath } from "node:url";
import { readArguments } from "../../local/arguments.ts";
import { clientErrors, clientErrorsFile } from "./client-errors.ts";
import { createDatabase, withConnection } from "../../local/postgres/database.ts";
import { endpointNames } from "./endpoint-names.ts";
import { errorsSchema, errorsSchemaFile } from "./errors-schema.ts";
import { eventsDocument, eventsDocumentFile, eventTypesFile, eventTypesSchema } from "./event-types.ts";
import { filesFromDatabase } from "./from-database.ts";
import { metricTypesFile, metricTypesSchema } from "./metric-types.ts";
import { migrate } from "../../local/postgres/migrations.ts";
import { preparePlatform } from "../../local/platform/platform.ts";
import { startPostgres } from "../../local/postgres/postgres.ts";
import { writeGenerated } from "./written.ts";
import { baselineFile, baselineOf, isBaselineOpen, schemaFiles } from "../schemas.ts";

readArguments(
  `deno task generate

Writes every generated file anew: the baseline of the migrations, types, OpenAPI, parts of docs/. It takes no arguments.`,
  {},
);

await writeGenerated(errorsSchemaFile, errorsSchema());
await writeGenerated(clientErrorsFile, clientErrors());
await writeGenerated(eventTypesFile, eventTypesSchema());
await writeGenerated(eventsDocumentFile, eventsDocument(await Deno.readTextFile(eventsDocumentFile)));
await writeGenerated(metricTypesFile, metricTypesSchema(await endpointNames(), await schemaFiles()));
if (await isBaselineOpen()) await writeGenerated(baselineFile, baselineOf(await schemaFiles()));

await using postgres = await startPostgres();
await using database = await createDatabase(postgres.url());
await preparePlatform(database.url);
await migrate(database.url);
await withConnection(database.url, async (sql) => {
  for (const { file, make } of filesFromDatabase) {
    await writeGenerated(file, await make({ sql, url: database.url }, await Deno.readTextFile(file)));
  }
});

const { code } = await new Deno.Command(Deno.execPath(), {
  args: ["run", "-A", fileURLToPath(new URL("../../tests/contract/generate-openapi.ts", import.meta.url))],
}).spawn().status;
Deno.exitCode = code;
