/** Migrated databases with users who can pay, and connections to load them with. */
import postgres from "postgres";
import { createDatabase } from "../local/postgres/database.ts";
import { migrate } from "../local/postgres/migrations.ts";
import { preparePlatform } from "../local/platform/platform.ts";
import { loginAs, owner } from "../local/platform/platform-roles.ts";
import { startPostgres } from "../local/postgres/postgres.ts";
import { processes } from "../local/processes/process-table.ts";
import { systemIsLinux } from "../local/processes/system.ts";

/** As many callers at once as the figures of the design were taken with. */
export const connections = 20;

export const modelId = "0190a000-0000-7000-8000-000000000001";

/** A temporary folder whose data outlive a crash, so that commits wait for the disk as they do in production. */
export async function benchFolder(cleanup: AsyncDisposableStack): Promise<string> {
  const directory = await Deno.makeTempDir({ prefix: "kinora-bench-" });
  // Postgres may run as another user.
  await Deno.chmod(directory, 0o755);
  cleanup.defer(() => Deno.remove(directory, { recursive: true }));
  return directory;
}

/** For as many databases as have connections open at once: ours, one with a history, the baselines', and another checkout's. */
const maxConnections = 8 * connections;

/** A Postgres of the bench's own; gives a superuser's URL. */
export async function benchServer(cleanup: AsyncDisposableStack): Promise<string> {
  const dataDirectory = `${await benchFolder(cleanup)}/postgres`;
  return cleanup.use(await startPostgres({ dataDirectory, maxConnections })).url();
}

/** Connections to an empty database of the server, as the user of its URL. */
export async function emptyDatabase(server: string, cleanup: AsyncDisposableStack): Promise<postgres.Sql> {
  return connect(cleanup.use(await createDatabase(server)).url, cleanup);
}

/** Connections to a new database of the server with our migrations, or with those of another checkout's folder. */
export async function migratedDatabase(
  server: string,
  cleanup: AsyncDisposableStack,
  migrations?: URL,
): Promise<postgres.Sql> {
  const { url } = cleanup.use(await createDatabase(server));
  await preparePlatform(url);
  await migrate(url, migrations);
  return connect(loginAs(owner, url), cleanup);
}

function connect(url: string, cleanup: AsyncDisposableStack): postgres.Sql {
  const sql = postgres(url, { max: connections, onnotice: () => {} });
  cleanup.defer(() => sql.end());
  return sql;
}

/** CPU time of the database's backends so far, in milliseconds; NaN where the system does not tell. */
export async function backendCpu(sql: postgres.Sql): Promise<number> {
  if (!systemIsLinux) return NaN;
  const backends = await sql`select a.pid from pg_stat_activity as a where a.datname = current_database()`;
  return milliseconds(backends.map(({ pid }) => pid));
}

/** CPU time of the whole server so far, as `backendCpu`, with that of processes that have ended. */
export async function serverCpu(sql: postgres.Sql): Promise<number> {
  if (!systemIsLinux) return NaN;
  const [backend] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
  const all = processes();
  const postmaster = all.get(backend?.pid ?? 0)?.parent;
  const living = [...all].filter(([, { parent }]) => parent === postmaster).map(([pid]) => pid);
  const stat = await Deno.readTextFile(`/proc/${postmaster}/stat`);
  // Of children that have ended: user and system time, in ticks of 10 ms.
  const [user, system] = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(13, 15);
  return await milliseconds(living) + 10 * (Number(user) + Number(system));
}

async function milliseconds(pids: readonly number[]): Promise<number> {
  const nanoseconds = await Promise.all(pids.map(async (pid) => {
    const text = await Deno.readTextFile(`/proc/${pid}/schedstat`).catch(() => "0");
    return Number(text.split(" ")[0]);
  }));
  return nanoseconds.reduce((sum, each) => sum + each, 0) / 1e6;
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
 * Policies that never bind in a bench, as long as a user and a network stay below 300 calls a second. Where one of them makes
 * more, `each` says what generate-video counts instead: networks for one hot user, users for all behind one network.
 */
export async function widenPolicies(sql: postgres.Sql, each?: "network" | "user"): Promise<void> {
  await sql`update guard.policies set max_hits = 300, window_seconds = 1 where counts = 'hits'`;
  await sql`update videos.providers set daily_cap_cents = null, max_in_flight = 1000000`;
  if (each !== undefined) {
    await sql`
      update guard.policies set scope = ${each}
      where name in ('generation_attempts', 'generation_attempts_network', 'uncaptured_jobs', 'video_generation')`;
  }
}
