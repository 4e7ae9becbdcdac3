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

/** Makes an empty database on the server that `serverUrl` leads to. It is dropped, with its connections, by its handle. */
export async function createDatabase(serverUrl: string): Promise<Database> {
  return await create(new URL(serverUrl), "template0");
}

/** Copies the database at `url`, which nobody may be connected to. The copy is dropped, with its connections, by its handle. */
export async function cloneDatabase(url: string): Promise<Database> {
  const server = new URL(url);
  const template = server.pathname.slice(1);
  server.pathname = "/postgres";
  return await create(server, template);
}

async function create(server: URL, template: string): Promise<Database> {
  const name = `kinora_${crypto.randomUUID().replaceAll("-", "")}`;
  await withConnection(server.href, (sql) => sql`create database ${sql(name)} template ${sql(template)}`);
  const database = new URL(server);
  database.pathname = `/${name}`;
  return {
    url: database.href,
    async [Symbol.asyncDispose]() {
      await withConnection(server.href, (sql) => sql`drop database ${sql(name)} with (force)`);
    },
  };
}
