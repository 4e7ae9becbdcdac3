/** What becomes of a task: its tries, its lease, its end. */
import assert from "node:assert/strict";
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
import { first, violations } from "../support/ledger.ts";
import { addTasks, claimOne, renew, setKind } from "../support/tasks.ts";
import { runTask } from "../support/scheduled-tasks.ts";

const second = 1000;

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
  const bury = () => runTask(sql, "bury_lost_tasks");
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
      await runTask(sql, "bury_lost_tasks");
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

Deno.test("what a kind's domain does with a task that dies is undone where that fails, and the task is not buried", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  await setKind(sql, "poll", { tries: 1 });
  await sql`
    create function queue.refuse(p_subject uuid, p_cause text) returns void language plpgsql as $$ begin raise 'refused'; end; $$;
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
