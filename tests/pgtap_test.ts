import assert from "node:assert/strict";
import { readTap } from "./pgtap.ts";

Deno.test("passed assertions and known gaps pass", () => {
  assert.deepEqual(readTap("1..3\nok 1 - a\nnot ok 2 - b # TODO later\nok 3 # SKIP"), {
    passed: 3,
    failures: [],
  });
});

Deno.test("a failed assertion is told with its diagnostics", () => {
  const output =
    '1..2\nnot ok 1 - a\n# Failed test 1: "a"\n#         have: 1\nok 2 - b\n# Looks like you failed';
  assert.deepEqual(readTap(output), {
    passed: 1,
    failures: ['not ok 1 - a\n# Failed test 1: "a"\n#         have: 1'],
  });
});

Deno.test("a file that stops before its plan is done fails", () => {
  assert.deepEqual(readTap("1..3\nok 1\nok 2").failures, ["Planned 3 assertions, but ran 2"]);
});

Deno.test("a file without a plan fails", () => {
  assert.deepEqual(readTap("hello").failures, ["Planned no assertions, but ran 0"]);
});
