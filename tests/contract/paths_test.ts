/** A clone may lie in any folder: the path of a URL is encoded, and no path of a file. */
import assert from "node:assert/strict";
import { listFiles } from "../files.ts";

const root = new URL("../../", import.meta.url);

/** Where a URL of a file gives its path, and what it is then: "%C3%A9" for "é", "%20" for a space. */
const encodedPath =
  /import\.meta\.url\)\.pathname|import\.meta\.resolve\([^)]*\)\.pathname|\b(?:Deno\.\w+|spawnSupervised|Command)\([^()]*\.pathname|`file:\/\/\$\{/g;

function encodedPaths(text: string): string[] {
  return [...text.matchAll(encodedPath)].map(([found]) => found);
}

/** Those where the other way round is meant: a pattern about URLs, and a specifier. */
const allowed = ["tests/contract/paths_test.ts"];

Deno.test("no source takes the path of a URL for the path of a file, nor the other way round", async () => {
  const found: string[] = [];
  for (const path of await listFiles(root)) {
    if (!/^(local|tools|tests|bench)\/.+\.ts$/.test(path) || allowed.includes(path)) continue;
    const text = await Deno.readTextFile(new URL(path, root));
    found.push(
      ...encodedPaths(text).map((place) => `${path}: ${place} (use fileURLToPath or pathToFileURL)`),
    );
  }
  assert.deepEqual(found, []);
});

Deno.test("what the rule looks for is found", () => {
  for (
    const text of [
      'new URL("..", import.meta.url).pathname',
      "await Deno.readTextFile(file.pathname)",
      "new Deno.Command(script.pathname, { args })",
      "new URL(`file://${folder}/x`)",
    ]
  ) assert.equal(encodedPaths(text).length, 1, text);
  for (const text of ["new URL(request.url).pathname", "fileURLToPath(new URL(path, root))"]) {
    assert.deepEqual(encodedPaths(text), [], text);
  }
});

/** Of the local stack's sources: tests and measurements of what a process uses are for Linux alone, and say so. */
const forLinuxAlone = ["local/processes/process-usage.ts"];

Deno.test("what only Linux has is used where the system has been asked for", async () => {
  const found: string[] = [];
  for (const path of await listFiles(root)) {
    if (!/^local\/.+(?<!_test)\.ts$/.test(path) || forLinuxAlone.includes(path)) continue;
    const text = await Deno.readTextFile(new URL(path, root));
    if (/["'`]\/(proc|etc|var|dev\/shm|usr\/lib)\b/.test(text) && !text.includes("systemIsLinux")) {
      found.push(path);
    }
  }
  assert.deepEqual(found, []);
});
