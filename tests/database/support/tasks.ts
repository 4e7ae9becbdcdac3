/** Tasks for subjects that need no job, and their kinds as a test wants them. */
import { claimTasks, type Task } from "./generation.ts";
import { first, type Sql } from "./ledger.ts";

/** Makes tasks of a kind, due now, for subjects that need no job. */
export async function addTasks(
  sql: Sql,
  kind: string,
  count: number,
  { owner = null, lane = "" }: { owner?: string | null; lane?: string } = {},
): Promise<string[]> {
  const subjects = Array.from({ length: count }, () => crypto.randomUUID());
  for (const subject of subjects) {
    await sql`select queue.add(${kind}, ${subject}, ${owner}, core.now(), p_lane => ${lane})`;
  }
  return subjects;
}

/** Of each attempt, whether it has its task still. */
export async function renew(sql: Sql, tasks: readonly Task[]): Promise<boolean[]> {
  const { kept } = await first(sql<{ kept: boolean[] }[]>`
    select api.renew_tasks(${tasks.map(({ task_id }) => task_id)}, ${tasks.map(({ attempt }) => attempt)})
      #> '{data,kept}' as kept`);
  return kept;
}

/** A kind without chance in its backoff. */
export async function setKind(
  sql: Sql,
  kind: string,
  {
    concurrency = 100,
    laneConcurrency = null,
    tries = null,
    backoff = "fixed",
    base = 10,
    max = 1000,
    lease = 60,
    timeout = 60,
  }: {
    concurrency?: number;
    laneConcurrency?: number | null;
    tries?: number | null;
    backoff?: "fixed" | "exponential";
    base?: number;
    max?: number;
    lease?: number;
    timeout?: number;
  },
): Promise<void> {
  await sql`
    update queue.kinds
    set concurrency = ${concurrency}, lane_concurrency = ${laneConcurrency}, tries = ${tries}, backoff = ${backoff}, base_seconds = ${base},
      max_seconds = ${max}, jitter = 0, lease_seconds = ${lease}, timeout_seconds = ${timeout}
    where kind = ${kind}`;
}

export async function claimOne(sql: Sql): Promise<Task> {
  return await first(claimTasks(sql, 1));
}
