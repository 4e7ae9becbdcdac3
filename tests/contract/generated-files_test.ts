import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { withConnection } from "../../local/postgres/database.ts";
import { endpointNames } from "../../tools/generate/endpoint-names.ts";
import { filesFromDatabase } from "../../tools/generate/from-database.ts";
import { jobsDocument } from "../../tools/generate/job-life.ts";
import { metricTypesFile, metricTypesSchema } from "../../tools/generate/metric-types.ts";
import { baselineFile, baselineOf, isBaselineOpen, schemaFiles } from "../../tools/schemas.ts";
import { cloneTemplate } from "../database/harness.ts";

Deno.test("while it is open, the baseline is the files of supabase/schemas in their order; `deno task generate` writes it anew", async () => {
  if (!await isBaselineOpen()) return;
  assert.equal(await Deno.readTextFile(baselineFile), baselineOf(await schemaFiles()));
});

Deno.test("the sets of metrics' labels are what the project has; `deno task generate` writes them anew", async () => {
  const made = metricTypesSchema(await endpointNames(), await schemaFiles());
  assert.equal(await Deno.readTextFile(metricTypesFile), made);
});

for (const { file, make } of filesFromDatabase) {
  const path = fileURLToPath(file).slice(fileURLToPath(new URL("../../", import.meta.url)).length);
  Deno.test(`${path} is what the migrated database says; \`deno task generate\` writes it anew`, async () => {
    await using database = await cloneTemplate();
    const text = await Deno.readTextFile(file);
    const made = await withConnection(database.url, (sql) => make({ sql, url: database.url }, text));
    assert.equal(text, made);
  });
}

Deno.test("a document without a place for a generated part is not overwritten", async () => {
  await using database = await cloneTemplate();
  const { url } = database;
  await withConnection(url, async (sql) => {
    await assert.rejects(jobsDocument.make({ sql, url }, "# Jobs\n"), /no part transitions/);
  });
});
