/** An isolate tells the database what it has counted: after an answer, soon, and never so that anybody waits for it. */
import * as z from "zod/mini";
import { database } from "../database/call.ts";
import type { Runtime } from "../endpoint/context.ts";
import type { BackgroundWork } from "../endpoint/background-work.ts";
import { AppError } from "../errors/app-error.ts";
import { codes } from "../errors/error-codes.ts";
import { sleep } from "../platform/sleep.ts";
import type { Metrics } from "./metrics.ts";

/** Aborted when the platform is about to end the isolate: then nothing waits any more. */
const ending = new AbortController();
globalThis.addEventListener("beforeunload", () => ending.abort());

export type TellingPlatform = Pick<Runtime, "config" | "log" | "fetch" | "now"> & {
  readonly background: BackgroundWork;
};

/**
 * What to call for each request, with the endpoint and the promise of its answer: has all counts told once the configured
 * seconds are over, in one call for whatever was counted until then. Best effort: what cannot be told is told the next time,
 * and what an isolate holds when it is killed is lost. `pause` waits so many milliseconds, or until the signal.
 */
export function metricTelling(
  { config, log, fetch, now, background }: TellingPlatform,
  metrics: Metrics,
  pause: typeof sleep = sleep,
): (endpoint: string, answered: Promise<void>) => void {
  const milliseconds = config.metricsIntervalSeconds * 1000;
  let isComing = false;

  async function tell(endpoint: string): Promise<void> {
    const bytes = memoryOfIsolate();
    if (bytes !== null) metrics.observe("memory_bytes", { endpoint }, bytes);
    const rows = metrics.take();
    const nothing = () => {};
    const runtime = { config, log, requestId: "metrics", fetch, now, beforeCall: nothing, report: nothing };
    try {
      await database({ ...runtime, onBreach: nothing }).call("record_metrics", { p_rows: rows }, z.unknown());
    } catch (error) {
      metrics.giveBack(rows);
      // That the database is away is told by whatever else asks it.
      const isAway = error instanceof AppError && error.code === codes["database/unavailable"];
      if (!isAway) log.warn("metrics_not_told", { error });
    }
  }

  return (endpoint, answered) => {
    if (isComing) return;
    isComing = true;
    const told = answered.then(async () => {
      // The wait ends early with the isolate; what was counted is told all the same.
      await pause(milliseconds, ending.signal).catch(() => {});
      isComing = false;
      await tell(endpoint);
    });
    background.run(told, log);
  };
}

/** What the isolate itself holds, in bytes; null where the runtime does not tell. */
function memoryOfIsolate(): number | null {
  try {
    const { heapTotal, external } = Deno.memoryUsage();
    return heapTotal + external;
  } catch {
    return null;
  }
}
