import type postgres from "postgres";
import { shared } from "../../shared.ts";
import { type TestDatabase, testDatabase } from "../harness.ts";

/**
 * One database for all tests of a file. A copy costs as much as ten of them. Its clock only goes forward. Its parts may be
 * taken before it is open.
 */
export function sharedDatabase(open = testDatabase): TestDatabase {
  const database = shared(open);
  return {
    get url() {
      return database.url;
    },
    sql: new Proxy<postgres.Sql>(Object.assign(() => {}), {
      apply: (_, __, given) => Reflect.apply(database.sql, undefined, given),
      get: (_, name) => Reflect.get(database.sql, name),
    }),
    now: () => database.now(),
    advance: (milliseconds) => database.advance(milliseconds),
    createUser: () => database.createUser(),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}
