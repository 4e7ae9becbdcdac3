import assert from "node:assert/strict";
import { withConnection } from "./database.ts";
import { existingServer, requireUsable } from "./postgres-external.ts";
import { startPostgres } from "./postgres.ts";

Deno.env.delete("DATABASE_URL");

Deno.test("a server of one's own is used as it is, and its other databases are reached on it", async () => {
  await using own = await startPostgres();
  const databaseUrl = `${own.url("template1")}?application_name=mine`;
  await using server = await existingServer(databaseUrl);
  assert.equal(server.url(), databaseUrl);
  assert.equal(server.url("postgres"), `${own.url("postgres")}?application_name=mine`);
  assert.equal(server.port, own.port);
  assert.equal(server.pid, undefined);
});

Deno.test("a user who is no superuser is refused in one line", async () => {
  await using own = await startPostgres();
  await withConnection(own.url(), (sql) => sql`create role limited login password 'secret'`);
  const url = new URL(own.url());
  url.username = "limited";
  url.password = "secret";
  await assert.rejects(existingServer(url.href), {
    message: "The user limited of DATABASE_URL must be a superuser",
  });
});

Deno.test("a server before version 17 is refused in one line", () => {
  assert.throws(
    () => requireUsable({ version: 160010, versionName: "16.10", user: "postgres", superuser: true }),
    {
      message: "DATABASE_URL names PostgreSQL 16.10, and version 17 or later is needed",
    },
  );
});
