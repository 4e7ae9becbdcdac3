import assert from "node:assert/strict";
import { supabase } from "../../local/supabase-cli.ts";
import { cloneTemplate } from "../database/harness.ts";

Deno.test("after our own runner, the CLI's `db push` finds nothing to do", async () => {
  await using database = await cloneTemplate();
  const { code, stdout, stderr } = await supabase(["db", "push", "--include-seed"], database.url);
  assert.equal(code, 0, stderr);
  assert.match(stdout + stderr, /Remote database is up to date/);
});
