/** A clock that tests set: `core.now()` of a database of theirs. The migrations make it the real one, which nothing can set. */
import type postgres from "postgres";

/** Replaces `core.now()`, where there is one. A definer, since every role asks for the time. */
export async function makeClockSettable(sql: postgres.Sql): Promise<void> {
  const [clock] = await sql<
    { exists: boolean }[]
  >`select to_regprocedure('core.now()') is not null as exists`;
  if (!clock?.exists) return;
  await sql`
    create schema testing;
    create table testing.clock (ahead interval not null);
    insert into testing.clock values ('0');
    create or replace function core.now() returns timestamptz language sql volatile security definer set search_path = ''
    as $$ select clock_timestamp() + (select ahead from testing.clock) $$;
  `.simple();
}

/** Moves the clock forward, on every connection, for what begins after it. */
export async function advanceClock(sql: postgres.Sql, milliseconds: number): Promise<void> {
  await sql`update testing.clock set ahead = ahead + ${milliseconds} * interval '1 millisecond'`;
}
