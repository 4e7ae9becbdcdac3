import assert from "node:assert/strict";
import { withConnection } from "../../local/postgres/database.ts";
import { jobs } from "../deno-test.ts";
import { asSuperuser, testDatabase } from "./harness.ts";
import { connections, manyConnections, times } from "./support/connections.ts";

Deno.test("a crowd for which the server has no room fails, and does not hang", async () => {
  await using database = await testDatabase();
  const { pathname } = new URL(database.url);
  await withConnection(
    asSuperuser(database.url),
    (sql) => sql`alter database ${sql(pathname.slice(1))} connection limit 8`,
  );
  await assert.rejects(async () => {
    await using crowd = manyConnections(database);
    await times(connections, () => crowd`select pg_sleep(0.2)`);
  }, /too many connections for database/);
});

Deno.test("each file that runs at once has room for its pool and a crowd", async () => {
  await using database = await testDatabase();
  const [row] = await database.sql<{ room: number }[]>`
    select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as room`;
  // Of a pool of eight, beside the crowd, and the crowd before it, which is not gone yet.
  assert(row !== undefined && row.room >= jobs * (2 * connections + 8), `${row?.room} connections`);
});
