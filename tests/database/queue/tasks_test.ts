import assert from "node:assert/strict";
import { manyConnections, times } from "../support/connections.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
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
} from "../support/generation.ts";
import { first, type Sql, violations } from "../support/ledger.ts";

const second = 1000;

/** Makes tasks of a kind, due now, for subjects that need no job. */
async function addTasks(
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
async function renew(sql: Sql, tasks: readonly Task[]): Promise<boolean[]> {
  const { kept } = await first(sql<{ kept: boolean[] }[]>`
    select api.renew_tasks(${tasks.map(({ task_id }) => task_id)}, ${tasks.map(({ attempt }) => attempt)})
      #> '{data,kept}' as kept`);
  return kept;
}

/** A kind without chance in its backoff. */
async function setKind(
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

async function claimOne(sql: Sql): Promise<Task> {
  return await first(claimTasks(sql, 1));
}

Deno.test("an open task of the same kind and subject is the same work, at the earlier time", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const subject = crypto.randomUUID();
  await sql`select queue.add('poll', ${subject}, null, core.now() + interval '1 hour', '{"a": 1, "b": 1}')`;
  await sql`select queue.add('poll', ${subject}, null, core.now(), '{"b": 2}')`;
  await sql`select queue.add('poll', ${subject}, null, core.now() + interval '2 hours')`;
  await sql`select queue.add('store', ${subject}, null, core.now() + interval '1 hour')`;
  const tasks = await claimTasks(sql);
  assert.deepEqual(
    tasks.map(({ kind, subject, attempt, payload }) => ({ kind, subject, attempt, payload })),
    [
      { kind: "poll", subject, attempt: 1, payload: { a: 1, b: 2 } },
    ],
  );
  await assert.rejects(sql`select queue.add('juggle', ${subject}, null, core.now())`, { code: "23502" });
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
  await setKind(sql, "cancel", { concurrency: 3 });
  await addTasks(sql, "cancel", 5);
  await addTasks(sql, "poll", 2);
  const kinds = async () => (await claimTasks(sql)).map(({ kind }) => kind);
  assert.deepEqual(await kinds(), ["cancel", "cancel", "cancel", "poll", "poll"]);
  assert.deepEqual(await kinds(), []);
  await sql`delete from queue.tasks where id = (select min(id) from queue.tasks)`;
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
    await holder`select from queue.tasks where subject = ${held ?? null} for update`;
    assert.deepEqual((await claimTasks(sql)).map(({ subject }) => subject), [free]);
  });
  assert.deepEqual((await claimTasks(sql)).map(({ subject }) => subject), [held]);
});

Deno.test("a lease runs out, and its attempt number fences off whoever comes back too late", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await setKind(sql, "poll", { lease: 60, timeout: 90 });
  await addTasks(sql, "poll", 1);
  const slow = await claimOne(sql);
  await advance(59 * second);
  assert.deepEqual(await claimTasks(sql), []);
  await advance(2 * second);
  const quick = await claimOne(sql);
  assert.deepEqual([quick.task_id, quick.attempt], [slow.task_id, 2]);

  assert.equal(await retryTask(sql, slow), "lost");
  const { leased } = await first(sql`select t.leased_until > core.now() as leased from queue.tasks as t`);
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
      select round(extract(epoch from t.run_at - core.now()))::integer as seconds
      from queue.tasks as t where t.id = ${task.task_id}`);
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
  await sql`update queue.tasks set attempts = 1000`;
  await setKind(sql, "poll", { backoff: "exponential", base: 10, max: 50 });
  assert.equal(await waits(), 50);
});

Deno.test("jitter takes a random part of the delay away, and never adds to it", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  await sql`update queue.kinds set backoff = 'fixed', base_seconds = 100, max_seconds = 100, jitter = 0.5`;
  const { least, most } = await first(sql<{ least: number; most: number }[]>`
    select min(s)::float8 as least, max(s)::float8 as most
    from (
      select extract(epoch from queue.retry_at('poll', n) - core.now()) as s from generate_series(1, 200) as n
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
  const [dead] = await sql`select t.last_error, t.failed_at is not null as is_dead from queue.tasks as t`;
  assert.deepEqual({ ...dead }, { last_error: "failed", is_dead: true });

  await sql`update queue.tasks set failed_at = null, attempts = 0`;
  assert.equal((await claimOne(sql)).subject, subject);
});

Deno.test("a task whose worker died in its last try is buried by the tick, once", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await setKind(sql, "poll", { tries: 1 });
  await addTasks(sql, "poll", 1);
  const bury = async () => (await first(sql`select queue.bury_lost() as buried`))["buried"];
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
      await sql`select queue.bury_lost()`;
    },
  };
  for (const [name, end] of Object.entries(endings)) {
    const jobId = await startVideo(sql);
    await receiveEvent(sql, await submit(sql, jobId), succeeded);
    await sql`update queue.tasks set attempts = 7 where kind = 'store' and subject = ${jobId}`;
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
  const due = async () => (await first(sql`select queue.count_due() as due`))["due"];
  assert.equal(await due(), 0);
  await addTasks(sql, "poll", 2);
  await sql`select queue.add('poll', gen_random_uuid(), null, core.now() + interval '1 minute')`;
  assert.equal(await due(), 2);
  await claimTasks(sql, 1);
  assert.equal(await due(), 1);
  await sql`select queue.add('poll', gen_random_uuid(), null, core.now()) from generate_series(1, 1200)`;
  assert.equal(await due(), 1000);
});

Deno.test("a lease that is renewed lasts while the work goes on, but no longer than its kind's timeout", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await setKind(sql, "poll", { lease: 10, timeout: 25 });
  await addTasks(sql, "poll", 1);
  const task = await claimOne(sql);
  for (let seconds = 0; seconds < 24; seconds += 8) {
    assert.deepEqual(await renew(sql, [task]), [true], `after ${seconds} s`);
    await advance(8 * second);
    assert.deepEqual(await claimTasks(sql), [], `after ${seconds + 8} s`);
  }
  await renew(sql, [task]);
  await advance(2 * second);
  assert.deepEqual(await renew(sql, [task]), [false]);
  const other = await claimOne(sql);
  assert.deepEqual([other.task_id, other.attempt], [task.task_id, 2]);
  assert.deepEqual(await renew(sql, [task, other]), [false, true]);
});

Deno.test("a lease that ran out is renewed where nobody else has the task, and not once it is done", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await setKind(sql, "poll", { lease: 10, timeout: 60 });
  await addTasks(sql, "poll", 2);
  const tasks = await claimTasks(sql);
  await advance(11 * second);
  assert.deepEqual(await renew(sql, tasks), [true, true]);
  assert.deepEqual(await claimTasks(sql), []);
  const [done, waiting] = tasks;
  await sql`select queue.finish(${done?.task_id ?? 0}, 1)`;
  assert.equal(await retryTask(sql, waiting ?? await claimOne(sql)), "waiting");
  assert.deepEqual(await renew(sql, tasks), [false, false]);
});

Deno.test("a lane has no more tasks at work than the kind allows, and does not hold up the others", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  await setKind(sql, "poll", { concurrency: 5, laneConcurrency: 2 });
  await addTasks(sql, "poll", 20, { lane: "slow" });
  const others = [
    ...await addTasks(sql, "poll", 1, { lane: "a" }),
    ...await addTasks(sql, "poll", 1, { lane: "b" }),
  ];
  const claimed = await claimTasks(sql);
  assert.equal(claimed.length, 4);
  assert.deepEqual(
    claimed.map(({ subject }) => subject).filter((subject) => others.includes(subject)),
    others,
  );
  assert.deepEqual(await claimTasks(sql), []);
  await sql`select queue.finish(${claimed[0]?.task_id ?? 0}, 1)`;
  assert.equal((await claimTasks(sql)).length, 1);
});

Deno.test("owners take turns: who has many tasks does not let others wait for all of them", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const [many, few, late] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()];
  const ofMany = await addTasks(sql, "poll", 40, { owner: many });
  await advance(5 * second);
  const ofFew = await addTasks(sql, "poll", 2, { owner: few });
  await advance(5 * second);
  const [ofLate] = await addTasks(sql, "poll", 1, { owner: late });
  const claimed = await claimTasks(sql, 5);
  assert.deepEqual(
    new Set(claimed.map(({ subject }) => subject)),
    new Set([...ofMany.slice(0, 2), ...ofFew, ofLate]),
  );
  for (const { task_id, attempt } of claimed) await sql`select queue.finish(${task_id}, ${attempt})`;
  // Nobody starves: after some minutes even the last of many goes before what comes new.
  await advance(20 * 60 * second);
  await addTasks(sql, "poll", 10, { owner: crypto.randomUUID() });
  await setKind(sql, "poll", { concurrency: 100 });
  const rest = (await claimTasks(sql, 38)).map(({ subject }) => subject);
  assert.deepEqual(new Set(rest), new Set(ofMany.slice(2)));
});

Deno.test("a priority goes before turns and age, and kinds do not wait for one that is busy", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await setKind(sql, "store", { concurrency: 1 });
  await addTasks(sql, "poll", 1);
  await advance(3600 * second);
  const [urgent] = await addTasks(sql, "poll", 1);
  await sql`update queue.tasks set priority = 0 where subject = ${urgent ?? ""}`;
  await addTasks(sql, "store", 3);
  assert.deepEqual((await claimTasks(sql)).map(({ kind }) => kind), ["poll", "store", "poll"]);
});

Deno.test("a claim that cannot have the kinds within a second claims nothing, and keeps nothing", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  await addTasks(sql, "poll", 1);
  await sql.begin(async (holder) => {
    await holder`select from queue.kinds where kind = 'poll' for update`;
    assert.deepEqual(await claimTasks(sql), []);
  });
  assert.equal((await claimTasks(sql)).length, 1);
});

Deno.test("what a kind's domain does with a task that dies is undone where that fails, and the task is not buried", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  await setKind(sql, "poll", { tries: 1 });
  await sql`
    create function queue.refuse(p_subject uuid) returns void language plpgsql as $$ begin raise 'refused'; end; $$;
    update queue.kinds set on_dead = 'queue.refuse' where kind = 'poll';
  `.simple();
  await addTasks(sql, "poll", 1);
  const task = await claimOne(sql);
  await assert.rejects(retryTask(sql, task), /refused/);
  const { failed } = await first(sql`select failed_at is not null as failed from queue.tasks`);
  assert.equal(failed, false);
});

Deno.test("what is repeated costs no try, and its next attempt has a number that none had before", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  await setKind(sql, "poll", { tries: 2, base: 1 });
  await addTasks(sql, "poll", 1);
  for (const attempt of [1, 2, 3]) {
    const task = await claimOne(sql);
    assert.equal(task.attempt, attempt);
    await sql`select queue.repeat(${task.task_id}, ${attempt}, core.now())`;
    assert.deepEqual(await renew(sql, [task]), [false]);
  }
  assert.equal(await retryTask(sql, await claimOne(sql)), "waiting");
  await sql`update queue.tasks set run_at = core.now()`;
  const last = await claimOne(sql);
  assert.deepEqual([last.attempt, await retryTask(sql, last)], [5, "dead"]);
});
