import assert from "node:assert/strict";
import postgres from "postgres";
import { withConnection } from "../../local/postgres/database.ts";
import { testDatabase } from "./harness.ts";

const day = 24 * 60 * 60 * 1000;

Deno.test("the clock is moved for every connection of one database, and of no other", async () => {
  await using moved = await testDatabase();
  await using other = await testDatabase();
  await moved.advance(2 * day);
  await moved.advance(0.5);

  const seen = await withConnection(moved.url, async (sql) => {
    const [row] = await sql<{ now: Date }[]>`select core.now() as now`;
    return row?.now.getTime() ?? 0;
  });
  assert.ok(Math.abs(seen - Date.now() - 2 * day) < day / 2);
  assert.ok(Math.abs((await moved.now()).getTime() - seen) < day / 2);
  assert.ok(Math.abs((await other.now()).getTime() - Date.now()) < day / 2);
});

Deno.test("time goes on by itself within a transaction", async () => {
  await using database = await testDatabase();
  const [row] = await database.sql.begin((sql) =>
    sql<{ later: boolean }[]>`
      with first as materialized (select core.now() as at from pg_sleep(0))
      select core.now() > first.at as later from first, pg_sleep(0.002)`
  );
  assert.ok(row?.later);
});

Deno.test("a created user is a guest of the platform's Auth", async () => {
  await using database = await testDatabase();
  const id = await database.createUser();
  const [user] = await database.sql`select is_anonymous, role from auth.users where id = ${id}`;
  assert.deepEqual({ ...user }, { is_anonymous: true, role: "authenticated" });
});

Deno.test("a database is gone with its handle, whoever is connected to it", async () => {
  const database = await testDatabase();
  const straggler = postgres(database.url, { max: 1, onnotice: () => {} });
  try {
    await straggler`select 1`;
    await database[Symbol.asyncDispose]();
    await assert.rejects(straggler`select 1`);
    await assert.rejects(withConnection(database.url, (sql) => sql`select 1`), /does not exist/);
  } finally {
    await straggler.end();
  }
});
