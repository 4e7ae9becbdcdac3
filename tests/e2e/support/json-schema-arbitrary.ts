/** Values that a JSON Schema describes, and such that it nearly does, for tests that fuzz. */
import fc from "fast-check";
import type * as z from "zod";

type JsonSchema = z.core.JSONSchema._JSONSchema;

/** Values that mean something to the backend under test, by the name of the field that takes them. */
export type Known = Readonly<Record<string, readonly unknown[]>>;

/** Strings beyond it only take time: what is too long is tried as such. */
const maxString = 3_000;

/** Values that the schema describes; a field that is known by name has mostly what is known. */
export function arbitraryOf(schema: JsonSchema, known: Known = {}): fc.Arbitrary<unknown> {
  if (typeof schema === "boolean") return oddValues;
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map((each) => arbitraryOf(each, known)));
  const { type } = schema as { type?: unknown };
  if (Array.isArray(type)) {
    return fc.oneof(...type.map((each) => arbitraryOf({ ...schema, type: each }, known)));
  }
  switch (schema.type) {
    case "string":
      return stringOf(schema);
    case "integer":
      return fc.integer(boundsOf(schema));
    case "number":
      return fc.double({ ...boundsOf(schema), noNaN: true, noDefaultInfinity: true });
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "array":
      return fc.array(arbitraryOf(Array.isArray(schema.items) ? true : schema.items ?? true, known), {
        maxLength: 5,
      });
    case "object":
      return objectOf(schema, known);
    case undefined:
      return fc.jsonValue();
    default:
      throw new Error(`No values are made for ${JSON.stringify(schema)}`);
  }
}

function stringOf(
  { pattern, format, minLength = 0, maxLength = maxString }: z.core.JSONSchema.BaseSchema,
) {
  const constraints = { minLength, maxLength: Math.min(maxLength, maxString) };
  // Its expression is of a kind that fast-check cannot reverse.
  if (format === "base64") return fc.base64String(constraints);
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern));
  return fc.oneof(
    fc.string(constraints),
    fc.string({ ...constraints, unit: "binary" }),
    // Whoever counts code units, code points or bytes finds the limit elsewhere.
    fc.constantFrom("a", "é", "e\u0301", "🦊").map((text) => text.repeat(maxLength).slice(0, maxLength)),
  );
}

function boundsOf({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: z.core.JSONSchema.BaseSchema) {
  return {
    min: minimum ?? (typeof exclusiveMinimum === "number" ? exclusiveMinimum + 1 : -1_000_000),
    max: maximum ?? (typeof exclusiveMaximum === "number" ? exclusiveMaximum - 1 : 1_000_000),
  };
}

function objectOf(
  { properties = {}, required = [] }: z.core.JSONSchema.BaseSchema,
  known: Known,
): fc.Arbitrary<object> {
  const members = Object.entries(properties).map(([name, schema]) => {
    const described = arbitraryOf(schema, known);
    const values = known[name];
    return [name, values ? mostly(fc.constantFrom(...values), described) : described] as const;
  });
  return fc.record(Object.fromEntries(members), { requiredKeys: [...required], noNullPrototype: true });
}

function mostly<T>(common: fc.Arbitrary<T>, rare: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight: 4, arbitrary: common }, { weight: 1, arbitrary: rare });
}

/** Texts that have broken parsers, databases and terminals. */
const oddTexts = [
  "",
  " ",
  "\u0000",
  "a\u0000b",
  "\ud800",
  "\udfff\ud800",
  "\u202eabc\u202c",
  "\ufeff",
  "\u0085\u2028",
  "e\u0301".repeat(20_000),
  "🦊".repeat(10_000),
  "'; drop table users; --",
  "%00%0a",
  "{{7*7}}",
  "../../etc/passwd",
  "__proto__",
  "0",
  "null",
  "2026-02-30T25:61:61.000Z",
  "00000000-0000-0000-0000-000000000000",
  "ffffffff-ffff-ffff-ffff-ffffffffffff",
];

/** Numbers at the limits of what Postgres, JSON and IEEE 754 hold. */
const oddNumbers = [
  ...[0, -0, -1, 0.5, 1e-300, 1e300],
  ...[2 ** 31 - 1, 2 ** 31, -(2 ** 31) - 1, 2 ** 53, 2 ** 63, Number.MIN_SAFE_INTEGER],
];

/** Anything that JSON holds. */
export const oddValues: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom<unknown>(...oddTexts, ...oddNumbers),
  fc.constantFrom<unknown>(null, true, [], {}, [[]], { "__proto__": 1 }, { constructor: { prototype: {} } }),
);

/** Values of the arbitrary with some of their members taken away, replaced, or added. */
export function mangled(arbitrary: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const change = fc.record({
    at: fc.nat(),
    name: fc.oneof(
      fc.string(),
      fc.constantFrom("user_id", "is_admin", "__proto__", "constructor", "toString"),
    ),
    kind: fc.constantFrom("remove", "replace", "add"),
    value: oddValues,
  });
  return fc.tuple(arbitrary, fc.array(change, { minLength: 1, maxLength: 3 })).map(([value, changes]) => {
    const result: unknown = structuredClone(value);
    for (const { at, name, kind, value } of changes) {
      const objects = objectsOf(result);
      const target = objects[at % objects.length];
      if (target === undefined) continue;
      const names = Object.keys(target);
      const member = kind === "add" ? name : names[at % names.length];
      if (member === undefined) continue;
      if (kind === "remove") delete target[member];
      else put(target, member, value);
    }
    return result;
  });
}

/** Unlike an assignment, it makes a member of `__proto__`, as JSON.parse does. */
function put(target: object, name: string, value: unknown): void {
  // A copy, which may be changed in its turn.
  const member = { value: structuredClone(value), configurable: true, enumerable: true, writable: true };
  Object.defineProperty(target, name, member);
}

/** The objects in a value, the outermost first. */
function objectsOf(value: unknown): Record<string, unknown>[] {
  if (Array.isArray(value)) return value.flatMap(objectsOf);
  if (!isRecord(value)) return [];
  return [value, ...Object.values(value).flatMap(objectsOf)];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
