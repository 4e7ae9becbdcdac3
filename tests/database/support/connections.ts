import postgres from "postgres";
import type { TestDatabase } from "../harness.ts";

/** Far more than there are cores, and few enough to leave room for the files that run beside this one. */
const connections = 32;

/** A pool of its own for a crowd: as many calls are in the database at once. */
export function manyConnections({ url }: TestDatabase): postgres.Sql & AsyncDisposable {
  const sql = postgres(url, { max: connections, onnotice: () => {} });
  return Object.assign(sql, { [Symbol.asyncDispose]: () => sql.end() });
}

/** Makes as many calls, all at once. */
export function times<T>(count: number, call: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => call(index)));
}
