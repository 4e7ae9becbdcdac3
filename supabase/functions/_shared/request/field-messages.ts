/** What a field must be, in a sentence for the developer. Where a schema says it in its own words, those are told. */
import * as z from "zod/mini";

const types: Readonly<Record<string, string>> = {
  array: "a list",
  boolean: "true or false",
  int: "a whole number",
  number: "a number",
  object: "an object",
  record: "an object",
  string: "a text",
};

const formats: Readonly<Record<string, string>> = {
  datetime: "a time in ISO 8601, with its offset",
  guid: "a UUID",
  lowercase: "in lower case",
  url: "a URL",
  uuid: "a UUID",
};

function messageOf(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case "invalid_type": {
      const expected = types[issue.expected] ?? `of the type ${issue.expected}`;
      return issue.input === undefined ? `Is missing: must be ${expected}` : `Must be ${expected}`;
    }
    case "invalid_value":
      return `${issue.input === undefined ? "Is missing: must" : "Must"} be ${oneOf(issue.values)}`;
    case "invalid_format":
      return `Must be ${formats[issue.format] ?? `written as ${issue.format}`}`;
    case "too_small":
      return bound(issue.origin, "at least", issue.inclusive ? issue.minimum : `more than ${issue.minimum}`);
    case "too_big":
      return bound(issue.origin, "at most", issue.inclusive ? issue.maximum : `less than ${issue.maximum}`);
    default:
      return "Must be a value that the document of this endpoint allows";
  }
}

function oneOf(values: readonly unknown[]): string {
  const texts = values.map((value) => JSON.stringify(value));
  return texts.length === 1 ? `${texts[0]}` : `one of ${texts.join(", ")}`;
}

function bound(origin: string, which: string, value: number | bigint | string): string {
  const limit = typeof value === "string" ? value : `${which} ${value}`;
  if (origin === "string") return `Must have ${limit} characters`;
  if (origin === "array") return `Must have ${limit} items`;
  return `Must be ${limit}`;
}

// zod/mini brings no language: without one, every message is "Invalid input".
z.config({ localeError: messageOf });
