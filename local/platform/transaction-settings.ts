/**
 * The settings that each request's transaction begins with, sent in one round trip, as PostgREST sends them. Lite sends
 * each alone, eleven before a call: they were half of the gateway's CPU time, and most of Postgres'.
 */
import type { PostgresPool, PostgresPoolClient } from "kysely";
// @ts-types="@types/pg"
import pg from "pg";

/** A statement whose answer nobody reads, with at most one parameter. */
const setting = /^\s*select\s+set_config\('([\w.]+)',\s*(?:\$1|''),\s*true\)\s*$/i;

const nothing = { command: "SELECT", rowCount: 0, rows: [] };

/**
 * A pool whose connections keep `begin` and settings back until the first statement that does something, and send them
 * along with it. A transaction that has none is never begun. What is wrong with a setting is that statement's error.
 */
export function settingsTogether(pool: pg.Pool): PostgresPool {
  const wrapped = new WeakMap<pg.PoolClient, PostgresPoolClient>();
  return {
    async connect() {
      const client = await pool.connect();
      const known = wrapped.get(client) ?? keepBack(client);
      wrapped.set(client, known);
      return known;
    },
    end: () => pool.end(),
  };
}

function keepBack(client: pg.PoolClient): PostgresPoolClient {
  let begins = false;
  let settings: string[] = [];

  async function query(text: string, parameters: readonly unknown[] = []): Promise<unknown> {
    if (text === "begin") {
      begins = true;
      return nothing;
    }
    const [, name] = setting.exec(text) ?? [];
    if (name !== undefined) {
      settings.push(`set_config('${name}', ${pg.escapeLiteral(String(parameters[0] ?? ""))}, true)`);
      return nothing;
    }
    const first = [
      ...(begins ? ["begin"] : []),
      ...(settings.length > 0 ? [`select ${settings.join(", ")}`] : []),
    ].join("; ");
    const isNothing = begins && (text === "commit" || text === "rollback");
    [begins, settings] = [false, []];
    if (isNothing) return nothing;
    const values = [...parameters];
    if (first === "") return await client.query(text, values);
    // The connection does not wait between the two; the second fails where the first has.
    const [, result] = await Promise.all([client.query(first), client.query(text, values)]);
    return result;
  }

  return {
    // No cursor is configured, so that Kysely gives texts alone.
    query: query as PostgresPoolClient["query"],
    release() {
      [begins, settings] = [false, []];
      client.release();
    },
  };
}
