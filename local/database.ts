/**
 * Databases on a running server: a connection for one piece of work, and databases that live as long as their handle.
 */
import postgres from "postgres";

/** Runs `work` on one connection to the database at `url`, and closes it. The search path is the hosted platform's. */
export async function withConnection<T>(url: string, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, {
    max: 1,
    onnotice: () => {},
    connection: { search_path: '"$user", public, extensions' },
  });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

export interface Database extends AsyncDisposable {
  readonly url: string;
}

/**
 * Makes a database on the server that `serverUrl` leads to: a copy of the one called `template`, or an empty one.
 * It is dropped, with whoever is still connected to it, when the result is disposed of.
 */
export async function createDatabase(serverUrl: string, template = "template0"): Promise<Database> {
  const name = `kinora_${crypto.randomUUID().replaceAll("-", "")}`;
  await withConnection(serverUrl, (sql) => sql`create database ${sql(name)} template ${sql(template)}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    async [Symbol.asyncDispose]() {
      await withConnection(serverUrl, (sql) => sql`drop database ${sql(name)} with (force)`);
    },
  };
}
