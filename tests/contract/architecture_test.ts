import assert from "node:assert/strict";
import { withConnection } from "../../local/postgres/database.ts";
import { cloneTemplate } from "../database/harness.ts";
import { readDocument, tableRows } from "./documents.ts";

const architecture = await readDocument("docs/architecture.md");

Deno.test("the table of schemas names those that the migrations make", async () => {
  await using database = await cloneTemplate();
  // The platform's are there before, `public` among them, which stays empty.
  const rows = await withConnection(database.url, (sql) =>
    sql<{ name: string }[]>`
      select n.nspname as name from pg_namespace as n
      where n.nspname !~ '^(pg_|information_schema$)'
        and n.nspname not in ('auth', 'storage', 'realtime', 'extensions', 'public', 'supabase_migrations')`);
  assert.deepEqual(
    tableRows(architecture, "schema").map(([name]) => name).sort(),
    rows.map(({ name }) => name).sort(),
  );
});
