import assert from "node:assert/strict";
// @ts-types="@types/pg"
import type pg from "pg";
import { settingsTogether } from "./transaction-settings.ts";

/** A pool of one connection, and what is sent over it. */
function recordingPool(refused?: string) {
  const sent: string[] = [];
  const client = {
    query(text: string) {
      sent.push(text);
      return text.startsWith(refused ?? "\0")
        ? Promise.reject(new Error("refused"))
        : Promise.resolve({ command: "SELECT", rowCount: 1, rows: [text] });
    },
    release: () => {},
  };
  const pool = { connect: () => Promise.resolve(client), end: () => Promise.resolve() };
  return { sent, pool: settingsTogether(pool as unknown as pg.Pool) };
}

const role = ["SELECT set_config('role', $1, true)", ["service_role"]] as const;

Deno.test("settings are sent once, together, with the statement that they are for, and their values are quoted", async () => {
  const { sent, pool } = recordingPool();
  const client = await pool.connect();
  await client.query("begin", []);
  await client.query(...role);
  await client.query("SELECT set_config('response.status', '', true)", []);
  await client.query(" SELECT set_config('request.path', $1, true)", ["/it's\\here"]);
  assert.deepEqual(sent, []);
  assert.deepEqual((await client.query("select 1", [])).rows, ["select 1"]);
  await client.query("commit", []);
  assert.deepEqual(sent, [
    "begin; select set_config('role', 'service_role', true), set_config('response.status', '', true), " +
    "set_config('request.path',  E'/it''s\\\\here', true)",
    "select 1",
    "commit",
  ]);
});

Deno.test("a transaction in which nothing is asked is never begun, and leaves no setting to the next", async () => {
  const { sent, pool } = recordingPool();
  for (const end of ["commit", "rollback"]) {
    const client = await pool.connect();
    await client.query("begin", []);
    await client.query(...role);
    await client.query(end, []);
    await client.query("begin", []);
    await client.query(...role);
    client.release();
    await client.query("select 1", []);
  }
  assert.deepEqual(sent, ["select 1", "select 1"]);
});

Deno.test("a setting that is refused fails the statement that it came with", async () => {
  const { pool } = recordingPool("begin; select set_config");
  const client = await pool.connect();
  await client.query("begin", []);
  await client.query(...role);
  await assert.rejects(client.query("select 1", []), /refused/);
});

Deno.test("a statement that is more than a setting is sent as it is", async () => {
  const { sent, pool } = recordingPool();
  const client = await pool.connect();
  for (
    const text of [
      "select set_config('a', $1, false)",
      "select set_config('a', 'b', true), 1",
      "SET LOCAL ROLE x",
    ]
  ) await client.query(text, []);
  assert.equal(sent.length, 3);
});
