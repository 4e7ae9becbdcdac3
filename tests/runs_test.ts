import assert from "node:assert/strict";
import { cases, longVariable, runs, spread } from "./runs.ts";

Deno.test("a sample has as many as were asked for, the first and the last among them, at equal steps", () => {
  const all = Array.from({ length: 100 }, (_, place) => place);
  assert.deepEqual(spread(4, all), [0, 33, 66, 99]);
  assert.deepEqual(spread(1, all), [0]);
  assert.deepEqual(spread(200, all), all);
  for (let count = 1; count <= all.length; count++) {
    assert.equal(
      new Set(spread(count, all)).size,
      count,
      `a sample of ${count} has ${count} different entries`,
    );
  }
});

Deno.test("only the long tests try everything", () => {
  const isLong = Deno.env.get(longVariable) !== undefined;
  assert.equal(runs(3, 1_000), isLong ? 1_000 : 3);
  assert.deepEqual(cases(2, ["a", "b", "c"]), isLong ? ["a", "b", "c"] : ["a", "c"]);
});
