import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { patience } from "../local/testing/patience.ts";
import { type Count, countJUnit, denoTest } from "./deno-test.ts";

/** Runs one test file of the given text, as the tiers do. */
async function run(text: string, filter?: string, timeLimit = patience): Promise<Count> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/some_test.ts`, text);
    return await denoTest({
      root: pathToFileURL(`${folder}/`),
      files: ["some_test.ts"],
      permissions: [],
      filter,
      env: {},
      timeLimit,
      // A failure that is wanted would look like one that is not.
      onOutput: () => {},
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("passed and failed tests are counted", async () => {
  const text = `
    Deno.test("good", () => {});
    Deno.test("bad", () => { throw new Error("expected here"); });
    Deno.test("left out", { ignore: true }, () => {});
  `;
  assert.deepEqual(await run(text), { passed: 1, failed: 1 });
  assert.deepEqual(await run(text, "good"), { passed: 1, failed: 0 });
});

Deno.test("a file that does not load is a failure", async () => {
  assert.deepEqual(await run('import "./missing.ts";'), { passed: 0, failed: 1 });
});

Deno.test("what a test may not do is a failure", async () => {
  const text = `Deno.test("curious", () => { Deno.env.get("HOME"); });`;
  assert.deepEqual(await run(text), { passed: 0, failed: 1 });
});

Deno.test("a test that hangs is ended, and a failure", async () => {
  assert.deepEqual(await run('Deno.test("endless", () => { for (;;); });', undefined, 1000), {
    passed: 0,
    failed: 1,
  });
});

Deno.test("a run that ended badly without a failed test is a failure too", () => {
  const report = '<testsuites name="deno test" tests="5" failures="0" errors="0" time="0.006"></testsuites>';
  assert.deepEqual(countJUnit(report, false), { passed: 5, failed: 1 });
});
