import { createDatabase, type Database, withConnection } from "../local/postgres/database.ts";
import { migrate } from "../local/postgres/migrations.ts";
import { preparePlatform } from "../local/platform/platform.ts";
import { loginAs, owner } from "../local/platform/platform-roles.ts";

/**
 * Makes a migrated database to copy from, on the server that `serverUrl` leads to as a superuser. Its URL is the owner's. It
 * is dropped with its handle.
 */
export async function createTemplate(serverUrl: string): Promise<Database> {
  await using cleanup = new AsyncDisposableStack();
  const database = cleanup.use(await createDatabase(serverUrl));
  await preparePlatform(database.url);
  await migrate(database.url);
  // A database that somebody is connected to cannot be copied.
  const name = new URL(database.url).pathname.slice(1);
  await withConnection(serverUrl, (sql) => sql`alter database ${sql(name)} allow_connections false`);
  const kept = cleanup.move();
  return { url: loginAs(owner, database.url), [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
