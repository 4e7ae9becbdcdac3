/**
 * Database errors in PostgREST's manner. Lite forwards a few SQLSTATEs and turns all others into a 500 that hides what
 * the database said.
 */
// @ts-types="@types/pg"
import pg from "pg";

/**
 * The SQLSTATEs of an HTTP status, or their classes: https://docs.postgrest.org/en/stable/references/errors.html
 * The first that fits counts; whatever is not here is 400.
 */
const statuses: readonly (readonly [status: number, prefixes: readonly string[]])[] = [
  [409, ["23503", "23505"]],
  [405, ["25006"]],
  [404, ["42883", "42P01"]],
  [500, ["42P17", "53400"]],
  [400, ["P0001"]],
  [503, ["08", "53"]],
  [403, ["0L", "0P", "28"]],
  [500, ["09", "25", "2D", "38", "39", "3B", "40", "54", "55", "57", "58", "F0", "HV", "P0", "XX"]],
];

/** The server shuts down, crashed, or starts up: not the statement's fault, and worth another try. */
const unavailable = ["57P01", "57P02", "57P03"];

/**
 * What Lite shall make of `error`: a database error becomes PostgREST's answer with all that the database said, a lost
 * connection becomes its 503. Everything else, Lite's own errors among them, is left as it is.
 */
export function asPostgrestError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  if (isConnectionLost(error)) return answer(503, connectionError);
  if (!(error instanceof pg.DatabaseError) || error.code === undefined) return error;
  const { code, message, detail, hint } = error;
  // Lite knows these: PT402 names its own status, PGRST its own answer, and 42501 depends on the caller.
  if (code.startsWith("PT") || code === "PGRST" || code === "42501") return error;
  const [status] = statuses.find(([, prefixes]) => prefixes.some((prefix) => code.startsWith(prefix))) ??
    [400];
  return answer(status, { code, message, details: detail ?? null, hint: hint ?? null });
}

const connectionError = {
  code: "PGRST001",
  message: "Database connection error. Retrying the connection.",
  details: null,
  hint: null,
};

/** What PostgREST answers when it has no connection. */
export function databaseUnavailable(): Response {
  return Response.json(connectionError, { status: 503 });
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
