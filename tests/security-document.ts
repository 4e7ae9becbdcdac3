/**
 * The tables of docs/security.md, which people write and tests only read: who may do what in the database, and what
 * each kind of caller gets from each endpoint.
 */
import { type Document, readDocument, tableRows } from "./contract/documents.ts";

/** The roles by which requests reach the database, as the columns of the first table name them. */
export const roles = ["anon", "authenticated", "service_role"] as const;
export type Role = (typeof roles)[number];

/** Some objects, and who may do what with them. */
export interface Right {
  /** Schemas, or procedures with their schema. */
  readonly objects: readonly string[];
  /** Such as execute; null where nobody may do anything. */
  readonly privilege: string | null;
  readonly roles: ReadonlySet<Role>;
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
  const rows = readTable(await readSecurity(), ["objects", "right"], roles);
  return rows.map(([objects = "", privilege = "", ...cells]) => {
    const allowed = roles.filter((_, index) => cells[index] === "yes");
    if (cells.length !== roles.length || cells.some((text) => !["", "yes"].includes(text))) {
      throw new Error(`A row about ${objects} has other cells than yes and nothing`);
    }
    if ((privilege === "") !== (allowed.length === 0)) {
      throw new Error(`A row about ${objects} names a right without anybody, or somebody without a right`);
    }
    return {
      objects: objects.split(", "),
      privilege: privilege === "" ? null : privilege,
      roles: new Set(allowed),
    };
  });
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
