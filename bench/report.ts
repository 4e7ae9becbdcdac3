/** What a part of the bench has found: what is promised first, as ratios, then the figures; on the terminal and as a page. */

export interface Goal {
  readonly what: string;
  readonly goal: string;
  readonly figure: string;
  /** Null where nothing was found to compare. */
  readonly isKept: boolean | null;
}

/** The first column is text, the others are figures. */
export interface Table {
  readonly title: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface Findings {
  readonly goals: readonly Goal[];
  readonly tables: readonly Table[];
  /** Rows in which a call went wrong, and why the first did: their figures say nothing. */
  readonly failed?: readonly string[];
  /** The version of Postgres that the figures are of, where a part has asked. */
  readonly postgres?: string;
}

/** A figure beside its bound, each with its unit. */
export function bound(
  what: string,
  figure: number,
  { atLeast, atMost, unit }: { atLeast?: number; atMost?: number; unit: string },
): Goal {
  const goals = [
    ...(atLeast === undefined ? [] : [`≥ ${atLeast}${unit}`]),
    ...(atMost === undefined ? [] : [`≤ ${atMost}${unit}`]),
  ];
  const isKnown = Number.isFinite(figure);
  return {
    what,
    goal: goals.join(", "),
    figure: isKnown ? `${figure.toPrecision(3)}${unit}` : "not measured",
    isKept: isKnown ? figure >= (atLeast ?? -Infinity) && figure <= (atMost ?? Infinity) : null,
  };
}

/** The middle one of several figures; NaN of none. */
export function median(figures: readonly number[]): number {
  return figures.toSorted((a, b) => a - b)[figures.length >> 1] ?? NaN;
}

const verdict = ({ isKept }: Goal) => isKept === null ? "–" : isKept ? "yes" : "no";

const goalTable = (goals: readonly Goal[]): Table => ({
  title: "What is promised",
  header: ["", "goal", "figure", "kept"],
  rows: goals.map((goal) => [goal.what, goal.goal, goal.figure, verdict(goal)]),
});

const tablesOf = (
  { goals, tables }: Findings,
) => [...(goals.length > 0 ? [goalTable(goals)] : []), ...tables];

/** Prints findings as tables whose columns are aligned. */
export function print(findings: Findings): void {
  for (const { title, header, rows } of tablesOf(findings)) {
    const widths = header.map((name, column) =>
      Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0))
    );
    const line = (cells: readonly string[]) =>
      cells.map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
      ).join("  ").trimEnd();
    console.log(`\n${title}\n${[header, ...rows].map(line).join("\n")}`);
  }
}

/** The same in Markdown. */
export function markdown(findings: Findings): string {
  return tablesOf(findings).map(({ title, header, rows }) => {
    const line = (cells: readonly string[]) =>
      `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
    const rule = `|${header.map((_, column) => column === 0 ? "---" : "---:").join("|")}|`;
    return `## ${title}\n\n${[line(header), rule, ...rows.map(line)].join("\n")}\n`;
  }).join("\n");
}
