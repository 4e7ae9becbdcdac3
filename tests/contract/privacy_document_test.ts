import assert from "node:assert/strict";
import { withConnection } from "../../local/postgres/database.ts";
import {
  privacyDocument,
  privacyDocumentOf,
  readPrivacyClasses,
  readRetentionRules,
} from "../../tools/generate/privacy-document.ts";
import { cloneTemplate } from "../database/harness.ts";
import { fences, readDocument } from "./documents.ts";

Deno.test("docs/privacy.md shows classes and rules of retention as the database has them; `deno task generate` writes them anew", async () => {
  await using database = await cloneTemplate();
  const rules = await withConnection(database.url, readRetentionRules);
  const classes = await withConnection(database.url, readPrivacyClasses);
  const text = await Deno.readTextFile(privacyDocument);
  assert.equal(text, privacyDocumentOf(text, rules, classes));
});

Deno.test("the query of docs/privacy.md runs", async () => {
  await using database = await cloneTemplate();
  const queries = fences(await readDocument("docs/privacy.md"), "sql");
  assert.equal(queries.length, 1);
  await withConnection(database.url, (sql) => sql.unsafe(queries[0] ?? ""));
});
