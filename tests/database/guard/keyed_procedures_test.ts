import assert from "node:assert/strict";
import { withConnection } from "../../../local/postgres/database.ts";
import { declaredOperations } from "../../contract/generate-openapi.ts";
import { cloneTemplate } from "../harness.ts";

Deno.test("each keyed endpoint has a procedure that claims its key first and finishes with it, and no other does", async () => {
  await using database = await cloneTemplate();
  const procedures = await withConnection(
    database.url,
    (sql) =>
      sql<{ name: string; caller: string; source: string }[]>`
      select p.proname as name, p.proargnames[1] as caller, p.prosrc as source
      from pg_proc as p
      where p.pronamespace = 'api'::regnamespace and 'p_idempotency_key' = any (p.proargnames)`,
  );
  const keyed = [...await declaredOperations()]
    .filter(([, operations]) => operations.some(({ idempotencyKey }) => idempotencyKey === "required"))
    .map(([endpoint]) => endpoint.replaceAll("-", "_"));
  assert.ok(keyed.length > 0);
  assert.deepEqual(procedures.map(({ name }) => name).sort(), keyed.sort());
  for (const { name, caller, source } of procedures) {
    // The caller is the first argument. The work stands between claim and finish, and nothing follows but the caller's language.
    assert.match(caller, /^p_(user|admin)_id$/, name);
    assert.ok(
      source.includes(
        `guard.claim(${caller}, '${name.replaceAll("_", "-")}', p_idempotency_key, p_fingerprint)`,
      ),
      name,
    );
    assert.match(source, /guard\.claim\([\s\S]+guard\.finish\([\s\S]+return/, name);
  }
});
