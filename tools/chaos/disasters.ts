/** What goes wrong in a chaos run, done to a stack: everything runs again when it resolves. */
import { setTimeout as pause } from "node:timers/promises";
import postgres from "postgres";
import { withConnection } from "../../local/postgres/database.ts";
import { notification } from "../../local/platform/realtime/schema.ts";
import type { Stack } from "../../local/stack.ts";
import { advanceClock } from "../../local/testing/settable-clock.ts";
import type { Disaster } from "./faults.ts";

/** Whether it can be done here: a server of the developer's own is not ours to kill or to stop. */
export function isPossible({ what }: Disaster): boolean {
  const ownsDatabase = (Deno.env.get("DATABASE_URL") ?? "") === "";
  return ownsDatabase || !["database", "database stalled", "connections"].includes(what);
}

/** A disk that is full is one of its own, which takes a mount. */
export const notTried = "a full disk, and storage that is read-only: they take a mount";

export async function strikeWith(disaster: Disaster, stack: Stack, dataDirectory: string): Promise<void> {
  const { what, milliseconds } = disaster;
  const wait = () => pause(milliseconds).then(() => {});
  switch (what) {
    case "clock":
      return await letTimePass(stack, milliseconds);
    case "functions":
    case "gateway":
    case "database":
      await stack[what].kill();
      await wait();
      return await stack[what].start();
    case "functions stalled":
      return await stall(stack.functions.pid === undefined ? [] : [stack.functions.pid], wait);
    case "gateway stalled":
      return await stall([stack.gateway.pid], wait);
    case "database stalled":
      return await stall(await serverProcesses(dataDirectory), wait);
    case "connections":
      return await takeConnections(stack.databaseUrl, wait);
    case "realtime":
      return await withConnection(stack.databaseUrl, async (sql) => {
        await sql`
          select pg_terminate_backend(a.pid) from pg_stat_activity as a
          where a.datname = current_database() and a.query = ${`listen ${notification}`}`;
      });
    case "lock":
      return await hold(stack.databaseUrl, stuckSession, wait);
    case "scheduler":
      // Whoever has the tasks' rows keeps every clock from them.
      return await hold(stack.databaseUrl, "select from core.scheduled_tasks for update", async () => {
        await letTimePass(stack, 3_600_000);
        await wait();
      });
  }
}

/** For us and for Apple, whose history is read by our clock. */
export async function letTimePass({ databaseUrl, simulators }: Stack, milliseconds: number): Promise<void> {
  await simulators.appStore.control.elapse(milliseconds);
  await withConnection(databaseUrl, (sql) => advanceClock(sql, milliseconds));
}

/** A session that somebody left open, with the accounts, jobs and tasks that it touched last. */
const stuckSession = `
  with jobs as (select j.id, j.user_id from videos.jobs as j where j.completed_at is null order by j.id desc limit 3),
  accounts as (
    select a.id from credits.accounts as a where a.owner_id in (select user_id from jobs) and a.kind = 'available' for update
  ),
  rows as (select t.id from queue.tasks as t where t.subject in (select id from jobs) limit 3 for update)
  select (select count(*) from accounts), (select count(*) from rows)`;

async function hold(url: string, statement: string, wait: () => Promise<void>): Promise<void> {
  await withConnection(url, (sql) =>
    sql.begin(async (sql) => {
      await sql`set local lock_timeout = '1s'`;
      await sql.unsafe(statement);
      await wait();
    })).catch((error) => {
      // It came too late for its locks.
      if (!(error instanceof postgres.PostgresError && error.code === "55P03")) throw error;
    });
}

/** Stops processes where they are, as a machine does that swaps, and lets them go on. */
async function stall(pids: readonly number[], wait: () => Promise<void>): Promise<void> {
  const signal = (name: Deno.Signal) => {
    for (const pid of pids) {
      try {
        Deno.kill(pid, name);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  };
  signal("SIGSTOP");
  try {
    await wait();
  } finally {
    signal("SIGCONT");
  }
}

/** The server, and the processes that it has made, each of them in a session of its own. */
async function serverProcesses(dataDirectory: string): Promise<number[]> {
  for await (const { name } of Deno.readDir(dataDirectory)) {
    for (
      const path of [
        `${dataDirectory}/${name}/postmaster.pid`,
        `${dataDirectory}/${name}/cluster/postmaster.pid`,
      ]
    ) {
      const text = await Deno.readTextFile(path).catch(() => "");
      const pid = Number(text.split("\n")[0]);
      if (!(pid > 0)) continue;
      const children = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`).catch(() => "");
      return [pid, ...children.split(" ").filter(Boolean).map(Number)];
    }
  }
  return [];
}

/** More than any server that a developer has lets in. */
const manyConnections = 400;

async function takeConnections(url: string, wait: () => Promise<void>): Promise<void> {
  const taken: postgres.Sql[] = [];
  try {
    for (let number = 0; number < manyConnections; number++) {
      const sql = postgres(url, { max: 1, onnotice: () => {}, connect_timeout: 5 });
      taken.push(sql);
      if (!await sql`select`.then(() => true, () => false)) break;
    }
    await wait();
  } finally {
    await Promise.all(taken.map((sql) => sql.end({ timeout: 1 })));
  }
}
