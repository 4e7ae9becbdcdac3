/** A call that the database does not answer in time is ended there, as on the platform. */
import assert from "node:assert/strict";
import { withConnection } from "../../local/postgres/database.ts";
import { asSuperuser, testDatabase } from "../database/harness.ts";
import { errorOf } from "./support/answer.ts";
import { newClient, startBackend } from "./support/backend.ts";

Deno.test("a statement of the Data API ends after its limit, and the endpoint answers ERR_6001", async () => {
  await using database = await testDatabase();
  // The platform's 8 s are those of the role; for this database they are fewer.
  await withConnection(asSuperuser(database.url), async (sql) => {
    const name = new URL(database.url).pathname.slice(1);
    await sql`alter role authenticator in database ${sql(name)} set statement_timeout = '1s'`;
    await sql`
      create function api.probe_slow() returns void language sql as 'select pg_sleep(60)';
      grant execute on function api.probe_slow to service_role;
    `.simple();
  });
  await using backend = await startBackend({ databaseUrl: database.url });
  const { stack } = backend;

  const operator = newClient({ url: stack.url, publishableKey: stack.secretKey });
  const { error, status } = await operator.schema("api").rpc("probe_slow");
  assert.deepEqual([status, error?.code], [500, "57014"]);

  const guest = await backend.signIn();
  await database.sql.begin(async (sql) => {
    await sql`lock table accounts.users in access exclusive mode`;
    const answer = await guest.call("user-profile");
    assert.deepEqual([answer.status, errorOf(answer).code], [503, "ERR_6001"]);
  });
  assert.equal((await guest.call("user-profile")).status, 200);
});
