/** docs/deploying.md, held against the configuration, the database and what health can say. */
import assert from "node:assert/strict";
import { withConnection } from "../../local/postgres/database.ts";
import { variables } from "../../supabase/functions/_shared/platform/config-variables.ts";
import { missingParts } from "../../supabase/functions/_shared/ops/contract.ts";
import { PlatformCheck } from "../../supabase/functions/health/schema.ts";
import { cloneTemplate } from "../database/harness.ts";
import { readDocument, tableRows } from "./documents.ts";

const deploying = await readDocument("docs/deploying.md");

Deno.test("docs/deploying.md's table of secrets is what the configuration says", () => {
  const secrets = Object.entries(variables)
    .filter(([, { kind }]) => kind === "secret")
    .map(([name, { purpose, without }]) => [name, purpose, without]);
  assert.deepEqual(tableRows(deploying, "secret"), secrets);
});

Deno.test("docs/deploying.md explains every part that health can miss, and no other", () => {
  const explained = tableRows(deploying, "missing").map(([name]) => name);
  assert.deepEqual(explained, [...missingParts, "signing_key"]);
  for (const part of explained) {
    PlatformCheck.parse({ ok: false, duration_ms: 0, missing: [part] });
  }
});

Deno.test("what the database can miss is what the functions know, by the same names", async () => {
  await using database = await cloneTemplate();
  const source = await withConnection(database.url, async (sql) => {
    const [row] = await sql<{ source: string }[]>`
      select prosrc as source from pg_proc where oid = 'core.missing_parts'::regproc`;
    return row?.source ?? "";
  });
  const named = Array.from(source.matchAll(/v_missing \|\| '(\w+)'::text/g), ([, name]) => name);
  assert.deepEqual(named, missingParts);
});

Deno.test("the keys that docs/deploying.md puts into Vault are those that the database reads", async () => {
  await using database = await cloneTemplate();
  const stored = Array.from(
    deploying.text.matchAll(/vault\.create_secret\('[^']+', '(\w+)'\)/g),
    ([, name]) => name,
  );
  const read = await withConnection(database.url, async (sql) => {
    const [row] = await sql<{ source: string }[]>`
      select prosrc as source from pg_proc where oid = 'core.worker_address'::regproc`;
    return Array.from((row?.source ?? "").matchAll(/s\.name = ''(\w+)''/g), ([, name]) => name);
  });
  assert.equal(read.length, 2);
  assert.deepEqual(stored, read);
});
