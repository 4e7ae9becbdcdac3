/** docs/deploying.md, held against the configuration, the database and what health can say. */
import assert from "node:assert/strict";
import { withConnection } from "../../local/postgres/database.ts";
import { migrate } from "../../local/postgres/migrations.ts";
import { contentSecurityPolicy } from "../../local/platform/console.ts";
import { preparePlatform } from "../../local/platform/platform.ts";
import { realtimeGrants, realtimeSchema } from "../../local/platform/realtime/schema.ts";
import { variables } from "../../supabase/functions/_shared/platform/config-variables.ts";
import { missingParts } from "../../supabase/functions/_shared/ops/contract.ts";
import { PlatformCheck } from "../../supabase/functions/health/schema.ts";
import { cloneTemplate, emptyDatabase } from "../database/harness.ts";
import { fences, readDocument, tableRows } from "./documents.ts";

const deploying = await readDocument("docs/deploying.md");

Deno.test("docs/deploying.md's table of secrets is what the configuration says", () => {
  const secrets = Object.entries(variables)
    .filter(([, { kind }]) => kind === "secret")
    .map(([name, { purpose, without }]) => [name, purpose, without]);
  assert.deepEqual(tableRows(deploying, "secret"), secrets);
});

Deno.test("docs/deploying.md has the policy with which the console is tested", () => {
  const header = `Content-Security-Policy: ${contentSecurityPolicy("https://<ref>.supabase.co")}`;
  assert.deepEqual(fences(deploying, "").filter((text) => text.startsWith("Content")), [`${header}\n`]);
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

Deno.test("a project whose Realtime has no table yet is migrated whole, is told so, and mended as docs/deploying.md says", async () => {
  await using database = await emptyDatabase();
  await preparePlatform(database.url);
  await withConnection(database.url, (superuser) => superuser`drop schema realtime cascade`);
  await migrate(database.url);
  await withConnection(database.url, async (superuser) => {
    const policies = async () => {
      const found = await superuser`
        select p.polname, pg_get_expr(p.polqual, p.polrelid) as condition from pg_policy as p
        where p.polrelid = to_regclass('realtime.messages')`;
      return found.map((policy) => ({ ...policy }));
    };
    const isMissing = async () => {
      const [row] = await superuser<{ missing: string[] }[]>`select core.missing_parts() as missing`;
      return row?.missing.includes("realtime_policy");
    };
    assert.deepEqual([await isMissing(), await policies()], [true, []]);
    // A fact is told all the same, though nobody hears it at once.
    await superuser`select events.publish('video.failed', gen_random_uuid(), '{}')`;
    await superuser.unsafe(realtimeSchema).simple();
    await superuser.unsafe(realtimeGrants).simple();
    const [statement = ""] = fences(deploying, "sql").filter((text) => text.startsWith("create policy"));
    await superuser.unsafe(statement);
    assert.equal(await isMissing(), false);
    const mended = await policies();
    await using template = await cloneTemplate();
    const made = await withConnection(
      template.url,
      (sql) =>
        sql`
        select p.polname, pg_get_expr(p.polqual, p.polrelid) as condition from pg_policy as p
        where p.polrelid = 'realtime.messages'::regclass`,
    );
    assert.deepEqual(mended, made.map((policy) => ({ ...policy })));
  });
});
