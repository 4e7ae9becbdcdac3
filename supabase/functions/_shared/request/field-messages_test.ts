import assert from "node:assert/strict";
import * as z from "zod/mini";
import { AppError } from "../errors/app-error.ts";
import { validate } from "./validation.ts";

const cases: [what: string, schema: z.ZodMiniType, value: unknown, message: string][] = [
  ["a missing text", z.string(), undefined, "Is missing: must be a text"],
  ["a number for a text", z.string(), 1, "Must be a text"],
  ["null for a text", z.string(), null, "Must be a text"],
  ["a text for a number", z.number(), "1", "Must be a number"],
  ["a query parameter that is no number", z.coerce.number(), "x", "Must be a number"],
  ["a fraction", z.int(), 1.5, "Must be a whole number"],
  ["a text for a boolean", z.boolean(), "true", "Must be true or false"],
  ["a text for a list", z.array(z.string()), "a", "Must be a list"],
  ["a list for an object", z.strictObject({}), [], "Must be an object"],
  ["another word", z.enum(["en", "tr"]), "de", 'Must be one of "en", "tr"'],
  ["a missing word", z.enum(["en", "tr"]), undefined, 'Is missing: must be one of "en", "tr"'],
  ["another literal", z.literal(true), false, "Must be true"],
  ["no UUID", z.guid(), "1", "Must be a UUID"],
  ["no URL", z.url(), "x", "Must be a URL"],
  ["no time", z.iso.datetime({ offset: true }), "today", "Must be a time in ISO 8601, with its offset"],
  ["too small a number", z.int().check(z.minimum(3)), 2, "Must be at least 3"],
  ["zero for a positive number", z.int().check(z.positive()), 0, "Must be more than 0"],
  ["too large a number", z.int().check(z.maximum(600)), 601, "Must be at most 600"],
  ["too short a text", z.string().check(z.minLength(3)), "ab", "Must have at least 3 characters"],
  ["too long a text", z.string().check(z.maxLength(3)), "abcd", "Must have at most 3 characters"],
  ["too long a list", z.array(z.int()).check(z.maxLength(1)), [1, 2], "Must have at most 1 items"],
  ["what its schema explains", z.string().check(z.regex(/^a$/, "Must be an a")), "b", "Must be an a"],
];

for (const [what, schema, value, message] of cases) {
  Deno.test(`the message for ${what} says what is expected`, () => {
    assert.throws(() => validate(schema, value), (error) => {
      assert(error instanceof AppError);
      assert.deepEqual(error.details.fields, [{ path: "", message }]);
      return true;
    });
  });
}
