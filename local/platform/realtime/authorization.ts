/** Who may use a private channel: whom the policies on `realtime.messages` let, asked in Postgres as that user. */
// @ts-types="@types/pg"
import pg from "pg";
import type { Caller } from "../lite.ts";

type Claims = Caller["claims"];

/** Of Postgres: the role may not do it. */
const insufficientPrivilege = "42501";

/** Whether whoever has these claims may hear the topic: whether they would see a message on it. */
export function mayListen(pool: pg.Pool, topic: string, claims: Claims): Promise<boolean> {
  return undone(pool, async (client) => {
    const { rows: [probe] } = await client.query<{ id: string }>(
      `insert into realtime.messages (topic, extension, private) values ($1, 'broadcast', true) returning id`,
      [topic],
    );
    await become(client, topic, claims);
    const { rowCount } = await client.query("select from realtime.messages as m where m.id = $1", [
      probe?.id,
    ]);
    return rowCount === 1;
  });
}

/** Whether they may send on it: whether they could write a message on it. */
export function maySend(pool: pg.Pool, topic: string, claims: Claims): Promise<boolean> {
  return undone(pool, async (client) => {
    await become(client, topic, claims);
    try {
      await client.query(
        `insert into realtime.messages (topic, extension, private) values ($1, 'broadcast', true)`,
        [topic],
      );
      return true;
    } catch (error) {
      if (error instanceof pg.DatabaseError && error.code === insufficientPrivilege) return false;
      throw error;
    }
  });
}

/** Acts until the end of the transaction as Realtime does in the name of a user. */
async function become(client: pg.PoolClient, topic: string, claims: Claims): Promise<void> {
  await client.query(
    `select set_config('realtime.topic', $1, true), set_config('request.jwt.claims', $2, true),
       set_config('request.jwt.claim.sub', $3, true), set_config('request.jwt.claim.role', $4, true),
       set_config('request.headers', '{}', true), set_config('role', $4, true)`,
    [topic, JSON.stringify(claims), typeof claims.sub === "string" ? claims.sub : "", claims.role],
  );
}

/** Milliseconds: a policy that takes longer holds up everybody's joining. */
const policyTimeout = 5_000;

/** Runs `work` in a transaction that is undone. */
async function undone<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let failure: Error | undefined;
  try {
    await client.query("begin");
    await client.query(`set local statement_timeout = ${policyTimeout}`);
    return await work(client);
  } finally {
    // The role of a connection that cannot be undone is somebody's: it goes.
    await client.query("rollback").catch((error: Error) => failure = error);
    client.release(failure);
  }
}
