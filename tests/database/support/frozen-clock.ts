/** A clock that stands still, for tests in which the milliseconds that a call takes would decide. */
import { advanceClock } from "../../../local/testing/settable-clock.ts";
import { type TestDatabase, testDatabase } from "../harness.ts";

export interface FrozenClock {
  /** Moves it forward; it stops again there. */
  advance(milliseconds: number): Promise<void>;
}

/** Stops `core.now()` on every connection of the database, for good. */
export async function freezeClock({ sql }: TestDatabase): Promise<FrozenClock> {
  await sql`
    create table testing.frozen_clock (at timestamptz not null);
    -- To the second, so that times survive JavaScript, which counts milliseconds.
    insert into testing.frozen_clock values (date_trunc('second', clock_timestamp()));
    create or replace function core.now() returns timestamptz language sql volatile security definer set search_path = ''
    as $$ select f.at + c.ahead from testing.frozen_clock as f, testing.clock as c $$;
  `.simple();
  return { advance: (milliseconds) => advanceClock(sql, milliseconds) };
}

/** A database in which time passes only when a test lets it. */
export async function stillDatabase(): Promise<TestDatabase> {
  const database = await testDatabase();
  await freezeClock(database);
  return database;
}
