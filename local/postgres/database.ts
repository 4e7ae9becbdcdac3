/**
 * Databases on a running server: a connection for one piece of work, and databases that live as long as their handle.
 */
import postgres from "postgres";

/** Seconds. Of a connection that a server's death cut, the driver never says that it has ended. */
const endTimeout = 1;

export interface ConnectionOptions {
  /**
   * Whether the driver asks for the types of arrays, so that it can read and write lists; it does by default. It awaits the
   * answer nowhere, and its rejection ends the process: say false where the server is killed while others connect.
   */
  arrays?: boolean;
}

/** Runs `work` on one connection to the database at `url`, and closes it. The search path is the hosted platform's. */
export async function withConnection<T>(
  url: string,
  work: (sql: postgres.Sql) => Promise<T>,
  { arrays = true }: ConnectionOptions = {},
): Promise<T> {
  const sql = postgres(url, {
    max: 1,
    onnotice: () => {},
    fetch_types: arrays,
    connection: { search_path: '"$user", public, extensions' },
  });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: endTimeout });
  }
}

export interface Database extends AsyncDisposable {
  readonly url: string;
}

/** Makes an empty database on the server that `serverUrl` leads to. It is dropped, with its connections, by its handle. */
export async function createDatabase(serverUrl: string): Promise<Database> {
  return await create(serverUrl, "template0", serverUrl);
}

/**
 * Copies the database at `url`, which nobody may be connected to, on the server that `serverUrl` leads to as a superuser.
 * The copy has the same owner, and its URL the same user. It is dropped, with its connections, by its handle.
 */
export async function cloneDatabase(serverUrl: string, url: string): Promise<Database> {
  return await create(serverUrl, new URL(url).pathname.slice(1), url);
}

async function create(serverUrl: string, template: string, url: string): Promise<Database> {
  const name = `kinora_${crypto.randomUUID().replaceAll("-", "")}`;
  await withConnection(serverUrl, async (sql) => {
    const [row] = await sql<{ owner: string; strategy: string }[]>`
      select pg_get_userbyid(datdba) as owner,
             case current_setting('fsync') when 'off' then 'file_copy' else 'wal_log' end as strategy
        from pg_database where datname = ${template}`;
    if (row === undefined) throw new Error(`There is no database ${template}`);
    // Copying files needs two checkpoints: nothing to a server that does not wait for its disk, seconds to another.
    await sql`
      create database ${sql(name)} template ${sql(template)} owner ${sql(row.owner)} strategy ${
      sql(row.strategy)
    }`;
  });
  const database = new URL(url);
  database.pathname = `/${name}`;
  return {
    url: database.href,
    async [Symbol.asyncDispose]() {
      await withConnection(serverUrl, (sql) => sql`drop database ${sql(name)} with (force)`);
    },
  };
}
