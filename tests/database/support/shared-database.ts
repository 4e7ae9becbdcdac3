import { shared } from "../../shared.ts";
import { type TestDatabase, testDatabase } from "../harness.ts";

/** One database for all tests of a file. A copy costs as much as ten of them. Its clock only goes forward. */
export function sharedDatabase(open = testDatabase): TestDatabase {
  return shared(open);
}
