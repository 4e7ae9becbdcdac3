/** docs/operations/reports.md, held against the reports. */
import assert from "node:assert/strict";
import { withConnection } from "../../local/postgres/database.ts";
import { cloneTemplate } from "../database/harness.ts";
import { fences, readDocument } from "./documents.ts";

const document = await readDocument("docs/operations/reports.md");

Deno.test("docs/operations/reports.md explains every figure of every report, and its queries run", async () => {
  await using database = await cloneTemplate();
  await withConnection(database.url, async (sql) => {
    await sql`
      select ops.make_report(r.report) from unnest('{daily 2026-11-27,weekly 2026-11-16,monthly 2026-10-01}'::text[]) as r (report)`;
    for (const query of fences(document, "sql")) assert((await sql.unsafe(query)).length > 0, query);
    const made = await sql<{ kind: string; figures: string[]; database: string[] | null }[]>`
      select r.kind::text, array(select jsonb_object_keys(r.figures)) as figures,
        case when r.database is not null then array(select jsonb_object_keys(r.database)) end as database
      from ops.reports as r order by r.kind`;
    const sections = document.text.split(/^## /m);
    const named = (section: string) =>
      Array.from(
        sections.find((text) => text.startsWith(section))?.matchAll(/^\| (`\w+`(?:, `\w+`)*) \|/gm) ?? [],
        ([, names = ""]) => names.replaceAll("`", "").split(", "),
      ).flat();
    for (const { kind, figures, database } of made) {
      const explained = named(`${kind[0]?.toUpperCase()}${kind.slice(1)}`);
      const there = [...figures, ...(database ?? []).filter((member) => member !== "statistics_since")];
      assert.deepEqual(explained.toSorted(), there.toSorted(), kind);
    }
    assert.equal(made.length, 3);
    // `statistics_since` is explained where it is needed.
    assert(document.text.includes("`statistics_since`"));
  });
});
