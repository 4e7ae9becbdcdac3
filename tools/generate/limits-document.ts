/** The table of rate limits in docs/api.md, as the migrations seed them. */
import type postgres from "postgres";
import { replaceParts, table } from "./markdown.ts";

export const limitsDocument = new URL("../../docs/api.md", import.meta.url);

interface Policy {
  readonly name: string;
  readonly scope: string;
  readonly hits: number;
  readonly seconds: number;
  readonly counts: string;
  readonly isClosed: boolean;
}

/** Reads them from a migrated database. */
export async function readPolicies(sql: postgres.Sql): Promise<readonly Policy[]> {
  return await sql<Policy[]>`
    select p.name, p.scope::text, p.max_hits as hits, p.window_seconds as seconds, p.counts,
      p.on_failure = 'closed' as "isClosed"
    from guard.policies as p order by p.name`;
}

/** docs/api.md with the table made anew. Throws where the text has no place for it. */
export function limitsDocumentOf(text: string, policies: readonly Policy[]): string {
  const rows = policies.map(({ name, scope, hits, seconds, counts, isClosed }) => [
    `\`${name}\``,
    `${hits}${counts === "hits" ? "" : ` ${counts}`} in ${durationOf(seconds)}`,
    scope,
    isClosed ? "is refused" : "is admitted",
  ]);
  const head = ["policy", "admits", "each", "what cannot be counted"];
  return replaceParts(text, { limits: table(head, rows).join("\n") });
}

function durationOf(seconds: number): string {
  const [unit, name] = seconds % 3600 === 0 ? [3600, "h"] : seconds % 60 === 0 ? [60, "min"] : [1, "s"];
  return `${seconds / unit} ${name}`;
}
