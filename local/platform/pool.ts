/**
 * The gateway's connections to Postgres, and how the values that come back look in JSON.
 */
// @ts-types="@types/pg"
import pg from "pg";

/** PostgREST's default is 10; Lite holds a connection for several round trips, so the same load needs more. */
const connections = 20;
/** PostgREST's default. Each new connection plans everything anew. */
const idleTimeout = 30_000;
/** For a connection that is free, or a new one: a request is told that there is none before its caller gives up, in 10 s. */
const connectTimeout = 8_000;

/** A pool on the database at `url`. It connects when it is used, and again after the database was away. */
export function createPool(url: string): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: connections,
    connectionTimeoutMillis: connectTimeout,
    idleTimeoutMillis: idleTimeout,
    options: "-c TimeZone=UTC",
    // Statements that were given together leave together.
    pipeline: true,
    types: { getTypeParser },
  });
  // A connection that breaks reports to its query, to its pool and to its own listeners; an error event that nobody
  // listens to would end the process.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  return pool;
}

const textArray: number = 1009;

/** The types of which Postgres' own JSON differs from what pg makes of them, by oid. */
const parsers = new Map<number, (text: string) => unknown>([
  [20, Number], // bigint
  [1700, Number], // numeric
  [17, String], // bytea
  [1082, String], // date
  [1083, String], // time
  [1266, String], // time with time zone
  [1186, String], // interval
  [1114, isoTime], // timestamp
  [1184, isoTime], // timestamp with time zone
  [1003, (text) => pg.types.getTypeParser(textArray)(text)], // name[], of the catalogue's columns
]);

function getTypeParser(oid: number, format?: "text" | "binary"): (value: string) => unknown {
  return parsers.get(oid) ?? pg.types.getTypeParser(oid, format);
}

/** As to_json writes it: 2026-11-20T15:52:44.5+00:00. The time zone is always UTC here. */
function isoTime(text: string): string {
  return text.replace(" ", "T").replace(/[+-]\d\d$/, "$&:00");
}

/** Between two attempts to hear a database that is away. */
const listenDelay = 1_000;

/** What is called while a channel of Postgres is listened to. */
export interface Listener {
  /** Somebody has notified of this. */
  onNotify(payload: string): void;
  /** From now on nothing is missed. */
  onListening?(): void;
  /** What is said from now on is missed, until it is listened to again. */
  onLost?(): void;
}

/** Listens whenever somebody notifies `channel`, for as long as the process lives. */
export async function listen(pool: pg.Pool, channel: string, listener: Listener): Promise<never> {
  while (true) {
    try {
      const client = await pool.connect();
      const lost = new Promise((resolve) => client.once("end", resolve));
      client.on("notification", ({ payload }) => listener.onNotify(payload ?? ""));
      await client.query(`listen ${channel}`);
      listener.onListening?.();
      await lost;
      listener.onLost?.();
      client.release(true);
    } catch {
      // The database is away; it is asked again.
    }
    await new Promise((resolve) => setTimeout(resolve, listenDelay));
  }
}

/** Runs `work` in a transaction, which is rolled back when it throws. */
export async function transaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let failure: Error | undefined;
  try {
    await client.query("begin");
    const result = await work(client);
    await client.query("commit");
    return result;
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
    throw error;
  } finally {
    // A connection that failed half-way is thrown away, and its transaction with it.
    client.release(failure);
  }
}
