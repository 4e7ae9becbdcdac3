import postgres from "postgres";
import { patience } from "../../../local/testing/patience.ts";
import type { TestDatabase } from "../harness.ts";
import { first, type Sql } from "./ledger.ts";

/** Far more than there are cores, and few enough to leave room for the files that run beside this one. */
export const connections = 32;

/**
 * Seconds that a crowd's connections have to end. One that the server refused never does by itself, and the test would hang in
 * place of telling what it was refused with.
 */
const endTimeout = 5;

/** A pool of its own for a crowd: as many calls are in the database at once, and one that hangs fails. */
export function manyConnections({ url }: TestDatabase): postgres.Sql & AsyncDisposable {
  const connection = { statement_timeout: patience };
  const sql = postgres(url, { max: connections, onnotice: () => {}, connection });
  return Object.assign(sql, { [Symbol.asyncDispose]: () => sql.end({ timeout: endTimeout }) });
}

/** Makes as many calls, all at once. */
export function times<T>(count: number, call: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => call(index)));
}

/** Waits until so many sessions of this database wait for a lock. */
export async function untilBlocked(sql: Sql, sessions = 1): Promise<void> {
  const deadline = Date.now() + patience;
  for (;;) {
    const { waiting } = await first(sql<{ waiting: boolean }[]>`
      select count(*) >= ${sessions} as waiting
      from pg_stat_activity as s where s.datname = current_database() and s.wait_event_type = 'Lock'`);
    if (waiting) return;
    if (Date.now() > deadline) throw new Error("Nobody waits");
  }
}
