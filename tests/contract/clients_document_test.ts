import assert from "node:assert/strict";
import { errorCodes } from "../../supabase/functions/_shared/errors/error-codes.ts";
import { actionWords } from "./api-document.ts";
import { fences, readDocument, root, tableRows } from "./documents.ts";

const guide = await readDocument("docs/clients.md");

Deno.test("the guide for clients says what to do with every error code, as the registry does", () => {
  const registry = Object.entries(actionWords).map(([action, words]) => [
    words,
    Object.entries(errorCodes).filter(([, definition]) => definition.action === action).map(([code]) => code),
  ]);
  const told = tableRows(guide, "do").map(([words = "", codes = ""]) => [words, codes.split(", ")]);
  assert.deepEqual(Object.fromEntries(told), Object.fromEntries(registry));
});

Deno.test("the code of the guide retries with the same key after exactly those codes that allow it", () => {
  const [, list = ""] = /^const sameKeyLater = (\[.+\]);$/m.exec(guide.text) ?? [];
  const retried = Object.entries(errorCodes).filter(([, { action }]) => action === "same_key_later");
  assert.deepEqual(JSON.parse(list), retried.map(([code]) => code));
});

/** Types of what the documents' TypeScript stands on. */
const given = `
  import { createClient } from "@supabase/supabase-js";
  export const supabase = createClient("", "");
`;

Deno.test("the TypeScript of the guide and of docs/api.md has no type errors", async () => {
  const examples = fences(await readDocument("docs/api.md"), "ts");
  assert(examples.length > 0);
  const calls = examples.map((text) => `export async function _() {\n${text}\nreturn { data, error };\n}`);
  const numbered = calls.map((text, index) => text.replace("_", `example${index}`));
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${directory}/guide.ts`, fences(guide, "ts").join("\n"));
    await Deno.writeTextFile(`${directory}/examples.ts`, [given, ...numbered].join("\n"));
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--quiet", "--config=deno.json", `${directory}/guide.ts`, `${directory}/examples.ts`],
      cwd: root,
    }).output();
    assert(success, new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
