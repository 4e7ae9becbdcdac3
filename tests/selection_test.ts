import assert from "node:assert/strict";
import { NoSuchTest, select, type Wanted } from "./selection.ts";

const files = [
  "README.md",
  "local/ports_test.ts",
  "supabase/functions/models/service_test.ts",
  "supabase/tests/core/ids.sql",
  "tests/contract/openapi_test.ts",
  "tests/database/credits/ledger_test.ts",
  "tests/database/harness.ts",
  "tests/e2e/crash_test.ts",
  "tests/e2e/models_test.ts",
];

/** What runs, as `tier: files`; an end-to-end test on the platform's Deno is one of the tier `platform`. */
function passes(wanted: Partial<Wanted>): string[] {
  const chosen = select(
    { words: [], long: false, platform: false, ...wanted },
    files,
    (file) => /crash|ledger/.test(file),
  );
  return chosen.map(({ name, files, onPlatform }) => `${onPlatform ? "platform" : name}: ${files.join(" ")}`);
}

const all = [
  "unit: supabase/functions/models/service_test.ts",
  "database: supabase/tests/core/ids.sql",
  "unit, contract, database, e2e: local/ports_test.ts tests/contract/openapi_test.ts " +
  "tests/database/credits/ledger_test.ts tests/e2e/crash_test.ts tests/e2e/models_test.ts",
];
const onPlatform = "platform: tests/e2e/crash_test.ts tests/e2e/models_test.ts";

Deno.test("without a word every test file runs once, together with those that may do the same", () => {
  assert.deepEqual(passes({}), all);
});

Deno.test("tiers and paths unite", () => {
  assert.deepEqual(passes({ words: ["database", "tests/e2e/models_test.ts"] }), [
    "database: supabase/tests/core/ids.sql",
    "database, e2e: tests/database/credits/ledger_test.ts tests/e2e/models_test.ts",
  ]);
  assert.deepEqual(passes({ words: ["models", "contract"] }), [
    "unit: supabase/functions/models/service_test.ts",
    "contract, e2e: tests/contract/openapi_test.ts tests/e2e/models_test.ts",
  ]);
});

Deno.test("a word that is no tier and in no test file's path is refused, also beside one that is", () => {
  const words = [["ledgre"], ["unit", "tests/e2e/missing_test.ts"], ["README.md"], [
    "tests/database/harness.ts",
  ]];
  for (const wrong of words) {
    assert.throws(() => passes({ words: wrong }), (error) => {
      assert(error instanceof NoSuchTest, `${error}`);
      assert(error.message.startsWith(`"${wrong.at(-1)}" is neither a tier (unit, `), error.message);
      return true;
    });
  }
});

Deno.test("--long runs what else is only a sample, and the end-to-end tests only on what is deployed", () => {
  assert.deepEqual(passes({ long: true }), [
    "platform: tests/database/credits/ledger_test.ts tests/e2e/crash_test.ts tests/e2e/models_test.ts",
  ]);
  assert.deepEqual(passes({ long: true, words: ["models_test"] }), ["e2e: tests/e2e/models_test.ts"]);
});

Deno.test("--platform runs end-to-end tests alone, and refuses what is none", () => {
  for (const long of [false, true]) {
    assert.deepEqual(passes({ long, platform: true }), [onPlatform]);
    assert.deepEqual(passes({ long, platform: true, words: ["crash"] }), [
      "platform: tests/e2e/crash_test.ts",
    ]);
  }
  for (const word of ["database", "ledger"]) {
    assert.throws(
      () => passes({ platform: true, words: [word] }),
      /nor in the path of an end-to-end test\.$/,
    );
  }
});
