import assert from "node:assert/strict";
import { databaseTypesFile, generateDatabaseTypes } from "../../tools/generate/database-types.ts";
import { baselineFile, baselineOf, isBaselineOpen, schemaFiles } from "../../tools/schemas.ts";
import { cloneTemplate } from "../database/harness.ts";

Deno.test("while it is open, the baseline is the files of supabase/schemas in their order; `deno task generate` writes it anew", async () => {
  if (!await isBaselineOpen()) return;
  assert.equal(await Deno.readTextFile(baselineFile), baselineOf(await schemaFiles()));
});

Deno.test("database.types.ts is what the migrations say; `deno task generate` writes it anew", async () => {
  await using database = await cloneTemplate();
  assert.equal(await Deno.readTextFile(databaseTypesFile), await generateDatabaseTypes(database.url));
});
