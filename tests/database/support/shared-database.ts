import { type TestDatabase, testDatabase } from "../harness.ts";

/**
 * One database for all tests of a file, where each makes users of its own and asserts about them alone: a copy costs as
 * much as ten such tests. Its clock only goes forward.
 */
export function sharedDatabase(open = testDatabase): TestDatabase {
  let database: TestDatabase | undefined;
  const opened = () => {
    if (database === undefined) throw new Error("The database is there while tests run");
    return database;
  };
  const close = async () => await database?.[Symbol.asyncDispose]();
  Deno.test.beforeAll(async () => {
    database = await open();
  });
  Deno.test.afterAll(close);
  return {
    get url() {
      return opened().url;
    },
    get sql() {
      return opened().sql;
    },
    now: () => opened().now(),
    advance: (milliseconds) => opened().advance(milliseconds),
    createUser: () => opened().createUser(),
    [Symbol.asyncDispose]: close,
  };
}
