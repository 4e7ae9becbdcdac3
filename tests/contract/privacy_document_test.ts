import assert from "node:assert/strict";
import { withConnection } from "../../local/postgres/database.ts";
import { cloneTemplate } from "../database/harness.ts";
import { fences, readDocument } from "./documents.ts";

Deno.test("the queries of docs/privacy.md run", async () => {
  await using database = await cloneTemplate();
  const queries = fences(await readDocument("docs/privacy.md"), "sql");
  assert.equal(queries.length, 2);
  for (const query of queries) await withConnection(database.url, (sql) => sql.unsafe(query));
});
