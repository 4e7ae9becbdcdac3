/** What docs/privacy.md shows of the privacy classes and of the rules of retention. */
import type postgres from "postgres";
import { replaceParts, table } from "./markdown.ts";

export const privacyDocument = new URL("../../docs/privacy.md", import.meta.url);

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

export interface PrivacyClass {
  readonly relation: string;
  readonly name: string;
  readonly class: "kept" | "blanked" | "erased";
}

/** Reads the classes of the tables that have rows of persons, from a migrated database. */
export async function readPrivacyClasses(sql: postgres.Sql): Promise<PrivacyClass[]> {
  return await sql<PrivacyClass[]>`
    select c.relation, c.column_name as name, c.class
    from accounts.privacy_classes as c join accounts.personal_tables as t on t.relation = c.relation
    order by c.relation, c.column_name`;
}

function classesPart(classes: readonly PrivacyClass[]): string {
  const rows = [...Map.groupBy(classes, ({ relation }) => relation)].map(([relation, columns]) => {
    const of = (wanted: PrivacyClass["class"]) =>
      columns.filter((column) => column.class === wanted).map(({ name }) => `\`${name}\``).join(", ");
    return [`\`${relation}\``, of("erased") === "" ? of("blanked") || "nothing" : "the row", of("kept")];
  });
  return table(["table", "what goes", "what is kept"], rows).join("\n");
}

/** docs/privacy.md with its tables made anew. */
export function privacyDocumentOf(
  text: string,
  rules: readonly RetentionRule[],
  classes: readonly PrivacyClass[],
): string {
  const rows = rules.map(({ name, what, keep }) => [`\`${name}\``, what, spoken(keep)]);
  const head = ["rule", "what goes, and from when its time counts", "kept"];
  return replaceParts(text, { classes: classesPart(classes), retention: table(head, rows).join("\n") });
}

function spoken(interval: string): string {
  const [, hours] = /^(\d+):00:00$/.exec(interval) ?? [];
  if (hours === undefined) return interval;
  return Number(hours) === 0 ? "not longer" : Number(hours) === 1 ? "1 hour" : `${hours} hours`;
}
