/** A database that answers and takes no writes is not well: `health` finds it out. */
import assert from "node:assert/strict";
import postgres from "postgres";
import { asSuperuser, testDatabase } from "../harness.ts";

Deno.test("health raises what a write would: where the database is read-only, where its disk is full", async () => {
  await using database = await testDatabase();
  const superuser = postgres(asSuperuser(database.url), { max: 1, onnotice: () => {} });
  const codeOf = async (setting: string) => {
    const sql = postgres(database.url, { max: 1, onnotice: () => {} });
    try {
      await sql`select api.health()`;
      return null;
    } catch (error) {
      return error instanceof postgres.PostgresError ? error.code : `${setting}: ${error}`;
    } finally {
      await sql.end({ timeout: 1 });
    }
  };
  const name = new URL(database.url).pathname.slice(1);
  try {
    assert.equal(await codeOf("none"), null);
    for (
      const [setting, value, code] of [
        ["default_transaction_read_only", "on", "25006"],
        // As near as one gets without a disk of one's own: what is written there goes the same way.
        ["temp_file_limit", "1kB", "53400"],
      ] as const
    ) {
      await superuser.unsafe(`alter database ${name} set ${setting} = '${value}'`);
      assert.equal(await codeOf(setting), code, setting);
      await superuser.unsafe(`alter database ${name} reset ${setting}`);
      assert.equal(await codeOf(setting), null, `after ${setting}`);
    }
  } finally {
    await superuser.end({ timeout: 1 });
  }
});

Deno.test("health waits for nobody who holds its row, and keeps one row", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await Promise.all([1, 2, 3, 4].map(() => sql`select api.health()`));
  await sql.begin(async (holder) => {
    await holder`select from core.written for update`;
    await sql`select api.health()`;
  });
  assert((await sql`select from core.written`).length <= 4);
});
