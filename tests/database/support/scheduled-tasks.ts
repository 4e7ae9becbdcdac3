/** The scheduled tasks, as the tests run them. */
import { first, type Sql } from "./ledger.ts";

/** Runs one now, due or not, and gives how many subjects it did. */
export async function runTask(sql: Sql, name: string): Promise<number> {
  await sql`update core.scheduled_tasks set next_run_at = '-infinity' where name = ${name}`;
  await sql`call core.run_task(${name})`;
  const { done } = await first(sql<{ done: number | null }[]>`
    select t.last_done as done from core.scheduled_tasks as t where t.name = ${name}`);
  return done ?? 0;
}

/** Runs one until nothing of it is left: a single run may end with its time, on a busy machine. */
export async function runTaskToEnd(sql: Sql, name: string): Promise<void> {
  let isDue = true;
  while (isDue) {
    await runTask(sql, name);
    ({ isDue } = await first(sql<{ isDue: boolean }[]>`
      select t.next_run_at <= core.now() as "isDue" from core.scheduled_tasks as t where t.name = ${name}`));
  }
}

export async function tick(sql: Sql): Promise<void> {
  await sql`call core.tick()`;
}
