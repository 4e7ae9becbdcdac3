/** A migrated database with users who can pay, and connections to load it with. */
import postgres from "postgres";
import { createDatabase } from "../local/postgres/database.ts";
import { migrate } from "../local/postgres/migrations.ts";
import { preparePlatform } from "../local/platform/platform.ts";
import { loginAs, owner } from "../local/platform/platform-roles.ts";
import { startPostgres } from "../local/postgres/postgres.ts";

/** As many callers at once as the figures of the design were taken with. */
export const connections = 20;

export const modelId = "0190a000-0000-7000-8000-000000000001";

export interface BenchDatabase extends AsyncDisposable {
  sql: postgres.Sql;
  url: string;
  version: string;
}

/** Data in a folder that outlives a crash, so that commits wait for the disk as they do in production. */
export async function benchDatabase(): Promise<BenchDatabase> {
  await using cleanup = new AsyncDisposableStack();
  const directory = await Deno.makeTempDir({ prefix: "kinora-bench-" });
  cleanup.defer(() => Deno.remove(directory, { recursive: true }));
  const server = cleanup.use(await startPostgres({ dataDirectory: `${directory}/postgres` }));
  const database = cleanup.use(await createDatabase(server.url()));
  await preparePlatform(database.url);
  await migrate(database.url);
  const url = loginAs(owner, database.url);
  const sql = postgres(url, { max: connections, onnotice: () => {} });
  cleanup.defer(() => sql.end());
  const [row] = await sql`select current_setting('server_version') as version`;
  const kept = cleanup.move();
  return {
    sql,
    url,
    version: `Postgres ${row?.version}`,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** The id of a user by number; the same in TypeScript and SQL. */
export function userId(number: number): string {
  return `0190b000-0000-7000-8000-${number.toString(16).padStart(12, "0")}`;
}

/** Makes users 0 … count − 1 with so many credits each. */
export async function addUsers(sql: postgres.Sql, count: number, credits: number): Promise<void> {
  await sql`
    insert into accounts.users (id)
    select ('0190b000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid from generate_series(0, ${
    count - 1
  }::int) as n
    on conflict do nothing`;
  await sql`select count(credits.open_account(u.id)) from accounts.users as u`;
  await sql`
    select count(credits.add(u.id, ${credits}, 'purchase', 'bench:' || u.id)) from accounts.users as u`;
  // Not those that are still empty: a plan made for an empty table reads it as a whole, until the next analyze.
  await sql`analyze accounts.users, credits.accounts, credits.lots, credits.postings, credits.transfers`;
}

/**
 * Policies that never bind in a bench, as long as a user stays below 300 calls a second; `hot` has those
 * of generate-video count networks, for a user who calls more often, from many.
 */
export async function widenPolicies(sql: postgres.Sql, { hot = false } = {}): Promise<void> {
  await sql`update guard.policies set max_hits = 300, window_seconds = 1`;
  await sql`update videos.providers set daily_cap_cents = null`;
  if (hot) {
    await sql`update guard.policies set scope = 'network' where name in ('generation_attempts', 'uncaptured_jobs', 'video_generation')`;
  }
}
