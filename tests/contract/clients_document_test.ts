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

/** The public methods of a class of the package, as they are called on a Kinora. */
async function callsOf(file: string, className: string, prefix = ""): Promise<string[]> {
  const source = await Deno.readTextFile(new URL(`client/src/${file}`, root));
  const [, body = ""] = source.split(`export class ${className} `);
  const [own = ""] = body.split("\n}\n");
  const methods = [...own.matchAll(/^ {2}(?:async )?\*?([a-z]\w+)(?:<\w+>)?\(/gm)]
    .map(([, name = ""]) => name).filter((name) => name !== "constructor");
  const parts = [...own.matchAll(/^ {2}readonly (\w+): (\w+);$/gm)];
  const deeper = await Promise.all(
    parts.map(([, part = "", name = ""]) => callsOf(`${part}.ts`, name, `${part}.`)),
  );
  return [...methods.map((name) => prefix + name), ...deeper.flat()];
}

Deno.test("the README of the package has every call of its class, and no other", async () => {
  const rows = tableRows(await readDocument("client/README.md"), "").map(([call = "", what = ""]) =>
    `${call} ${what}`
  );
  const told = rows.join(" ").match(/\b[\w.]+(?=\()/g) ?? [];
  assert.deepEqual(
    [...new Set(told)].filter((name) => name !== "api.GET").sort(),
    (await callsOf("kinora.ts", "Kinora")).sort(),
  );
});

/** Types of what the documents' TypeScript stands on. */
const given = `
  import { createClient } from "@supabase/supabase-js";
  export const supabase = createClient("", "");
`;

/** The app's own, which the lines of a README leave out. */
const app = `
  declare const url: string, publishableKey: string, model_id: string, user_id: string, webhook_id: string;
  declare const supabase: import("@kinora/client").Supabase;
  declare function list(rows: object[]): void;
  declare function newDeviceToken(): Promise<string>;
  declare function show(stage: string): void;
`;

Deno.test("the TypeScript of the guide, of docs/api.md and of the READMEs has no type errors", async () => {
  const examples = fences(await readDocument("docs/api.md"), "ts");
  assert(examples.length > 0);
  const calls = examples.map((text) => `export async function _() {\n${text}\nreturn { data, error };\n}`);
  const numbered = calls.map((text, index) => text.replace("_", `example${index}`));
  const readmes = await Promise.all(["README.md", "client/README.md"].map(async (path) => {
    const text = fences(await readDocument(path), "ts").join("\n");
    assert(text.includes("kinora.generate"), path);
    return `${text}\n${app}\nexport { video };`;
  }));
  const files = { guide: fences(guide, "ts").join("\n"), examples: [given, ...numbered].join("\n") };
  const directory = await Deno.makeTempDir();
  try {
    const paths: string[] = [];
    for (const [name, text] of [...Object.entries(files), ...Object.entries(readmes)]) {
      paths.push(`${directory}/${name}.ts`);
      await Deno.writeTextFile(`${directory}/${name}.ts`, text);
    }
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--quiet", "--config=deno.json", ...paths],
      cwd: root,
    }).output();
    assert(success, new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
