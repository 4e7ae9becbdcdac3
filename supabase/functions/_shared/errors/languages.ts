/** Language negotiation and message templates. */

export const languages = ["en", "tr", "es"] as const;
export type Language = (typeof languages)[number];

export const defaultLanguage: Language = "en";

/** Whether a text, such as a user's setting, is a language that Kinora speaks. */
export function isLanguage(value: unknown): value is Language {
  return languages.some((language) => language === value);
}

/** A language range of RFC 4647 and its weight of RFC 9110, which has three decimals at most. */
const languageRange =
  /^([a-z]{1,8})(?:-[a-z0-9]{1,8})*(?:\s*;\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?$/i;

/**
 * The language that an Accept-Language header prefers among those of Kinora; the first of equals. Null where it
 * prefers none: no header, `*` (which runtimes send by themselves), other languages, or one that is malformed.
 * A range that is malformed is passed over, and one with weight 0 excludes its language.
 */
export function negotiateLanguage(header: string | null): Language | null {
  let preferred: Language | null = null;
  let highest = 0;
  for (const range of header?.split(",") ?? []) {
    const match = languageRange.exec(range.trim());
    const language = match?.[1]?.toLowerCase();
    const weight = Number(match?.[2] ?? 1);
    if (isLanguage(language) && weight > highest) {
      preferred = language;
      highest = weight;
    }
  }
  return preferred;
}

/** The language of an answer: what the header asks for, else the user's own where it is known, else English. */
export function pickLanguage(negotiated: Language | null, own: Language | null | undefined): Language {
  return negotiated ?? own ?? defaultLanguage;
}

const placeholder = /\{([a-z_]+)\}/g;

/** The names in braces that a template holds, each once, sorted. */
export function placeholders(template: string): string[] {
  return [...new Set(Array.from(template.matchAll(placeholder), ([, name]) => name ?? ""))].sort();
}

/** Fills every occurrence of every placeholder; one without a value stays as it is, which the log will show. */
export function fillTemplate(template: string, values: Readonly<Record<string, unknown>>): string {
  return template.replaceAll(placeholder, (text, name: string) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    return typeof value === "string" || typeof value === "number" ? String(value) : text;
  });
}
