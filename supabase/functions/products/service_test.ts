import assert from "node:assert/strict";

Deno.test("GET products does what it promises", () => {
  assert.fail("To be written: a test for each thing that the service of GET products promises");
});
