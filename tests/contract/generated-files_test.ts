import assert from "node:assert/strict";
import { databaseTypesFile, generateDatabaseTypes } from "../../local/database-types.ts";
import { cloneTemplate } from "../database/harness.ts";

Deno.test("database.types.ts is what the migrations say; `deno task generate` writes it anew", async () => {
  await using database = await cloneTemplate();
  assert.equal(await Deno.readTextFile(databaseTypesFile), await generateDatabaseTypes(database.url));
});
