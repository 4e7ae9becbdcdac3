/** The table of rate limits in docs/api.md, as the migrations seed them. */
import { replaceParts, table } from "./markdown.ts";
import type { FromDatabase } from "./written.ts";

interface Policy {
  readonly name: string;
  readonly scope: string;
  readonly hits: number;
  readonly seconds: number;
  readonly counts: string;
  readonly isClosed: boolean;
}

export const limitsDocument: FromDatabase = {
  file: new URL("../../docs/api.md", import.meta.url),
  async make({ sql }, before) {
    const policies = await sql<Policy[]>`
      select p.name, p.scope::text, p.max_hits as hits, p.window_seconds as seconds, p.counts,
        p.on_failure = 'closed' as "isClosed"
      from guard.policies as p order by p.name`;
    const rows = policies.map(({ name, scope, hits, seconds, counts, isClosed }) => [
      `\`${name}\``,
      `${hits}${counts === "hits" ? "" : ` ${counts}`} in ${durationOf(seconds)}`,
      scope,
      isClosed ? "is refused" : "is admitted",
    ]);
    const head = ["policy", "admits", "each", "what cannot be counted"];
    return replaceParts(before, { limits: table(head, rows).join("\n") });
  },
};

function durationOf(seconds: number): string {
  const [unit, name] = seconds % 3600 === 0 ? [3600, "h"] : seconds % 60 === 0 ? [60, "min"] : [1, "s"];
  return `${seconds / unit} ${name}`;
}
