import assert from "node:assert/strict";
import { withConnection } from "../../local/database.ts";
import { cloneTemplate } from "../database/harness.ts";
import { fences, readDocument, tableRows } from "./documents.ts";

const architecture = await readDocument("docs/architecture.md");

Deno.test("the diagram of a job's life shows the changes that the database allows, and no other", async () => {
  const diagram = fences(architecture, "mermaid").find((text) => text.startsWith("stateDiagram"));
  assert.ok(diagram !== undefined);
  const drawn = Array.from(diagram.matchAll(/^ +(\w+) --> (\w+): /gm), ([, from, to]) => `${from} → ${to}`);

  await using database = await cloneTemplate();
  const rows = await withConnection(database.url, (sql) =>
    sql<{ from: string; to: string }[]>`
      select t.from_status as "from", t.to_status as "to" from public.job_transitions as t`);
  assert.deepEqual(drawn.sort(), rows.map(({ from, to }) => `${from} → ${to}`).sort());
});

Deno.test("the table of schemas names those that the migrations make", async () => {
  await using database = await cloneTemplate();
  // A schema of ours has tables that the migrations' own role made; the platform's are there before.
  const rows = await withConnection(database.url, (sql) =>
    sql<{ name: string }[]>`
      select n.nspname as name from pg_namespace as n
      where n.nspname !~ '^(pg_|information_schema$)'
        and n.nspname not in ('auth', 'storage', 'extensions', 'supabase_migrations')`);
  assert.deepEqual(
    tableRows(architecture, "schema").map(([name]) => name).sort(),
    rows.map(({ name }) => name).sort(),
  );
});
