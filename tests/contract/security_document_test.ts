import assert from "node:assert/strict";
import { readDocument } from "./documents.ts";

/** What stands under `[section]` of config.toml. */
async function section(name: string): Promise<string> {
  const { text } = await readDocument("supabase/config.toml");
  const [, block = ""] = new RegExp(`^\\[${RegExp.escape(name)}\\]\\n((?:(?!\\[).*\\n?)*)`, "m").exec(text) ??
    [];
  return block;
}

Deno.test("Auth limits accounts as docs/security.md says, and gives none for an address that is not proved", async () => {
  const { text } = await readDocument("docs/security.md");
  const [, limit] = /^anonymous_users = (\d+)$/m.exec(await section("auth.rate_limit")) ?? [];
  assert(limit !== undefined && text.includes(`limits that to ${limit} an hour for each address`));
  assert.match(await section("auth.email"), /^enable_confirmations = true$/m);
});
