import assert from "node:assert/strict";
import { listFiles } from "../files.ts";

const root = new URL("../../", import.meta.url);

/** Where the words are the generator's own. */
const own =
  /^tools\/(new|templates\/)|^tests\/contract\/(new|to_be_written)_test\.ts$|^docs\/api\/|^docs\/api\.md$|_baseline\.sql$/;

Deno.test("nothing that `deno task new` left to be written is left", async () => {
  const left: string[] = [];
  for (const path of (await listFiles(root)).filter((path) => /\.(ts|sql)$/.test(path) && !own.test(path))) {
    const lines = (await Deno.readTextFile(new URL(path, root))).split("\n");
    for (const [index, line] of lines.entries()) {
      const [, what] = /To be written: (.+)/.exec(line) ?? [];
      if (what !== undefined) left.push(`${path}:${index + 1} ${what}`);
    }
  }
  assert.deepEqual(left, []);
});
