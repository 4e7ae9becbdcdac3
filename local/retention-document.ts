/** What docs/privacy.md shows of the rules of retention. */
import type postgres from "postgres";
import { replaceParts, table } from "./markdown.ts";

export const privacyDocument = new URL("../docs/privacy.md", import.meta.url);

export interface RetentionRule {
  readonly name: string;
  readonly what: string;
  /** As Postgres writes an interval. */
  readonly keep: string;
}

/** Reads them from a migrated database. */
export async function readRetentionRules(sql: postgres.Sql): Promise<RetentionRule[]> {
  return await sql<RetentionRule[]>`
    select r.name, r.what, r.keep::text from ops.retention_rules as r order by r.keep, r.name`;
}

/** docs/privacy.md with its table made anew. */
export function privacyDocumentOf(text: string, rules: readonly RetentionRule[]): string {
  const rows = rules.map(({ name, what, keep }) => [`\`${name}\``, what, spoken(keep)]);
  const head = ["rule", "what goes, and from when its time counts", "kept"];
  return replaceParts(text, { retention: table(head, rows).join("\n") });
}

function spoken(interval: string): string {
  const [, hours] = /^(\d+):00:00$/.exec(interval) ?? [];
  if (hours === undefined) return interval;
  return Number(hours) === 0 ? "not longer" : Number(hours) === 1 ? "1 hour" : `${hours} hours`;
}
