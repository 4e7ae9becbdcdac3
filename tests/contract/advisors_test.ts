import assert from "node:assert/strict";
import { withConnection } from "../../local/database.ts";
import { supabase } from "../../local/supabase-cli.ts";
import { cloneTemplate } from "../database/harness.ts";

interface Finding {
  name: string;
  level: string;
  detail: string;
}

/** What `supabase db advisors` finds, but for what it only mentions. */
async function findings(url: string): Promise<Finding[]> {
  const { stdout, stderr } = await supabase(["db", "advisors", "--output-format=json"], url);
  const { results }: { results?: Finding[] } = JSON.parse(stdout || "{}");
  assert.ok(results !== undefined, `The advisors gave no results: ${stderr}`);
  return results.filter(({ level }) => level !== "INFO");
}

Deno.test("the advisors find nothing to warn of in the migrated database", async () => {
  await using database = await cloneTemplate();
  assert.deepEqual(await findings(database.url), []);
});

Deno.test("the advisors would find a table that anybody may read", async () => {
  await using database = await cloneTemplate();
  await withConnection(
    database.url,
    (sql) =>
      sql`create table public.forgotten (id integer); grant select on public.forgotten to anon`.simple(),
  );
  assert.deepEqual((await findings(database.url)).map(({ name }) => name), ["rls_disabled_in_public"]);
});
