import assert from "node:assert/strict";
import { withConnection } from "../../local/postgres/database.ts";
import { supabase } from "../../local/supabase-cli.ts";
import { cloneTemplate } from "../database/harness.ts";

interface Finding {
  name: string;
  level: string;
  metadata: { schema?: string; name?: string };
}

/**
 * What `supabase db advisors` warns of, as "name of the rule: schema.object", but for what it only mentions, and for what
 * docs/decisions/0012-hot-functions.md argues: a function whose SQL-standard body is bound needs no search_path.
 */
async function warnings(url: string): Promise<string[]> {
  const { stdout, stderr } = await supabase(["db", "advisors", "--output-format=json"], url);
  const { results }: { results?: Finding[] } = JSON.parse(stdout || "{}");
  assert.ok(results !== undefined, `The advisors gave no results: ${stderr}`);

  // A rule's finding names no arguments, so every function of the name must be bound.
  const bound = await withConnection(url, (sql) =>
    sql<{ name: string }[]>`
      select format('%s.%s', pronamespace::regnamespace, proname) as name
        from pg_proc group by 1 having bool_and(prosqlbody is not null)`);
  // Nor can a procedure that commits have one; privileges_test.ts names them.
  const committing = ["core.run_task", "core.tick"].map((name) => ({ name }));
  const accepted = new Set(
    [...bound, ...committing].map(({ name }) => `function_search_path_mutable: ${name}`),
  );
  return results
    .filter(({ level }) => level !== "INFO")
    .map(({ name, metadata }) => `${name}: ${metadata.schema}.${metadata.name}`)
    .filter((warning) => !accepted.has(warning))
    .sort();
}

Deno.test("the advisors find nothing to warn of in the migrated database", async () => {
  await using database = await cloneTemplate();
  assert.deepEqual(await warnings(database.url), []);
});

Deno.test("the advisors would find a table that anybody may read, and a function that follows its caller's search_path", async () => {
  await using database = await cloneTemplate();
  await withConnection(database.url, (sql) =>
    sql`
      create table api.forgotten (id integer);
      grant select on api.forgotten to anon;
      create function api.unbound() returns integer language sql as 'select 1';
      create function api.bound() returns integer language sql return 1;
    `.simple());
  assert.deepEqual(await warnings(database.url), [
    "function_search_path_mutable: api.unbound",
    "rls_disabled_in_public: api.forgotten",
  ]);
});
