import assert from "node:assert/strict";
import { AppError } from "../errors/app-error.ts";
import type { Arguments } from "../database/call.ts";
import type { Task } from "./task.ts";
import { setting, task, tasks, turn, unfinished } from "../testing/worker.ts";

Deno.test("a worker claims nothing more when its time is up, and finishes what it has", async () => {
  const { promise: late, resolve: release } = Promise.withResolvers<void>();
  const { run, claims, done, clock } = setting([tasks(2), [task(3)]], {
    dig: async ({ task_id }) => {
      if (task_id === 2) return await late;
      clock.advance(25_000);
      release();
    },
  });
  await run();
  assert.equal(claims.length, 1);
  assert.deepEqual(done, [1, 2]);
});

Deno.test("leases are renewed every 4 s while the work goes on, and not after it", async () => {
  const { dig, finish, signals } = unfinished();
  const { run, pass, renewals, timers } = setting([tasks(2)], { dig });
  const working = run();
  await pass(3);
  assert.deepEqual(renewals, []);
  await pass(1);
  assert.deepEqual(renewals, [[1, 2]]);
  await finish(1);
  await pass(8);
  assert.deepEqual(renewals, [[1, 2], [2], [2]], "what is done has no lease to renew");
  assert.equal(signals.get(2)?.aborted, false);
  await finish(2);
  await working;
  assert.equal(timers.size, 0);
});

Deno.test("leases are renewed while a worker that claims no more finishes what it has", async () => {
  const { dig, finish } = unfinished();
  const { run, pass, renewals, claims } = setting([[task(1)]], { dig });
  const working = run();
  await pass(40);
  assert.equal(renewals.length, 10);
  await finish(1);
  await working;
  assert.equal(claims.length, 1);
});

Deno.test("what several claims brought is renewed together", async () => {
  const { dig, finish } = unfinished();
  const { run, pass, renewals, timers } = setting([tasks(2), [task(3)]], { dig });
  const working = run();
  await turn();
  await finish(2);
  await pass(4);
  assert.deepEqual(renewals, [[1, 3]]);
  assert.equal(timers.size, 1);
  await finish(1, 3);
  await working;
  assert.equal(timers.size, 0);
});

Deno.test("a lease is renewed in time however often others are claimed", async () => {
  const { dig, finish } = unfinished();
  const { run, pass, renewals } = setting([tasks(2), ...tasks(4, 3).map((task) => [task])], { dig });
  const working = run();
  // Every 3 s the other one is done, and another is claimed.
  for (const other of [2, 3, 4, 5]) {
    await pass(3);
    await finish(other);
  }
  assert.deepEqual(renewals, [[1, 3], [1, 4], [1, 5]]);
  await finish(1, 6);
  await working;
});

Deno.test("leases are renewed while a claim is waited for", async () => {
  const { promise: next, resolve: answer } = Promise.withResolvers<Task[]>();
  const batches = [Promise.resolve(tasks(2)), next];
  const { dig, finish } = unfinished();
  const { run, pass, renewals } = setting([], {
    dig,
    database: { claim_tasks: () => batches.shift() ?? [] },
  });
  const working = run();
  await turn();
  await finish(1);
  await pass(8);
  assert.deepEqual(renewals, [[2], [2]]);
  answer([]);
  await finish(2);
  await working;
});

Deno.test("where nothing is at work there is no lease to renew, also while the next tasks are waited for", async () => {
  const { promise: next, resolve: answer } = Promise.withResolvers<Task[]>();
  const batches = [Promise.resolve(tasks(1)), next];
  const { run, pass, renewals, done } = setting([], {
    database: { claim_tasks: () => batches.shift() ?? [] },
  });
  const working = run();
  await pass(10);
  assert.deepEqual([done, renewals], [[1], []]);
  answer([]);
  await working;
});

Deno.test("an attempt that lost its task is told to stop, and the others are not", async () => {
  const { dig, finish, fail, signals } = unfinished();
  const { run, pass, returned } = setting([tasks(2)], {
    dig,
    database: { renew_tasks: () => ({ kept: [false, true] }) },
  });
  const working = run();
  await pass(4);
  assert.deepEqual([signals.get(1)?.aborted, signals.get(2)?.aborted], [true, false]);
  await fail(1, signals.get(1)?.reason);
  await finish(2);
  await working;
  // The attempt fences it off, so whoever has the task keeps it.
  assert.deepEqual(returned.map(({ p_task_id }) => p_task_id), [1]);
});

/** A worker that was given a task, and the same task once more after its lease had run out, both at work. */
async function twoAttempts(renew: (args: Arguments<"renew_tasks">) => boolean[]) {
  const works = new Map<number, PromiseWithResolvers<void>>();
  const signals = new Map<number, AbortSignal>();
  const { run, pass } = setting([[task(2), task(1)], [task(1, { attempt: 2 })]], {
    dig: async ({ task_id, attempt }, { signal }) => {
      if (task_id === 2) return;
      const work = Promise.withResolvers<void>();
      works.set(attempt, work);
      signals.set(attempt, signal);
      await work.promise;
    },
    database: { renew_tasks: (args) => ({ kept: renew(args) }) },
  });
  let hasEnded = false;
  const working = run().finally(() => hasEnded = true);
  await turn();
  assert.deepEqual([...works.keys()], [1, 2], "both attempts have begun");
  const finish = async (attempt: number) => {
    works.get(attempt)?.resolve();
    await turn();
  };
  return { working, pass, signals, finish, hasEnded: () => hasEnded };
}

Deno.test("of two attempts at one task each has its lease renewed, and is waited for, whichever ends first", async () => {
  for (const [first, second] of [[1, 2], [2, 1]] as const) {
    const renewals: (readonly [number, number])[][] = [];
    const { working, pass, finish, hasEnded } = await twoAttempts(({ p_task_ids, p_attempts }) => {
      renewals.push((p_task_ids ?? []).map((id, index) => [id, p_attempts?.[index] ?? 0]));
      return (p_task_ids ?? []).map(() => true);
    });
    await pass(4);
    await finish(first);
    await pass(4);
    assert.deepEqual(renewals, [[[1, 1], [1, 2]], [[1, second]]]);
    assert.equal(hasEnded(), false);
    await finish(second);
    await working;
  }
});

Deno.test("of two attempts at one task the one that lost it is told to stop, and the other is not", async () => {
  const { working, pass, signals, finish } = await twoAttempts(({ p_attempts }) =>
    (p_attempts ?? []).map((attempt) => attempt === 2)
  );
  await pass(4);
  assert.deepEqual([signals.get(1)?.aborted, signals.get(2)?.aborted], [true, false]);
  await finish(1);
  await finish(2);
  await working;
});

Deno.test("a renewal that fails changes nothing, and the next one is made all the same", async () => {
  const { dig, finish, signals } = unfinished();
  let asked = 0;
  const { run, pass, lines, done } = setting([tasks(2)], {
    dig,
    database: {
      renew_tasks: () => {
        asked += 1;
        return Promise.reject(new AppError("ERR_6001"));
      },
    },
  });
  const working = run();
  await pass(8);
  assert.equal(asked, 2);
  assert.deepEqual([signals.get(1)?.aborted, signals.get(2)?.aborted], [false, false]);
  const logged = lines.filter(({ event }) => event === "leases_not_renewed");
  assert.deepEqual(logged.map(({ level, tasks }) => [level, tasks]), [["warn", 2], ["warn", 2]]);
  await finish(1, 2);
  await working;
  assert.deepEqual(done, [1, 2]);
});

Deno.test("what a claim that fails leaves at work is finished, with its lease renewed, before that is said", async () => {
  const { dig, finish } = unfinished();
  const batches = [tasks(2)];
  const { run, pass, renewals, done, timers } = setting([], {
    dig,
    database: {
      claim_tasks: () => {
        const batch = batches.shift();
        return batch ? Promise.resolve(batch) : Promise.reject(new AppError("ERR_6001"));
      },
    },
  });
  let hasEnded = false;
  const working = assert.rejects(run(), { code: "ERR_6001" }).finally(() => hasEnded = true);
  await turn();
  await finish(1);
  await pass(4);
  assert.deepEqual([hasEnded, renewals], [false, [[2]]]);
  await finish(2);
  await working;
  assert.deepEqual([done, timers.size], [[1, 2], 0]);
});
