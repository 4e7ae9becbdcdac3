/**
 * What pg_cron and pg_net do on the hosted platform: calls the tick, and the worker when the tick says that tasks are due.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { Log } from "../processes/child.ts";
import { createPool } from "./pool.ts";

export interface Scheduler extends AsyncDisposable {
  /** Calls the tick now, and then the worker if there is work. Gives the number of tasks that are due. */
  tick(): Promise<number>;
}

export interface SchedulerOptions {
  /** The owner's connection. */
  databaseUrl: string;
  /** The project's URL. */
  url: string;
  workerKey: string;
  /** From the end of one tick to the start of the next, in milliseconds; Infinity for no tick but those of `tick`. */
  interval: number;
  log: Log;
}

/** Ticks until it is disposed of. A database or a worker that is away is logged, once, and asked again at the next tick. */
export function startScheduler({ databaseUrl, url, workerKey, interval, log }: SchedulerOptions): Scheduler {
  const pool = createPool(databaseUrl);
  const ended = new AbortController();

  async function wake(): Promise<number> {
    const { rows: [row] } = await pool.query<{ due: number }>("select queue.count_due() as due");
    const due = row?.due ?? 0;
    if (due > 0) {
      const response = await fetch(`${url}/functions/v1/process-jobs`, {
        method: "POST",
        headers: { authorization: `Bearer ${workerKey}` },
      });
      await response.body?.cancel();
      if (!response.ok) throw new Error(`process-jobs answered ${response.status}`);
    }
    return due;
  }

  async function upkeep(): Promise<void> {
    await pool.query("call core.tick()");
  }

  async function repeat(step: () => Promise<unknown>): Promise<void> {
    let lastFailure = "";
    while (!ended.signal.aborted) {
      try {
        await step();
        lastFailure = "";
      } catch (error) {
        const failure = String(error);
        if (failure !== lastFailure) log(`Scheduler: ${failure}\n`);
        lastFailure = failure;
      }
      await pause(interval, undefined, { signal: ended.signal }).catch(() => {});
    }
  }
  // As on the platform: nothing that is slow keeps the worker from being woken, and of two clocks one goes on.
  const running = Number.isFinite(interval) ? [wake, upkeep, upkeep].map(repeat) : [];

  async function tick(): Promise<number> {
    await upkeep();
    return await wake();
  }

  return {
    tick,
    async [Symbol.asyncDispose]() {
      ended.abort();
      await Promise.all(running);
      await pool.end();
    },
  };
}
