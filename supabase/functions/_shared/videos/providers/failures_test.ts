import assert from "node:assert/strict";
import { codesIn } from "./failures.ts";

Deno.test("a code is words, and what else comes in its place may quote the prompt", () => {
  const codes = ["runner_server_error", "value_error.missing", "INTERNAL.BAD_OUTPUT", "too_big"];
  const others = [
    "a red fox",
    "a@example.com",
    "4111111111111111",
    "",
    "_",
    "red-fox",
    "a_".repeat(40) + "a",
  ];
  assert.deepEqual(codesIn([...others, ...codes, ...others]), codes);
});
