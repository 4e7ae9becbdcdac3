import assert from "node:assert/strict";
import { type ErrorCode, errorCodes, isErrorCode } from "./error-codes.ts";
import { errorMessage, errorMessages } from "./error-messages.ts";
import { languages, placeholders } from "./languages.ts";

const codes = Object.keys(errorCodes).filter(isErrorCode);

Deno.test("each code has a text of its own in each language", () => {
  assert.deepEqual(Object.keys(errorMessages).sort(), codes.toSorted());
  for (const language of languages) {
    const texts = codes.map((code) => errorMessages[code][language]);
    for (const text of texts) assert.match(text, /^\p{Lu}.*[.]$/u);
    assert.equal(new Set(texts).size, codes.length, `${language} says the same for two codes`);
  }
  for (const code of codes) {
    assert.equal(
      new Set(Object.values(errorMessages[code])).size,
      languages.length,
      `${code} is not translated`,
    );
  }
});

Deno.test("the texts of a code have the same placeholders, all of them keys of its details", () => {
  for (const code of codes) {
    const details: readonly string[] = errorCodes[code].details;
    const [english, ...others] = languages.map((language) => placeholders(errorMessages[code][language]));
    for (const other of others) assert.deepEqual(other, english, code);
    for (const name of english ?? []) assert(details.includes(name), `${code} cannot fill {${name}}`);
  }
});

Deno.test("a message is filled from the details", () => {
  const details = { required: 4, available: 0 };
  assert.equal(
    errorMessage("ERR_4001", "en", details),
    "You do not have enough credits: this costs 4, and your balance is 0.",
  );
  assert.equal(
    errorMessage("ERR_4001", "tr", details),
    "Krediniz yetersiz: bu işlem 4 kredi gerektiriyor, bakiyeniz 0.",
  );
  assert.equal(
    errorMessage("ERR_4001", "es", details),
    "No tienes créditos suficientes: esto cuesta 4 y tu saldo es de 0.",
  );
});

Deno.test("only names of the registry are codes", () => {
  const others: unknown[] = ["ERR_9999", "toString", "__proto__", "", null, 4001];
  for (const other of others) assert(!isErrorCode(other), String(other));
  const code: ErrorCode = "ERR_4001";
  assert(isErrorCode(code));
});
