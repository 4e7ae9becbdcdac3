import assert from "node:assert/strict";
import { Reason } from "./contract.ts";

Deno.test("a reason has 3 to 500 characters, as people and Postgres count them, and may have lines", () => {
  const read = (text: string) => Reason.safeParse(text);
  assert.equal(read("  it flickers\nall the time ").data, "it flickers\nall the time");
  assert.equal(read("why").success, true);
  assert.equal(read("🦊".repeat(500)).success, true);
  for (const text of ["", "no", " no ", "🦊🦊", "x".repeat(501), "a \u0000 b", "a \u202e b", "a \ud83e b"]) {
    assert.equal(read(text).success, false, JSON.stringify(text));
  }
});
