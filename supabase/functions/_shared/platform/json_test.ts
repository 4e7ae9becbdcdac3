import assert from "node:assert/strict";
import fc from "fast-check";
import { canonicalJson } from "./json.ts";

Deno.test("the canonical text has sorted keys at every depth and no undefined members", () => {
  assert.equal(
    canonicalJson({ b: [{ d: 1, c: null }], a: "ü\n", z: undefined, A: true, __proto__: { x: 1 } }),
    '{"A":true,"a":"ü\\n","b":[{"c":null,"d":1}]}',
  );
  assert.equal(canonicalJson(JSON.parse('{"__proto__":1,"a":2}')), '{"__proto__":1,"a":2}');
});

Deno.test("what JSON cannot hold is refused instead of becoming null", () => {
  for (const value of [NaN, Infinity, undefined, () => 0, [undefined], { a: NaN }]) {
    assert.throws(() => canonicalJson(value), TypeError);
  }
});

Deno.test("equal values have one text, which reads back as the value", () => {
  const shuffled = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(shuffled)
      : typeof value === "object" && value !== null
      ? Object.fromEntries(Object.entries(value).reverse().map(([key, member]) => [key, shuffled(member)]))
      : value;
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    assert.equal(canonicalJson(shuffled(value)), canonicalJson(value));
    assert.deepEqual(JSON.parse(canonicalJson(value)), JSON.parse(JSON.stringify(value)));
  }));
});
