import assert from "node:assert/strict";
import { withConnection } from "../../local/database.ts";
import { privacyDocument, privacyDocumentOf, readRetentionRules } from "../../local/retention-document.ts";
import { cloneTemplate } from "../database/harness.ts";
import { fences, readDocument } from "./documents.ts";

Deno.test("docs/privacy.md shows the rules of retention as the database has them; `deno task generate` writes them anew", async () => {
  await using database = await cloneTemplate();
  const rules = await withConnection(database.url, readRetentionRules);
  const text = await Deno.readTextFile(privacyDocument);
  assert.equal(text, privacyDocumentOf(text, rules));
});

Deno.test("the query of docs/privacy.md runs", async () => {
  await using database = await cloneTemplate();
  const queries = fences(await readDocument("docs/privacy.md"), "sql");
  assert.equal(queries.length, 1);
  await withConnection(database.url, (sql) => sql.unsafe(queries[0] ?? ""));
});
