import assert from "node:assert/strict";
import {
  fillTemplate,
  negotiateLanguage,
  negotiateLanguages,
  pickLanguage,
  placeholders,
} from "./languages.ts";

Deno.test("Accept-Language is negotiated by weight among the languages of Kinora", () => {
  const cases: [string | null, string | null][] = [
    [null, null],
    ["", null],
    ["*", null],
    ["tr", "tr"],
    ["TR-tr", "tr"],
    ["es-419,es;q=0.9,en;q=0.8", "es"],
    ["de-DE,de;q=0.9", null],
    ["de, tr;q=0.5, en;q=0.7", "en"],
    ["en;q=0.5, es ; q=0.50, tr;q=0.4", "en"],
    ["tr;q=0", null],
    ["tr;q=0, en;q=0.001", "en"],
    ["*;q=0.9, es;q=0.1", "en"],
    ["*;q=0.1, es;q=0.9", "es"],
    ["fr, *;q=0.5", null],
    ["en;q=0, *", "tr"],
    ["en;q=0, tr;q=0, *;q=0.001", "es"],
    ["*, en;q=0", "tr"],
    ["*;q=0, es", "es"],
    ["*;q=0", null],
    ["en;q=0.000, tr-TR;Q=0.1", "tr"],
    ["en-US;q=0, en-GB", "en"],
    ["en ;q=0.2\t,\ttr ; q=0.3", "tr"],
    ["tr;q= 1", null],
    ["tr;q=2, es;q=0.1", "es"],
    ["tr;q=1.5", null],
    ["tr;q=abc, es", "es"],
    ["tr_TR", null],
    ["english", null],
    ["en;level=1", null],
    [";;;,,,q=1", null],
    ["tr;q=1.000", "tr"],
  ];
  for (const [header, language] of cases) assert.equal(negotiateLanguage(header), language, String(header));
});

Deno.test("a language of weight 0 is refused, and `*` of weight 0 refuses those that are not named", () => {
  const cases: [string | null, string[]][] = [
    [null, []],
    ["*", []],
    ["tr;q=0", ["tr"]],
    ["tr;q=0, *", ["tr"]],
    ["*;q=0", ["en", "tr", "es"]],
    ["es, *;q=0", ["en", "tr"]],
    ["tr-CY;q=0, tr;q=0.1", []],
  ];
  for (const [header, refused] of cases) {
    assert.deepEqual(negotiateLanguages(header).refused, refused, String(header));
  }
});

Deno.test("the header's language comes before the user's own, and English is last", () => {
  assert.equal(pickLanguage("tr", "es"), "tr");
  assert.equal(pickLanguage(null, "es"), "es");
  assert.equal(pickLanguage(null, null), "en");
  assert.equal(pickLanguage(null, undefined), "en");
});

Deno.test("every occurrence of a placeholder is filled, and nothing else", () => {
  assert.equal(fillTemplate("{a} of {a} and {b}", { a: 0, b: "x" }), "0 of 0 and x");
  assert.equal(fillTemplate("{a}", { a: "{b}", b: "no" }), "{b}", "a value is not a template");
  assert.equal(fillTemplate("{a}", { a: "$&" }), "$&", "nor a replacement pattern");
  assert.equal(fillTemplate("{a} {constructor}", {}), "{a} {constructor}");
  assert.deepEqual(placeholders("{b} {a} {b}"), ["a", "b"]);
});
