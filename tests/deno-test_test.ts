import assert from "node:assert/strict";
import { countJUnit } from "./deno-test.ts";

const report = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="5" failures="2" errors="0" time="0.006">
    <testsuite name="./a_test.ts" tests="5" disabled="1" errors="0" failures="2">
        <testcase name="c" time="0.000"><skipped/></testcase>
    </testsuite>
</testsuites>`;

Deno.test("a report's ignored tests count neither as passed nor as failed", () => {
  assert.deepEqual(countJUnit(report, false), { passed: 2, failed: 2 });
});

Deno.test("a run that ended badly without a report is a failure", () => {
  assert.deepEqual(countJUnit("", false), { passed: 0, failed: 1 });
});
