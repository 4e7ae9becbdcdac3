import assert from "node:assert/strict";
import { withConnection } from "../../local/postgres/database.ts";
import {
  jobsDocument,
  jobsDocumentOf,
  jobStatusFile,
  jobStatusTypes,
  readJobLife,
} from "../../tools/generate/job-life.ts";
import { cloneTemplate } from "../database/harness.ts";
import { rolledBack } from "../database/support/ledger.ts";
import { fences, readDocument } from "./documents.ts";

Deno.test("job-status.ts is what the database allows; `deno task generate` writes it anew", async () => {
  await using database = await cloneTemplate();
  const life = await withConnection(database.url, readJobLife);
  assert.equal(await Deno.readTextFile(jobStatusFile), jobStatusTypes(life));
});

Deno.test("docs/jobs.md shows transitions and tasks as the database has them; `deno task generate` writes them anew", async () => {
  await using database = await cloneTemplate();
  const life = await withConnection(database.url, readJobLife);
  const text = await Deno.readTextFile(jobsDocument);
  assert.equal(text, jobsDocumentOf(text, life));
});

Deno.test("a document without a place for a generated part is not overwritten", async () => {
  await using database = await cloneTemplate();
  const life = await withConnection(database.url, readJobLife);
  assert.throws(() => jobsDocumentOf("# Jobs\n", life), /no part transitions/);
});

Deno.test("the queries of docs/jobs.md run", async () => {
  await using database = await cloneTemplate();
  const queries = fences(await readDocument("docs/jobs.md"), "sql");
  assert.ok(queries.length > 0);
  await withConnection(database.url, (sql) =>
    rolledBack(sql, async (sql) => {
      for (const query of queries) {
        await sql.unsafe(query.replaceAll("<job id>", crypto.randomUUID()).replaceAll("<task id>", "1"));
      }
    }));
});
