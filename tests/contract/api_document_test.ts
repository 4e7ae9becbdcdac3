import assert from "node:assert/strict";
import type { Documentation } from "../../supabase/functions/_shared/endpoint/documentation.ts";
import { apiDocumentOf, apiFile, inOrder } from "./api-document.ts";
import { documentations, openApiFile } from "./generate-openapi.ts";
import { fences, readDocument } from "./documents.ts";

const openApi = JSON.parse(await Deno.readTextFile(openApiFile));

Deno.test("docs/api.md is what openapi.json says; `deno task generate` writes it anew", async () => {
  const text = await Deno.readTextFile(apiFile);
  assert.equal(text, apiDocumentOf(text, openApi, await documentations()));
});

Deno.test("docs/api.md has a section with an example in curl for every operation", async () => {
  const document = await readDocument("docs/api.md");
  const headings = Array.from(
    document.text.matchAll(/^### (\w+) ([\w/{}-]+)$/gm),
    ([, method, name]) => `${method} ${name}`,
  );
  const operations = Object.entries<object>(openApi.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.slice(1)}`)
  );
  assert.deepEqual(headings.toSorted(), operations.sort());
  const examples = fences(document, "sh").filter((text) => text.includes("functions/v1/"));
  assert(examples.length >= operations.length);
});

Deno.test("each endpoint comes after the one that it follows, others last by their names, and none can be lost", () => {
  const following = (follows: string) => ({ GET: { description: "", walk: { follows } } });
  const documented = new Map<string, Documentation>([["a", following("c")], ["b", {}], ["c", {}], [
    "d",
    following("a"),
  ]]);
  assert.deepEqual(inOrder(["d", "b", "a", "c"], documented), ["c", "a", "d", "b"]);
  for (const follows of ["nobody", "b"]) {
    const lost = new Map([...documented]).set("b", following(follows));
    assert.throws(() => inOrder(["a", "b", "c", "d"], lost), /documentation\.ts of b: walk\.follows/);
  }
});
