import assert from "node:assert/strict";
import { userText } from "./user-text.ts";

const seenOnly = "Must have a character that can be seen";

function read(text: string, lines: "one" | "several" = "several"): string[] {
  const { error } = userText(2000, { lines }).safeParse(text);
  return (error?.issues ?? []).map(({ message }) => message);
}

Deno.test("a text of which nothing can be seen is none", () => {
  for (
    const text of [
      "\u200b",
      "\u200b \u200b",
      "\u00ad\u2060\ufeff",
      "\u3164",
      "\u115f\u1160",
      "\uffa0",
      "\u2800\u2800",
      "\u{e0041}\u{e0042}",
      "\ufe0f\u200d",
      "\u180e\u034f",
      "\u0301",
      "\u200e\u200f",
      "\ue000",
      "a".replace("a", "\u{1d159}"),
    ]
  ) {
    for (const lines of ["one", "several"] as const) {
      assert(
        read(text, lines).includes(seenOnly),
        JSON.stringify(text).replace(/[^ -~]/g, (c) => c.codePointAt(0)?.toString(16) ?? ""),
      );
    }
  }
});

Deno.test("whatever can be seen is a text, in any script, with what is not seen in it", () => {
  for (
    const text of [
      "a",
      "1",
      ".",
      "ı",
      "猫",
      "न",
      "ก็",
      "👩‍👩‍👧",
      "🇹🇷",
      "ñ".normalize("NFD"),
      "\u200ba\u200b",
      "می‌خواهم",
      "֎",
      "—",
      "½",
    ]
  ) assert.deepEqual(read(text), [], text);
});
