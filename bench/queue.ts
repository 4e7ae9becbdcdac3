/**
 * Tasks a second that four workers claim and finish, in a short queue and behind a backlog; and how long the whole backend
 * takes to work off twice of what it can do.
 */
import { createClient } from "@supabase/supabase-js";
import type postgres from "postgres";
import { withConnection } from "../local/postgres/database.ts";
import { startStack } from "../local/stack.ts";
import { benchServer, migratedDatabase, widenPolicies } from "./database.ts";
import { showProgress } from "./progress.ts";
import type { Findings } from "./report.ts";

const workers = 4;
/** So many are finished in each row. */
const sample = 5_000;

async function addTasks(sql: postgres.Sql, count: number, dead: number): Promise<void> {
  await sql`
    insert into queue.tasks (kind, subject, owner_id, priority, place, run_at, created_at, failed_at)
    select (array['poll', 'store', 'submit', 'cancel'])[1 + n % 4], gen_random_uuid(), md5((n % 1000)::text)::uuid,
      1 + n % 4, n % 16, now() - n * interval '1 millisecond', now(), case when n > ${count}::integer then now() end
    from generate_series(1, ${count + dead}::integer) as n`;
  await sql`vacuum analyze queue.tasks`;
}

/** Tasks a second, and the slowest claim in milliseconds. */
async function drain(sql: postgres.Sql): Promise<{ rate: number; slowest: number }> {
  let left = sample;
  let slowest = 0;
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: workers }, async () => {
    while (left > 0) {
      const before = performance.now();
      const tasks = await sql<{ id: string; attempts: number }[]>`select id, attempts from queue.claim(10)`;
      slowest = Math.max(slowest, performance.now() - before);
      left -= tasks.length;
      if (tasks.length === 0) return;
      for (const { id, attempts } of tasks) await sql`select queue.finish(${id}, ${attempts})`;
    }
  }));
  return { rate: Math.round(sample / ((performance.now() - startedAt) / 1000)), slowest };
}

/** How fast tasks are claimed and finished, whatever waits. */
export async function measureQueue(): Promise<Findings> {
  await using cleanup = new AsyncDisposableStack();
  const sql = await migratedDatabase(await benchServer(cleanup), cleanup);
  await sql`update queue.kinds set concurrency = 1000`;
  const rows: string[][] = [];
  for (const [waiting, dead] of [[sample, 0], [2 * sample, 0], [100_000, 50_000]] as const) {
    showProgress(`the queue, ${waiting} due`);
    await sql`truncate queue.tasks`;
    await addTasks(sql, waiting, dead);
    const { rate, slowest } = await drain(sql);
    rows.push([`${waiting} due, ${dead} dead`, `${rate}`, `${Math.round(slowest)}`]);
  }
  const header = ["", "tasks/s", "slowest claim of ten, ms"];
  return { goals: [], tables: [{ title: `The queue: ${workers} workers`, header, rows }] };
}

/** Accepts videos for so many seconds, as many as it can, and tells how long their ends take. */
export async function measureOverload(seconds: number): Promise<Findings> {
  await using stack = await startStack({ fal: { queueMilliseconds: 50, runMilliseconds: 50 } });
  const client = createClient(stack.url, stack.publishableKey, { auth: { persistSession: false } });
  const { data } = await client.auth.signInAnonymously();
  const userId = data.user?.id ?? "";
  return await withConnection(stack.databaseUrl, async (sql) => {
    await widenPolicies(sql);
    await sql`select accounts.admit(${userId})`;
    await sql`select credits.add_credits(${userId}, 1000000, 'for a bench')`;

    let accepted = 0;
    const startedAt = performance.now();
    const open = async () =>
      (await sql`select count(*)::int as jobs from videos.jobs where completed_at is null`)[0]?.jobs;
    await Promise.all(Array.from({ length: 16 }, async () => {
      while (performance.now() - startedAt < seconds * 1000) {
        const { error } = await client.functions.invoke("generate-video", {
          body: { model_id: "0190a000-0000-7000-8000-000000000001", prompt: "A long river" },
          headers: { "Idempotency-Key": crypto.randomUUID() },
        });
        if (error === null) accepted += 1;
      }
    }));
    const backlog = await open();
    const waitsFrom = performance.now();
    while (await open() > 0) {
      const waited = (performance.now() - waitsFrom) / 1000;
      showProgress(`${await open()} open`);
      if (waited > 10 * seconds) throw new Error(`${await open()} jobs do not end`);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    const [ends] = await sql`
      select count(*) filter (where status = 'completed')::int as completed, count(*)::int as jobs from videos.jobs`;
    const figures = [
      ["videos accepted a second", accepted / seconds],
      ["open when no more came", backlog],
      ["seconds until the last had ended", (performance.now() - waitsFrom) / 1000],
      [`completed, of ${ends?.jobs}`, ends?.completed],
    ] as const;
    const rows = figures.map(([name, figure]) => [name, `${Math.round(figure)}`]);
    return { goals: [], tables: [{ title: `Overload for ${seconds} s`, header: ["", "figure"], rows }] };
  });
}
