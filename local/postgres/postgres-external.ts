/**
 * A Postgres server of the developer's own, named by DATABASE_URL.
 */
import { withConnection } from "./database.ts";
import type { Postgres } from "./postgres.ts";

/** The oldest version that has everything the migrations use; numbered as server_version_num is. */
const oldestVersion = 170000;

interface ExistingServer {
  version: number;
  versionName: string;
  user: string;
  superuser: boolean;
}

/** Gives the server of `databaseUrl`, or rejects with a line that says why it will not do. */
export async function existingServer(databaseUrl: string): Promise<Postgres> {
  requireUsable(
    await withConnection(databaseUrl, async (sql) => {
      const [server] = await sql<ExistingServer[]>`
        select current_setting('server_version_num')::int as version,
               current_setting('server_version') as "versionName",
               rolname as user,
               rolsuper as superuser
          from pg_roles where rolname = current_user`;
      if (server === undefined) throw new Error("A Postgres without its own user");
      return server;
    }),
  );
  const url = new URL(databaseUrl);
  return {
    port: Number(url.port || "5432"),
    pid: undefined,
    url(database) {
      const other = new URL(url);
      if (database !== undefined) other.pathname = `/${database}`;
      return other.href;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Throws, in one line, unless the migrations can run there. */
export function requireUsable({ version, versionName, user, superuser }: ExistingServer): void {
  if (version < oldestVersion) {
    throw new Error(`DATABASE_URL names PostgreSQL ${versionName}, and version 17 or later is needed`);
  }
  if (!superuser) throw new Error(`The user ${user} of DATABASE_URL must be a superuser`);
}
