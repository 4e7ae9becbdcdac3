/** Text that people write: in one form, so long, and with nothing in it that is not seen. */
import * as z from "zod/mini";

/**
 * What turns the direction of the text after it around (UAX #9), and control characters. The marks that Arabic and
 * Hebrew keyboards write do not.
 */
const hidden = /[\p{Cc}\u202a-\u202e\u2066-\u2069]/u;
const hiddenButInLines = /(?![\t\n\r])[\p{Cc}\u202a-\u202e\u2066-\u2069]/u;

/**
 * A character that can be seen, which white space is not, nor what Unicode lets a font ignore, nor a mark without its letter,
 * nor an empty Braille pattern or note head.
 */
const seen =
  /[^\p{White_Space}\p{Default_Ignorable_Code_Point}\p{M}\p{Cc}\p{Cf}\p{Cs}\p{Co}\u2800\u{1d159}]/u;

/**
 * Text of 1 to so many characters, or of a few at least, normalised (NFC) and without white space around it. Only a
 * text of several lines has tabs and line breaks.
 */
export function userText(
  maxCharacters: number,
  { lines, minCharacters = 1 }: { lines: "one" | "several"; minCharacters?: number },
) {
  const length = `Must have ${minCharacters} to ${maxCharacters} characters`;
  const refused = lines === "one" ? hidden : hiddenButInLines;
  return z.pipe(
    z.pipe(
      // Before the work of normalising: a composed character may be written as four, of two code units each.
      z.string().check(z.maxLength(10 * maxCharacters, length)),
      z.transform((text: string) => text.normalize("NFC").trim()),
    ),
    z.string().check(
      // Counted as Postgres counts: by code points.
      z.refine((text) => [...text].length >= minCharacters && [...text].length <= maxCharacters, length),
      z.refine((text) => !refused.test(text), "Must not contain control or direction characters"),
      z.refine((text) => text.isWellFormed(), "Must be well-formed Unicode"),
      z.refine((text) => text === "" || seen.test(text), "Must have a character that can be seen"),
    ),
    // What a client is told; white space around it and the form of its characters are its own affair.
  ).check(z.meta({ minLength: 1, maxLength: maxCharacters }));
}
