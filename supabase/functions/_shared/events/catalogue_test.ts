import assert from "node:assert/strict";
import { languages, placeholders } from "../errors/languages.ts";
import { eventType, eventTypeNames } from "./catalogue.ts";

Deno.test("a type is a topic and a word, its example is of its form, and its texts say of every language what the data has", () => {
  for (const name of eventTypeNames) {
    assert.match(name, /^[a-z]+\.[a-z]+$/);
    const { data, example, texts } = eventType(name);
    const shown = example();
    assert.equal(data.safeParse(shown).error, undefined, name);
    if (texts === null) continue;
    const said = languages.map((language) => `${texts[language].title} ${texts[language].body}`);
    assert.equal(new Set(said).size, languages.length, name);
    for (const text of said) {
      assert.deepEqual(placeholders(text), placeholders(said[0] ?? ""), name);
      assert(!placeholders(text).includes("prompt"), name);
      for (const member of placeholders(text)) {
        assert(Object.hasOwn(Object(shown), member), `${name}: ${member}`);
      }
    }
  }
});
