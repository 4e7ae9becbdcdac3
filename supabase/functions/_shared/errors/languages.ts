/** Language negotiation and message templates. */

export const languages = ["en", "tr", "es"] as const;
export type Language = (typeof languages)[number];

export const defaultLanguage: Language = "en";

/** Whether a text, such as a user's setting, is a language that Kinora speaks. */
export function isLanguage(value: unknown): value is Language {
  return languages.some((language) => language === value);
}

/** A language range of RFC 4647, or `*`, and its weight of RFC 9110, which has three decimals at most. */
const languageRange =
  /^(\*|[a-z]{1,8}(?:-[a-z0-9]{1,8})*)(?:[ \t]*;[ \t]*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?$/i;

/** What an Accept-Language header says about each language of Kinora. */
export interface AcceptedLanguages {
  /**
   * The one that it prefers, the first of equals; null where it prefers none: no header, other languages, malformed ones, or
   * a bare `*`, which runtimes send by themselves and which asks for nothing.
   */
  readonly preferred: Language | null;
  /** Those that it refuses, by the weight 0. */
  readonly refused: readonly Language[];
}

/** Reads an Accept-Language header. `*` stands for the languages that no other range names; what is malformed is passed over. */
export function negotiateLanguages(header: string | null): AcceptedLanguages {
  const weights = new Map<Language, number>();
  let anyOther: number | null = null;
  for (const range of header?.split(",") ?? []) {
    const [, name = "", weight = 1] = languageRange.exec(range.trim()) ?? [];
    const language = name.split("-")[0]?.toLowerCase();
    if (name === "*") anyOther ??= Number(weight);
    // A language is as welcome as the one of its variants that is most so.
    else if (isLanguage(language)) {
      weights.set(language, Math.max(weights.get(language) ?? 0, Number(weight)));
    }
  }
  const asksForNothing = weights.size === 0 && anyOther !== 0;
  // In the order of the header, and what `*` stands for in the order of Kinora.
  const others = languages.filter((language) => !weights.has(language));
  for (const language of others) weights.set(language, anyOther ?? -1);
  const acceptable = [...weights].filter(([, weight]) => weight > 0);
  const highest = Math.max(...acceptable.map(([, weight]) => weight));
  return {
    preferred: asksForNothing ? null : acceptable.find(([, weight]) => weight === highest)?.[0] ?? null,
    refused: [...weights].filter(([, weight]) => weight === 0).map(([language]) => language),
  };
}

/** The language that the header prefers, as `negotiateLanguages` has it. */
export function negotiateLanguage(header: string | null): Language | null {
  return negotiateLanguages(header).preferred;
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
