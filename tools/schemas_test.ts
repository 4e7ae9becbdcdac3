import assert from "node:assert/strict";
import { baselineIsOpen, baselineOf } from "./schemas.ts";

const baseline = "20261128000100_baseline.sql";

Deno.test("the baseline is open until 1.0.0, and until a migration of more than rows follows it", () => {
  const rows = "20261128000200_reference_rows.sql";
  assert.equal(baselineIsOpen("0.0.0", [baseline, rows, "20270101000000_limits_rows.sql"]), true);
  assert.equal(baselineIsOpen("0.0.0", [baseline, rows, "20270101000000_nickname.sql"]), false);
  assert.equal(baselineIsOpen("1.0.0", [baseline, rows]), false);
  assert.equal(baselineIsOpen("10.2.0", [baseline]), false);
});

Deno.test("the baseline holds the files in their order, each under its path", () => {
  const text = baselineOf([{ path: "b.sql", text: "select 2;\n" }, { path: "a.sql", text: "select 1;\n" }]);
  assert.match(text, /^-- Made from .*\n\n-- b\.sql\n\nselect 2;\n\n-- a\.sql\n\nselect 1;\n$/);
});
