/** Runs an SQL file as a reader would, and writes down what they see: each statement, and under it what came back. */
import postgres from "postgres";
import type { FrozenClock } from "./frozen-clock.ts";

/** Statements are paragraphs, with the comments above them. Time passes where one sleeps, and nowhere else. */
export async function runTour(url: string, text: string, clock: FrozenClock): Promise<string> {
  const seen: string[] = [];
  const sql = postgres(url, { max: 1, onnotice: ({ message }) => seen.push(`NOTICE:  ${message}`) });
  try {
    for (const paragraph of text.trim().split(/\n{2,}/)) {
      seen.push(paragraph);
      const [, seconds] = /\bpg_sleep\(([\d.]+)\)/.exec(paragraph) ?? [];
      if (seconds !== undefined) await clock.advance(Number(seconds) * 1000);
      const rows = await sql.unsafe(paragraph).values();
      const headings = rows.columns?.map(({ name }) => name) ?? [];
      // A function that returns nothing has a heading and no value, which is nothing to see.
      if (headings.length > 0 && rows.some((row) => row.some((value) => show(value) !== ""))) {
        seen.push(table(headings, rows.map((row) => row.map(show))));
      }
    }
  } finally {
    await sql.end();
  }
  return seen.join("\n\n") + "\n";
}

function show(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** In the manner of psql. */
function table(headings: string[], rows: string[][]): string {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0))
  );
  const line = (cells: string[]) =>
    ` ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")}`.trimEnd();
  const rule = widths.map((width) => "-".repeat(width + 2)).join("+");
  const count = rows.length === 1 ? "(1 row)" : `(${rows.length} rows)`;
  return [line(headings), rule, ...rows.map(line), count].join("\n");
}
