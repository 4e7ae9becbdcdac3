/**
 * Database errors in PostgREST's manner. Lite forwards a few SQLSTATEs and turns all others into a 500 that hides what
 * the database said.
 */
// @ts-types="@types/pg"
import pg from "pg";

/**
 * The HTTP status of a SQLSTATE, the longest prefix first: https://docs.postgrest.org/en/stable/references/errors.html
 * Whatever is not in it is 400.
 */
const statuses: [prefix: string, status: number][] = [
  ["23503", 409],
  ["23505", 409],
  ["25006", 405],
  ["42883", 404],
  ["42P01", 404],
  ["42P17", 500],
  ["53400", 500],
  ["P0001", 400],
  ["08", 503],
  ["09", 500],
  ["0L", 403],
  ["0P", 403],
  ["25", 500],
  ["28", 403],
  ["2D", 500],
  ["38", 500],
  ["39", 500],
  ["3B", 500],
  ["40", 500],
  ["53", 503],
  ["54", 500],
  ["55", 500],
  ["57", 500],
  ["58", 500],
  ["F0", 500],
  ["HV", 500],
  ["P0", 500],
  ["XX", 500],
];

/** The server shuts down, crashed, or starts up: not the statement's fault, and worth another try. */
const unavailable = ["57P01", "57P02", "57P03"];

/**
 * What Lite shall make of `error`: a database error becomes PostgREST's answer with all that the database said, a lost
 * connection becomes its 503. Everything else, Lite's own errors among them, is left as it is.
 */
export function asPostgrestError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  if (isConnectionLost(error)) {
    return answer(503, { code: "PGRST001", message: "Database connection error. Retrying the connection." });
  }
  if (!(error instanceof pg.DatabaseError) || error.code === undefined) return error;
  const { code, message, detail, hint } = error;
  // Lite knows these: PT402 names its own status, PGRST its own answer, and 42501 depends on the caller.
  if (code.startsWith("PT") || code === "PGRST" || code === "42501") return error;
  const status = statuses.find(([prefix]) => code.startsWith(prefix))?.[1] ?? 400;
  return answer(status, { code, message, details: detail ?? null, hint: hint ?? null });
}

/** Whether the connection is to blame and not the statement. */
export function isConnectionLost(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) {
    return error.code !== undefined && (unavailable.includes(error.code) || error.code.startsWith("08"));
  }
  if (!(error instanceof Error)) return false;
  // The socket's own errors carry a code (ECONNREFUSED, EPIPE, …), those of the driver only a text.
  if ("syscall" in error) return true;
  return /^(Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect)/
    .test(error.message);
}

/** An error of the form with which PostgREST, and so Lite, lets a procedure state its whole answer. */
function answer(status: number, body: Record<string, string | null>): Error {
  return Object.assign(new Error(JSON.stringify(body)), {
    code: "PGRST",
    detail: JSON.stringify({ status, headers: {} }),
  });
}
