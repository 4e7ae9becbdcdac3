import assert from "node:assert/strict";
import { callersDocument, callersDocumentOf } from "../../tools/generate/callers-document.ts";
import { readDocument } from "./documents.ts";
import { declaredOperations } from "./generate-openapi.ts";

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

Deno.test("docs/security.md has a row for every operation; `deno task generate` writes them anew", async () => {
  const text = await Deno.readTextFile(callersDocument);
  assert.equal(text, callersDocumentOf(text, await declaredOperations()));
});
