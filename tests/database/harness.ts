/**
 * A database of its own for each test file: a copy of the migrated template that tests/run.ts makes, with a clock that the
 * test sets.
 */
import postgres from "postgres";
import { cloneDatabase, createDatabase, type Database } from "../../local/postgres/database.ts";
import { advanceClock, makeClockSettable } from "../../local/testing/settable-clock.ts";

/** Names the migrated template; tests/run.ts sets it for the tests it starts. */
export const templateVariable = "TEST_TEMPLATE_URL";
/** Names the server of the template, as its superuser; set beside it. */
export const serverVariable = "TEST_SERVER_URL";

export interface TestDatabase extends AsyncDisposable {
  readonly url: string;
  /** A pool of connections, as the owner. */
  readonly sql: postgres.Sql;
  /** What `core.now()` says. */
  now(): Promise<Date>;
  /** Moves `core.now()` forward, on every connection, for what begins after it. */
  advance(milliseconds: number): Promise<void>;
  /** Signs up a guest, as the platform's Auth does, and gives its id. */
  createUser(): Promise<string>;
}

/** Eight callers at once contend for every lock that a thousand would, and leave connections to the files beside. */
const poolSize = 8;

/** Copies the template. The copy, and its connections, go when the result is disposed of. */
export async function testDatabase(): Promise<TestDatabase> {
  const database = await cloneTemplate();
  const sql = postgres(database.url, { max: poolSize, onnotice: () => {} });
  await makeClockSettable(sql);
  return {
    url: database.url,
    sql,
    async now() {
      const [row] = await sql<{ now: Date }[]>`select core.now() as now`;
      if (row === undefined) throw new Error("core.now() gave nothing");
      return row.now;
    },
    advance: (milliseconds) => advanceClock(sql, milliseconds),
    async createUser() {
      const id = crypto.randomUUID();
      await sql`insert into auth.users (id, is_anonymous) values (${id}, true)`;
      return id;
    },
    async [Symbol.asyncDispose]() {
      // Seconds: a connection that the server refused never says that it has ended.
      await sql.end({ timeout: 5 });
      await database[Symbol.asyncDispose]();
    },
  };
}

/** A copy of the template as the migrations left it: `core.now()` is the real clock. */
export async function cloneTemplate(): Promise<Database> {
  return await cloneDatabase(readVariable(serverVariable), readVariable(templateVariable));
}

/** A database before the platform and the migrations. Its URL is the superuser's. */
export async function emptyDatabase(): Promise<Database> {
  return await createDatabase(readVariable(serverVariable));
}

/** The URL of the same database for the superuser, who does what the platform does and the owner may not. */
export function asSuperuser(url: string): string {
  const own = new URL(readVariable(serverVariable));
  own.pathname = new URL(url).pathname;
  return own.href;
}

function readVariable(name: string): string {
  const url = Deno.env.get(name);
  if (url === undefined) throw new Error(`${name} is not set: run this with deno task test`);
  return url;
}
