/**
 * The tables of docs/security.md, which people write and tests only read: who may do what in the database, and what
 * each kind of caller gets from each endpoint.
 */
import { type Document, readDocument, tableRows } from "./contract/documents.ts";

/** Who asks the database, as the columns of the first table name them. */
export const actors = [
  "anon",
  "authenticated",
  "another user",
  "the row's user",
  "suspended or closed",
  "admin",
  "service_role",
] as const;
export type Actor = (typeof actors)[number];

/** Those of them that are roles; the others are users, who all act as `authenticated`. */
export const roles = ["anon", "authenticated", "service_role"] as const;

/** Some objects, and who may do what with them. */
export interface Right {
  /** With their schema: tables, views, procedures, or a schema itself. */
  readonly objects: readonly string[];
  /** Of the one table that a right on columns is about; null for whole objects. */
  readonly columns: readonly string[] | null;
  /** Such as select; null where nobody may do anything. */
  readonly privilege: string | null;
  readonly actors: ReadonlySet<Actor>;
}

/** Who sends a request, as the columns of the second table name them. */
export const callers = [
  "none",
  "forged",
  "expired",
  "audience",
  "issuer",
  "role",
  "guest",
  "user",
  "suspended",
  "closed",
  "admin",
  "secret key",
] as const;
export type CallerKind = (typeof callers)[number];

const readSecurity = () => readDocument("docs/security.md");

/** The rows under the heading, whose first cells are `names` and whose others are `columns`. */
function readTable(document: Document, names: readonly string[], columns: readonly string[]): string[][] {
  const heading = `| ${[...names, ...columns].join(" | ")} |`;
  if (!document.text.replaceAll("`", "").includes(`${heading}\n`)) {
    throw new Error(`${document.path} has no table with the heading ${heading}`);
  }
  return tableRows(document, names[0] ?? "");
}

/** The first table. */
export async function readRights(): Promise<Right[]> {
  const rows = readTable(await readSecurity(), ["objects", "right"], actors);
  return rows.map(([cell = "", privilege = "", ...cells]) => {
    const [table, columns] = cell.split(": ");
    const allowed = actors.filter((_, index) => cells[index] === "yes");
    if (cells.length !== actors.length || cells.some((text) => !["", "yes"].includes(text))) {
      throw new Error(`A row about ${cell} has other cells than yes and nothing`);
    }
    if ((privilege === "") !== (allowed.length === 0)) {
      throw new Error(`A row about ${cell} names a right without anybody, or somebody without a right`);
    }
    return {
      objects: columns === undefined ? cell.split(", ") : [table ?? ""],
      columns: columns?.split(", ") ?? null,
      privilege: privilege === "" ? null : privilege,
      actors: new Set(allowed),
    };
  });
}

/** The tables whose rows somebody may select, with the columns that they may, by their name in `public`. */
export async function readableColumns(): Promise<Record<string, string[]>> {
  const rights = await readRights();
  return Object.fromEntries(
    rights.flatMap(({ objects: [table = ""], columns }) =>
      columns === null ? [] : [[table.replace(/^public\./, ""), [...columns]] as const]
    ),
  );
}

/** The second table: for each operation, such as `GET models`, the status or the error code of each caller's answer. */
export async function readAnswers(): Promise<Map<string, ReadonlyMap<CallerKind, number>>> {
  const rows = readTable(await readSecurity(), ["operation"], callers);
  return new Map(rows.map(([operation = "", ...cells]) => {
    if (cells.length !== callers.length || cells.some((text) => !/^\d{3,4}$/.test(text))) {
      throw new Error(`The row of ${operation} has other cells than statuses and codes`);
    }
    return [operation, new Map(callers.map((caller, index) => [caller, Number(cells[index])]))] as const;
  }));
}
