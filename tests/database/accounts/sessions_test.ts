import assert from "node:assert/strict";
import { type TestDatabase, testDatabase } from "../harness.ts";
import { first } from "../support/ledger.ts";

/** Signs a guest in on so many devices, as the platform's Auth does. */
async function signedIn({ sql, createUser }: TestDatabase, devices: number): Promise<string> {
  const userId = await createUser();
  await sql`
    with s as (
      insert into auth.sessions (id, user_id)
      select gen_random_uuid(), ${userId} from generate_series(1, ${devices}) returning *
    )
    insert into auth.refresh_tokens (id, token, user_id, session_id)
    select gen_random_uuid(), gen_random_uuid(), s.user_id, s.id from s`;
  return userId;
}

Deno.test("ending a user's sessions signs them out everywhere, and nobody else", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const userId = await signedIn(database, 2);
  const other = await signedIn(database, 1);
  const end = async () =>
    (await first(sql<{ ended: number }[]>`select accounts.end_sessions(${userId}) as ended`)).ended;
  assert.equal(await end(), 2);
  assert.equal(await end(), 0);
  const left = await sql`
    select s.user_id from auth.sessions as s join auth.refresh_tokens as t on t.session_id = s.id`;
  assert.deepEqual(left.map((row) => ({ ...row })), [{ user_id: other }]);
  assert.equal((await sql`select from auth.refresh_tokens`).length, 1);
});
