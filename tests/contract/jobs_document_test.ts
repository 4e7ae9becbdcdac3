import assert from "node:assert/strict";
import { withConnection } from "../../local/postgres/database.ts";
import { cloneTemplate } from "../database/harness.ts";
import { rolledBack } from "../database/support/ledger.ts";
import { fences, readDocument } from "./documents.ts";

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
