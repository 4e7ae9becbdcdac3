/**
 * Writes the generated files anew: the database's types from the migrations, the OpenAPI document from the endpoints.
 */
import { createDatabase } from "./database.ts";
import { databaseTypesFile, generateDatabaseTypes } from "./database-types.ts";
import { migrate } from "./migrations.ts";
import { preparePlatform } from "./platform.ts";
import { startPostgres } from "./postgres.ts";

await using postgres = await startPostgres();
await using database = await createDatabase(postgres.url());
await preparePlatform(database.url);
await migrate(database.url);
await Deno.writeTextFile(databaseTypesFile, await generateDatabaseTypes(database.url));
