/** What docs/privacy.md shows of the privacy classes and of the rules of retention. */
import { replaceParts, table } from "./markdown.ts";
import type { FromDatabase } from "./written.ts";

interface RetentionRule {
  readonly name: string;
  readonly what: string;
  /** As Postgres writes an interval. */
  readonly keep: string;
}

interface PrivacyClass {
  readonly relation: string;
  readonly name: string;
  readonly class: "kept" | "blanked" | "erased";
}

export const privacyDocument: FromDatabase = {
  file: new URL("../../docs/privacy.md", import.meta.url),
  async make({ sql }, before) {
    const rules = await sql<RetentionRule[]>`
      select r.name, r.what, r.keep::text from ops.retention_rules as r order by r.keep, r.name`;
    // Of the tables that have rows of persons.
    const classes = await sql<PrivacyClass[]>`
      select c.relation, c.column_name as name, c.class
      from accounts.privacy_classes as c join accounts.personal_tables as t on t.relation = c.relation
      order by c.relation, c.column_name`;
    const rows = rules.map(({ name, what, keep }) => [`\`${name}\``, what, spoken(keep)]);
    const head = ["rule", "what goes, and from when its time counts", "kept"];
    return replaceParts(before, { classes: classesPart(classes), retention: table(head, rows).join("\n") });
  },
};

function classesPart(classes: readonly PrivacyClass[]): string {
  const rows = [...Map.groupBy(classes, ({ relation }) => relation)].map(([relation, columns]) => {
    const of = (wanted: PrivacyClass["class"]) =>
      columns.filter((column) => column.class === wanted).map(({ name }) => `\`${name}\``).join(", ");
    return [`\`${relation}\``, of("erased") === "" ? of("blanked") || "nothing" : "the row", of("kept")];
  });
  return table(["table", "what goes", "what is kept"], rows).join("\n");
}

function spoken(interval: string): string {
  const [, hours] = /^(\d+):00:00$/.exec(interval) ?? [];
  if (hours === undefined) return interval;
  return Number(hours) === 0 ? "not longer" : Number(hours) === 1 ? "1 hour" : `${hours} hours`;
}
