import assert from "node:assert/strict";
import { manyConnections, times } from "./support/connections.ts";
import { stillDatabase } from "./support/frozen-clock.ts";
import {
  claimTasks,
  readJob,
  receiveEvent,
  recordStored,
  retryTask,
  startVideo,
  submit,
  succeeded,
  type Task,
} from "./support/generation.ts";
import { first, type Sql, violations } from "./support/ledger.ts";

const second = 1000;

/** Makes tasks of a kind, due now, for subjects that need no job. */
async function addTasks(sql: Sql, kind: string, count: number): Promise<string[]> {
  const subjects = Array.from({ length: count }, () => crypto.randomUUID());
  for (const subject of subjects) await sql`select generation.add_task(${kind}, ${subject}, ops.now())`;
  return subjects;
}

/** A kind without chance in its backoff. */
async function setKind(
  sql: Sql,
  kind: string,
  { concurrency = 100, tries = null, backoff = "fixed", base = 10, max = 1000, timeout = 60 }: {
    concurrency?: number;
    tries?: number | null;
    backoff?: "fixed" | "exponential";
    base?: number;
    max?: number;
    timeout?: number;
  },
): Promise<void> {
  await sql`
    update generation.task_kinds
    set concurrency = ${concurrency}, tries = ${tries}, backoff = ${backoff}, base_seconds = ${base},
      max_seconds = ${max}, jitter = 0, timeout_seconds = ${timeout}
    where kind = ${kind}`;
}

async function claimOne(sql: Sql): Promise<Task> {
  return await first(claimTasks(sql, 1));
}

Deno.test("an open task of the same kind and subject is the same work, at the earlier time", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const subject = crypto.randomUUID();
  await sql`select generation.add_task('poll', ${subject}, ops.now() + interval '1 hour', '{"a": 1, "b": 1}')`;
  await sql`select generation.add_task('poll', ${subject}, ops.now(), '{"b": 2}')`;
  await sql`select generation.add_task('poll', ${subject}, ops.now() + interval '2 hours')`;
  await sql`select generation.add_task('store', ${subject}, ops.now() + interval '1 hour')`;
  const tasks = await claimTasks(sql);
  assert.deepEqual(
    tasks.map(({ kind, subject, attempt, payload }) => ({ kind, subject, attempt, payload })),
    [
      { kind: "poll", subject, attempt: 1, payload: { a: 1, b: 2 } },
    ],
  );
  await assert.rejects(sql`select generation.add_task('juggle', ${subject}, ops.now())`, { code: "23502" });
});

Deno.test("tasks are handed out by priority, then age", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const expected: string[] = [];
  for (const kind of ["poll", "submit", "store", "cancel"]) {
    expected.unshift(...await addTasks(sql, kind, 2));
  }
  const claimed = [...await claimTasks(sql, 3), ...await claimTasks(sql, 10)].map(({ subject }) => subject);
  assert.deepEqual(claimed, expected);
  assert.deepEqual(await claimTasks(sql), []);
});

Deno.test("a kind has no more tasks at work than its concurrency, and does not hold up the others", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await setKind(sql, "cancel", { concurrency: 3, timeout: 60 });
  await addTasks(sql, "cancel", 5);
  await addTasks(sql, "poll", 2);
  const kinds = async () => (await claimTasks(sql)).map(({ kind }) => kind);
  assert.deepEqual(await kinds(), ["cancel", "cancel", "cancel", "poll", "poll"]);
  assert.deepEqual(await kinds(), []);
  await sql`delete from generation.tasks where id = (select min(id) from generation.tasks)`;
  assert.deepEqual(await kinds(), ["cancel"]);
  await advance(61 * second);
  assert.deepEqual((await kinds()).filter((kind) => kind === "cancel").length, 3);
});

Deno.test("many claimers at once never get the same task, nor more than the concurrency together", async () => {
  await using database = await stillDatabase();
  await using sql = manyConnections(database);
  await setKind(sql, "poll", { concurrency: 60 });
  await setKind(sql, "store", { concurrency: 7 });
  await addTasks(sql, "poll", 50);
  await addTasks(sql, "store", 20);
  const claimed = (await times(32, () => claimTasks(sql, 5))).flat();
  assert.equal(new Set(claimed.map(({ task_id }) => task_id)).size, claimed.length);
  assert.equal(claimed.filter(({ kind }) => kind === "poll").length, 50);
  assert.equal(claimed.filter(({ kind }) => kind === "store").length, 7);
});

Deno.test("a task that another transaction holds is passed over", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const [held, free] = await addTasks(sql, "poll", 2);
  await sql.begin(async (holder) => {
    await holder`select from generation.tasks where subject = ${held ?? null} for update`;
    assert.deepEqual((await claimTasks(sql)).map(({ subject }) => subject), [free]);
  });
  assert.deepEqual((await claimTasks(sql)).map(({ subject }) => subject), [held]);
});

Deno.test("a lease runs out, and its attempt number fences off whoever comes back too late", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await setKind(sql, "poll", { timeout: 60 });
  await addTasks(sql, "poll", 1);
  const slow = await claimOne(sql);
  await advance(59 * second);
  assert.deepEqual(await claimTasks(sql), []);
  await advance(2 * second);
  const quick = await claimOne(sql);
  assert.deepEqual([quick.task_id, quick.attempt], [slow.task_id, 2]);

  assert.equal(await retryTask(sql, slow), "lost");
  const { leased } = await first(sql`select t.leased_until > ops.now() as leased from generation.tasks as t`);
  assert.equal(leased, true);
  assert.equal(await retryTask(sql, quick), "waiting");
});

Deno.test("a failed attempt comes back by its kind's backoff, and not before the time that was named", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const waits = async (afterSeconds: number | null = null) => {
    const task = await claimOne(sql);
    assert.equal(await retryTask(sql, task, afterSeconds), "waiting");
    const { seconds } = await first(sql<{ seconds: number }[]>`
      select round(extract(epoch from t.run_at - ops.now()))::integer as seconds
      from generation.tasks as t where t.id = ${task.task_id}`);
    await advance(seconds * second);
    return seconds;
  };
  await addTasks(sql, "poll", 1);
  await setKind(sql, "poll", { backoff: "exponential", base: 10, max: 50 });
  assert.deepEqual([await waits(), await waits(), await waits(), await waits(), await waits()], [
    10,
    20,
    40,
    50,
    50,
  ]);
  await setKind(sql, "poll", { backoff: "fixed", base: 10, max: 50 });
  assert.deepEqual([await waits(), await waits(3), await waits(300)], [10, 10, 300]);
  await sql`update generation.tasks set attempts = 1000`;
  await setKind(sql, "poll", { backoff: "exponential", base: 10, max: 50 });
  assert.equal(await waits(), 50);
});

Deno.test("jitter takes a random part of the delay away, and never adds to it", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  await sql`update generation.task_kinds set backoff = 'fixed', base_seconds = 100, max_seconds = 100, jitter = 0.5`;
  const { least, most } = await first(sql<{ least: number; most: number }[]>`
    select min(s)::float8 as least, max(s)::float8 as most
    from (
      select extract(epoch from generation.retry_at('poll', n) - ops.now()) as s from generate_series(1, 200) as n
    ) as delays`);
  assert.ok(least >= 49 && least < 70, `least ${least}`);
  assert.ok(most <= 100.1 && most > 80, `most ${most}`);
});

Deno.test("a task without a try left is a dead letter, and clearing it is the replay", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await setKind(sql, "poll", { tries: 2, base: 1 });
  const [subject] = await addTasks(sql, "poll", 1);
  assert.equal(await retryTask(sql, await claimOne(sql)), "waiting");
  await advance(2 * second);
  assert.equal(await retryTask(sql, await claimOne(sql)), "dead");
  await advance(3600 * second);
  assert.deepEqual(await claimTasks(sql), []);
  const [dead] =
    await sql`select t.last_error, t.failed_at is not null as is_dead from generation.tasks as t`;
  assert.deepEqual({ ...dead }, { last_error: "failed", is_dead: true });

  await sql`update generation.tasks set failed_at = null, attempts = 0`;
  assert.equal((await claimOne(sql)).subject, subject);
});

Deno.test("a task whose worker died in its last try is buried by the tick, once", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await setKind(sql, "poll", { tries: 1, timeout: 60 });
  await addTasks(sql, "poll", 1);
  const bury = async () => (await first(sql`select generation.bury_tasks() as buried`))["buried"];
  const task = await claimOne(sql);
  assert.equal(await bury(), 0);
  await advance(61 * second);
  assert.deepEqual(await claimTasks(sql), []);
  assert.equal(await bury(), 1);
  assert.equal(await bury(), 0);
  assert.equal(await retryTask(sql, task), "lost");
});

Deno.test("a dead store ends its job with ERR_6002 and gives the credits back, also when its worker died", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const endings = {
    "by its last failure": async (task: Task) => assert.equal(await retryTask(sql, task), "dead"),
    "by the tick": async () => {
      await advance(181 * second);
      await sql`select generation.bury_tasks()`;
    },
  };
  for (const [name, end] of Object.entries(endings)) {
    const jobId = await startVideo(sql);
    await receiveEvent(sql, await submit(sql, jobId), succeeded);
    await sql`update generation.tasks set attempts = 7 where kind = 'store' and subject = ${jobId}`;
    const task = await first(claimTasks(sql, 1, jobId));
    assert.deepEqual([task.kind, task.attempt], ["store", 8]);
    await end(task);
    const { status, error_code, balance } = await readJob(sql, jobId);
    assert.deepEqual([status, error_code, balance], ["failed", "ERR_6002", 10], name);
    // Who stored it after all comes too late.
    assert.equal(await recordStored(sql, jobId, task), "failed");
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("a claim for one job takes no other's tasks", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const [mine] = [await startVideo(sql), await startVideo(sql)];
  await advance(3 * second);
  assert.deepEqual((await claimTasks(sql, 10, mine)).map(({ subject }) => subject), [mine]);
});

Deno.test("tasks that wait for a worker are counted, up to 1000", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const due = async () => (await first(sql`select generation.count_due_tasks() as due`))["due"];
  assert.equal(await due(), 0);
  await addTasks(sql, "poll", 2);
  await sql`select generation.add_task('poll', gen_random_uuid(), ops.now() + interval '1 minute')`;
  assert.equal(await due(), 2);
  await claimTasks(sql, 1);
  assert.equal(await due(), 1);
  await sql`select generation.add_task('poll', gen_random_uuid(), ops.now()) from generate_series(1, 1200)`;
  assert.equal(await due(), 1000);
});
