/**
 * A Postgres server of the developer's own, named by DATABASE_URL.
 */
import postgres from "postgres";
import type { Postgres } from "./postgres.ts";

/** The oldest version that has everything the migrations use; numbered as server_version_num is. */
const oldestVersion = 150000;

/** Gives the server of `databaseUrl`, unless it is too old or its user no superuser: then rejects, saying so in a line. */
export async function existingServer(databaseUrl: string): Promise<Postgres> {
  const url = new URL(databaseUrl);
  const sql = postgres(databaseUrl, { max: 1 });
  try {
    const [server] = await sql<{ version: number; versionName: string; user: string; superuser: boolean }[]>`
      select current_setting('server_version_num')::int as version, current_setting('server_version') as "versionName",
             current_user as user, rolsuper as superuser
        from pg_roles where rolname = current_user`;
    if (server === undefined || server.version < oldestVersion) {
      throw new Error(
        `DATABASE_URL names PostgreSQL ${server?.versionName}, and version 15 or later is needed`,
      );
    }
    if (!server.superuser) throw new Error(`The user ${server.user} of DATABASE_URL must be a superuser`);
  } finally {
    await sql.end();
  }
  return {
    port: Number(url.port || "5432"),
    pid: undefined,
    url(database) {
      if (database === undefined) return url.href;
      const other = new URL(url);
      other.pathname = `/${database}`;
      return other.href;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
