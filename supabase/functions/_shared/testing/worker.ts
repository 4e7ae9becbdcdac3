/** A worker whose queue, handler and time are the test's. */
import assert from "node:assert/strict";
import type { Arguments } from "../database/call.ts";
import { settableClock } from "./clock.ts";
import { fakeDatabase, type FakeProcedures } from "./database.ts";
import { recordingLogger } from "./log.ts";
import { jobId } from "./tasks.ts";
import { userId } from "./tokens.ts";
import type { Attempt, Done, Task } from "../queue/task.ts";
import { type Pace, work, type WorkerPorts } from "../queue/worker.ts";

/** A task of the one kind that there is a handler for. */
export function task(task_id: number, given: Partial<Task> = {}): Task {
  const common = { subject: jobId, owner_id: userId, attempt: 1, payload: {} };
  return { task_id, kind: "dig", ...common, ...given };
}

/** So many tasks, with the ids from this on. */
export function tasks(count: number, from = 1): Task[] {
  return Array.from({ length: count }, (_, index) => task(from + index));
}

/** Lets everything run that can. */
export function turn(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve, 0);
  return promise;
}

/** Time that passes when a test says so, and what happens meanwhile. */
export function fakePace() {
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
export function setting(batches: readonly (readonly Task[])[], given: {
  /** Without it, a task is done at once. */
  dig?: (task: Task, attempt: Attempt) => Promise<Done>;
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
      const how = await given.dig?.(task, attempt);
      done.push(task.task_id);
      return how;
    },
  };
  return {
    ...{ clock, pauses, timers, pass, lines, claims, renewals, returned, done, ports },
    limits: () => claims.map(([limit]) => limit),
    run: (subject?: string) => work(ports, handlers, subject, pace),
  };
}

/** Work that goes on until the test ends it, by the id of its task. */
export function unfinished() {
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
