import assert from "node:assert/strict";
import { listFiles } from "../files.ts";
import { readDocuments, root } from "./documents.ts";

const documents = await readDocuments();
const files = await listFiles(root);

/** Every match of the pattern's first group in every document, with the document's path. */
function mentions(pattern: RegExp): { path: string; name: string }[] {
  return documents.flatMap(({ path, text }) =>
    Array.from(text.matchAll(pattern), ([, name = ""]) => ({ path, name }))
  );
}

Deno.test("every task that a document names exists", async () => {
  const { tasks }: { tasks: Record<string, string> } = JSON.parse(
    await Deno.readTextFile(new URL("deno.json", root)),
  );
  const named = mentions(/\bdeno(?:@[\d.]+)? task (?:-\S+ )*([\w:-]+)/g);
  assert.ok(named.some(({ path, name }) => path === "README.md" && name === "demo"));
  assert.deepEqual(named.filter(({ name }) => !Object.hasOwn(tasks, name)), []);
});

Deno.test("every link of a document leads to a file or a folder", async () => {
  const links = mentions(/\]\(([^)#\s]+)[^)]*\)/g).filter(({ name }) => !/^https?:/.test(name));
  assert.ok(links.length > 0);
  const broken: string[] = [];
  for (const { path, name } of links) {
    const target = new URL(name, new URL(path, root));
    await Deno.stat(target).catch(() => broken.push(`${path}: ${name}`));
  }
  assert.deepEqual(broken, []);
});

/** Whether a file or folder is there by this path, or by the end of its path. A `*` stands for a part of a name. */
function exists(name: string): boolean {
  const pattern = name.replace(/\/$/, "").split("*").map((part) => RegExp.escape(part)).join("[^/]*");
  const expression = new RegExp(`(^|/)${pattern}(/|$)`);
  return files.some((file) => expression.test(file));
}

Deno.test("every file that a document names in code exists", () => {
  // Blocks, fenced or indented, and what stands in backticks.
  const code = /^```\w*\n(.*?)^```$|^ {4}(.+)$|`([^`\n]+)`/gms;
  // By a folder of ours, or by a kind of file that we write. What holds a <placeholder> names nothing.
  const folder = /(?<![\w./<>$@-])(?:supabase|local|tests|docs|bench|\.ci|\.github)\/[\w.*/-]*(?![\w<])/g;
  const file = /(?<![\w./<>$@-])[\w*][\w.*/-]*\.(?:ts|sql|md|json|toml|ya?ml)\b(?![\w<(])/g;
  const named = documents.flatMap(({ path, text }) =>
    Array.from(text.matchAll(code), ([, ...groups]) => groups.find((group) => group !== undefined) ?? "")
      .flatMap((part) => [...part.matchAll(folder), ...part.matchAll(file)])
      .map(([name]) => ({ path, name }))
  );
  assert.ok(named.length > 0);
  assert.deepEqual(named.filter(({ name }) => !exists(name)), []);
});

Deno.test("every document that a source file names exists", async () => {
  const missing: string[] = [];
  for (const path of files.filter((path) => /\.(ts|sql|toml|ya?ml)$|^\.ci\//.test(path))) {
    for (const [name] of (await Deno.readTextFile(new URL(path, root))).matchAll(/\bdocs\/[\w./-]+\.md\b/g)) {
      if (!files.includes(name)) missing.push(`${path}: ${name}`);
    }
  }
  assert.deepEqual(missing, []);
});
