import assert from "node:assert/strict";
import { readDocuments } from "./documents.ts";

const records = (await readDocuments()).filter(({ path }) => path.startsWith("docs/decisions/"));

const numberOf = (path: string) => /^docs\/decisions\/(\d{4})-[a-z0-9-]+\.md$/.exec(path)?.[1];

Deno.test("decisions are numbered from 1, without gaps and without two of a number", () => {
  const expected = records.map((_, index) => `${index + 1}`.padStart(4, "0"));
  assert.ok(records.length > 0);
  assert.deepEqual(records.map(({ path }) => numberOf(path)), expected);
});

for (const { path, text } of records) {
  Deno.test(`${path} has its number in its title, and says context, decision and consequences`, () => {
    const headings = Array.from(text.matchAll(/^#+ .+$/gm), ([heading]) => heading);
    assert.match(headings[0] ?? "", new RegExp(`^# ${numberOf(path)}: \\S`));
    assert.deepEqual(headings.slice(1), ["## Context", "## Decision", "## Consequences"]);
    const sections = text.split(/^#+ .+$/m).slice(2);
    assert.ok(sections.every((section) => section.trim() !== ""));
  });
}
