import assert from "node:assert/strict";

Deno.test("POST app-store-notifications does what it promises", () => {
  assert.fail(
    "To be written: a test for each thing that the service of POST app-store-notifications promises",
  );
});
