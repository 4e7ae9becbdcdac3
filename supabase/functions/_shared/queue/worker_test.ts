import assert from "node:assert/strict";
import { AppError } from "../errors/app-error.ts";
import type { Arguments } from "../database/call.ts";
import { settableClock } from "../testing/clock.ts";
import { fakeDatabase, type FakeProcedures } from "../testing/database.ts";
import { recordingLogger } from "../testing/log.ts";
import { jobId } from "../testing/tasks.ts";
import { userId } from "../testing/tokens.ts";
import { type Attempt, NeedsOperator, type Task } from "./task.ts";
import { type Pace, work, type WorkerPorts } from "./worker.ts";

/** A task of the one kind that there is a handler for. */
function task(task_id: number, given: Partial<Task> = {}): Task {
  const common = { subject: jobId, owner_id: userId, attempt: 1, payload: {} };
  return { task_id, kind: "dig", ...common, ...given };
}

/** So many tasks, with the ids from this on. */
function tasks(count: number, from = 1): Task[] {
  return Array.from({ length: count }, (_, index) => task(from + index));
}

/** Lets everything run that can. */
function turn(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve, 0);
  return promise;
}

/** Time that passes when a test says so, and what happens meanwhile. */
function fakePace() {
  const clock = settableClock();
  const pauses: number[] = [];
  const timers = new Set<{ milliseconds: number; next: number; work: () => void }>();
  const pace: Pace = {
    pause: (milliseconds) => Promise.resolve(void pauses.push(milliseconds)),
    every: (milliseconds, work) => {
      const timer = { milliseconds, next: clock.now() + milliseconds, work };
      timers.add(timer);
      return () => timers.delete(timer);
    },
  };
  /** Second by second. */
  async function pass(seconds: number) {
    await turn();
    for (let passed = 0; passed < seconds; passed += 1) {
      clock.advance(1000);
      for (const timer of timers) {
        if (timer.next > clock.now()) continue;
        timer.next += timer.milliseconds;
        timer.work();
      }
      await turn();
    }
  }
  return { clock, pauses, timers, pace, pass };
}

/** A queue that hands out these batches in turn, and whoever works them off. */
function setting(batches: readonly (readonly Task[])[], given: {
  /** Without it, a task is done at once. */
  dig?: (task: Task, attempt: Attempt) => Promise<void>;
  database?: FakeProcedures;
} = {}) {
  const { clock, pauses, timers, pace, pass } = fakePace();
  const { log, lines } = recordingLogger(clock.now);
  const waiting = batches.map((batch) => [...batch]);
  const claims: [number | null, string | null | undefined][] = [];
  const renewals: number[][] = [];
  const returned: Arguments<"retry_task">[] = [];
  const done: number[] = [];
  const { database } = fakeDatabase({
    claim_tasks: ({ p_limit, p_subject }) => {
      claims.push([p_limit, p_subject]);
      return waiting.shift() ?? [];
    },
    renew_tasks: ({ p_task_ids }) => {
      renewals.push([...p_task_ids ?? []]);
      return { kept: p_task_ids?.map(() => true) };
    },
    retry_task: (args) => {
      returned.push(args);
      return { state: "waiting" };
    },
    ...given.database,
  });
  const ports = { database, log, now: clock.now };
  const handlers = {
    dig: async (task: Task, ownPorts: WorkerPorts, attempt: Attempt) => {
      assert.equal(ownPorts, ports);
      await given.dig?.(task, attempt);
      done.push(task.task_id);
    },
  };
  return {
    ...{ clock, pauses, timers, pass, lines, claims, renewals, returned, done, ports },
    limits: () => claims.map(([limit]) => limit),
    run: (subject?: string) => work(ports, handlers, subject, pace),
  };
}

/** Work that goes on until the test ends it, by the id of its task. */
function unfinished() {
  const open = new Map<number, PromiseWithResolvers<void>>();
  const signals = new Map<number, AbortSignal>();
  return {
    signals,
    open: () => [...open.keys()],
    dig: async ({ task_id }: Task, { signal }: Attempt) => {
      const work = Promise.withResolvers<void>();
      open.set(task_id, work);
      signals.set(task_id, signal);
      await work.promise.finally(() => open.delete(task_id));
    },
    async finish(...ids: number[]) {
      for (const id of ids) {
        const work = open.get(id);
        assert(work, `nobody works on ${id}`);
        work.resolve();
        await turn();
      }
    },
    async fail(id: number, error: unknown) {
      open.get(id)?.reject(error);
      await turn();
    },
  };
}

Deno.test("a worker goes on until nothing is due", async () => {
  const { run, claims, done, returned } = setting([[task(1)], [task(2)]]);
  await run();
  assert.deepEqual(claims, [[10, null], [10, null], [10, null]]);
  assert.deepEqual([done, returned], [[1, 2], []]);
});

Deno.test("a worker for one subject claims that subject's tasks alone", async () => {
  const { run, claims } = setting([[task(1)]]);
  await run(jobId);
  assert.deepEqual(claims, [[10, jobId], [10, jobId]]);
});

Deno.test("where nothing is due, a worker ends after one claim, and renews nothing", async () => {
  const { run, claims, timers } = setting([]);
  await run();
  assert.deepEqual([claims.length, timers.size], [1, 0]);
});

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

Deno.test("a worker still claims just before its time is up", async () => {
  const { run, done, clock } = setting([[task(1)], [task(2)], [task(3)]], {
    dig: ({ task_id }) => Promise.resolve(clock.advance(task_id === 1 ? 24_999 : 1)),
  });
  await run();
  assert.deepEqual(done, [1, 2]);
});

Deno.test("tasks are done at the same time, and one that takes long keeps nobody waiting", async () => {
  const { dig, finish, open } = unfinished();
  const { run, done } = setting([tasks(2), [task(3)]], { dig });
  const working = run();
  await turn();
  assert.deepEqual(open(), [1, 2]);
  await finish(2);
  assert.deepEqual(open(), [1, 3], "the next is begun while the first goes on");
  await finish(3, 1);
  await working;
  assert.deepEqual(done, [2, 3, 1]);
});

Deno.test("ten tasks are at work at most, and more are claimed once half of the places are free", async () => {
  const { dig, finish, open } = unfinished();
  const { run, limits } = setting([tasks(10), tasks(3, 11), []], { dig });
  const working = run();
  await turn();
  assert.equal(open().length, 10);
  await finish(1, 2, 3, 4);
  assert.deepEqual(limits(), [10], "for a place or four nobody is asked");
  await finish(5);
  assert.deepEqual(limits(), [10, 5]);
  assert.deepEqual(open(), [6, 7, 8, 9, 10, 11, 12, 13]);
  await finish(11, 12);
  assert.deepEqual(limits(), [10, 5]);
  await finish(13);
  assert.deepEqual(limits(), [10, 5, 5], "when another is done, more may be due");
  await finish(6, 7, 8, 9, 10);
  await working;
  assert.deepEqual(limits(), [10, 5, 5, 6, 7, 8, 9, 10]);
});

Deno.test("an attempt that fails goes back with its reason and that of its cause, without secrets", async () => {
  const cause = new Error("fetch of https://a.example.com/?token=abcdef failed", { cause: "not an error" });
  const { run, returned, lines } = setting([[task(1)]], {
    dig: () => Promise.reject(new AppError("ERR_6002", { cause })),
  });
  await run();
  assert.deepEqual(returned, [{
    p_task_id: 1,
    p_attempt: 1,
    p_code: "ERR_6002",
    p_error: "AppError: ERR_6002 < Error: fetch of https://a.example.com/?token=[redacted] failed",
  }]);
  const line = lines.find(({ event }) => event === "task_failed");
  assert.deepEqual([line?.level, line?.kind, line?.subject, line?.attempt], ["warn", "dig", jobId, 1]);
});

Deno.test("what failed has a code of ours: its own where that is an error of ours, else a bug's", async () => {
  for (
    const [error, code] of [
      [new AppError("ERR_6001"), "ERR_6001"],
      [new AppError("ERR_6002"), "ERR_6002"],
      [new AppError("ERR_4007"), "ERR_6003"],
      [new Error("a bug"), "ERR_6003"],
      [undefined, "ERR_6003"],
    ] as const
  ) {
    const { run, returned } = setting([[task(1)]], { dig: () => Promise.reject(error) });
    await run();
    assert.deepEqual(returned.map(({ p_code }) => p_code), [code]);
  }
});

Deno.test("a reason is short, and there is always one", async () => {
  for (
    const [thrown, reason] of [
      [new Error("it failed ".repeat(1000)), /^Error: .{493}$/],
      ["a text", /^a text$/],
      [undefined, /^undefined$/],
    ] as const
  ) {
    const { run, returned } = setting([[task(1)]], { dig: () => Promise.reject(thrown) });
    await run();
    assert.match(returned[0]?.p_error ?? "", reason);
  }
});

Deno.test("a handler that throws before it waits for anything fails its task alone", async () => {
  const { run, returned, done } = setting([tasks(2)], {
    dig: ({ task_id }) => {
      if (task_id === 1) throw new Error("a bug");
      return Promise.resolve();
    },
  });
  await run();
  assert.deepEqual([returned.map(({ p_task_id }) => p_task_id), done], [[1], [2]]);
});

Deno.test("what only the operator can mend goes back with its alert, by whatever it is wrapped", async () => {
  const alert = { rule: "result_host", subject: "fal cdn.example.com", details: { host: "cdn.example.com" } };
  const needed = new NeedsOperator("not at a host of its provider", alert);
  for (const error of [needed, new AppError("ERR_6002", { cause: needed })]) {
    const { run, returned } = setting([[task(1)]], { dig: () => Promise.reject(error) });
    await run();
    assert.deepEqual(returned.map(({ p_alert }) => p_alert), [alert]);
  }
});

Deno.test("a task of a kind that is not known here goes back, for whoever knows it", async () => {
  // `constructor` is something that every object has, and no handler.
  for (const kind of ["upscale", "constructor", "__proto__"]) {
    const unknown = task(1, { kind });
    const { run, returned, done } = setting([[unknown, task(2)]]);
    await run();
    assert.deepEqual(returned, [{
      p_task_id: 1,
      p_attempt: 1,
      p_code: "ERR_6003",
      p_error: `Error: Unknown kind of task: ${kind}`,
    }]);
    assert.deepEqual(done, [2]);
  }
});

Deno.test("a task that failed is given back again and again while the database is away", async () => {
  let asked = 0;
  const { run, pauses, lines } = setting([[task(1)]], {
    dig: () => Promise.reject(new Error("a bug")),
    database: {
      retry_task: () => {
        asked += 1;
        return asked <= 2 ? Promise.reject(new AppError("ERR_6001")) : Promise.resolve({ state: "waiting" });
      },
    },
  });
  await run();
  assert.deepEqual([asked, pauses], [3, [500, 1_000]]);
  assert(!lines.some(({ event }) => event === "task_not_returned"));
});

Deno.test("a task that cannot even be given back does not stop the others", async () => {
  for (const [code, attempts] of [["ERR_6001", 7], ["ERR_6003", 1]] as const) {
    const { dig, fail, finish } = unfinished();
    let asked = 0;
    const { run, lines, done, pauses } = setting([tasks(2), [task(3)]], {
      dig,
      database: {
        retry_task: () => {
          asked += 1;
          return Promise.reject(new AppError(code));
        },
      },
    });
    const working = run();
    await turn();
    await fail(1, new Error("provider is away"));
    await finish(2, 3);
    await working;
    assert.deepEqual(done, [2, 3]);
    assert.deepEqual([asked, pauses.length], [attempts, attempts - 1]);
    const line = lines.find(({ event }) => event === "task_not_returned");
    assert.deepEqual([line?.level, line?.kind, line?.subject, line?.attempt], ["warn", "dig", jobId, 1]);
  }
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

Deno.test("a worker that cannot claim says so to whoever keeps the background work", async () => {
  const { run } = setting([], {
    database: { claim_tasks: () => Promise.reject(new AppError("ERR_6001")) },
  });
  await assert.rejects(run(), { code: "ERR_6001" });
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

Deno.test("an isolate that has no room for a kind leaves it out of its claims, whichever worker asks", async () => {
  const { clock, pace } = fakePace();
  const { log } = recordingLogger(clock.now);
  let isFree = true;
  const claims: (readonly string[] | null | undefined)[] = [];
  const answers: PromiseWithResolvers<Task[]>[] = [];
  const ends: PromiseWithResolvers<void>[] = [];
  const ports = {
    log,
    now: clock.now,
    ...fakeDatabase({
      claim_tasks: ({ p_without }) => {
        claims.push(p_without);
        const answer = Promise.withResolvers<Task[]>();
        answers.push(answer);
        return answer.promise;
      },
    }),
  };
  const dig = Object.assign(async () => {
    isFree = false;
    const end = Promise.withResolvers<void>();
    ends.push(end);
    await end.promise;
    isFree = true;
  }, { room: { isFree: () => isFree } });
  const run = () => work(ports, { dig, look: () => Promise.resolve() }, undefined, pace);

  // While the first one's claim may bring one, the second one's may not.
  const workers = [run(), run()];
  assert.deepEqual(claims, [[], ["dig"]]);
  answers[1]?.resolve([]);
  answers[0]?.resolve([task(1)]);
  await turn();
  assert.equal(ends.length, 1);
  // Nor may that of another, while the task is done.
  workers.push(run());
  assert.deepEqual(claims.slice(2), [["dig"]]);
  answers[2]?.resolve([]);
  await turn();
  ends[0]?.resolve();
  await turn();
  assert.deepEqual(claims.slice(3), [[]], "there is room again");
  answers[3]?.resolve([]);
  await Promise.all(workers);
});

Deno.test("a claim that fails leaves the room free", async () => {
  const { clock, pace } = fakePace();
  const { log } = recordingLogger(clock.now);
  const claims: (readonly string[] | null | undefined)[] = [];
  const { database } = fakeDatabase({
    claim_tasks: ({ p_without }) => {
      claims.push(p_without);
      return Promise.reject(new AppError("ERR_6001"));
    },
  });
  const dig = Object.assign(() => Promise.resolve(), { room: { isFree: () => true } });
  for (let turn = 0; turn < 2; turn++) {
    await assert.rejects(work({ log, database, now: clock.now }, { dig }, undefined, pace), AppError);
  }
  assert.deepEqual(claims, [[], []]);
});
