/** What tests of servers look at: files, folders and values. */
import assert from "node:assert/strict";
import { withConnection } from "../postgres/database.ts";
import { commandOf } from "../processes/process-table.ts";

export function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** The folder of a running server, from what it was started with. */
export function homeOf(pid: number): string {
  const [, home] = / -D (.+)\/cluster /.exec(commandOf(pid)) ?? [];
  assert.ok(home !== undefined);
  return home;
}

/** The value of an expression. */
export function select<T>(url: string, expression: string): Promise<T> {
  return withConnection(url, async (sql) => {
    const [row] = await sql.unsafe<{ value: T }[]>(`select ${expression} as value`);
    assert.ok(row !== undefined);
    return row.value;
  });
}
