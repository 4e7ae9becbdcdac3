import assert from "node:assert/strict";

Deno.test("GET purchases does what it promises", () => {
  assert.fail("To be written: a test for each thing that the service of GET purchases promises");
});

Deno.test("POST purchases does what it promises", () => {
  assert.fail("To be written: a test for each thing that the service of POST purchases promises");
});
