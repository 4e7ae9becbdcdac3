import type { Report, Runtime } from "../endpoint/context.ts";
import { settableClock } from "./clock.ts";
import { testConfig } from "./config.ts";
import { recordingLogger } from "./log.ts";

/** What a port is made from, and what the port told it. */
export interface TestRuntime extends Runtime {
  readonly reports: Report[];
  /** Of the Data API. */
  readonly calls: () => number;
}

export function testRuntime(
  fetch: typeof globalThis.fetch,
  given: Partial<Pick<Runtime, "config" | "beforeCall" | "onBreach">> = {},
): TestRuntime {
  const clock = settableClock();
  const reports: Report[] = [];
  let calls = 0;
  return {
    config: given.config ?? testConfig(),
    log: recordingLogger(clock.now).log,
    requestId: "test-request",
    fetch,
    now: clock.now,
    beforeCall: () => {
      given.beforeCall?.();
      calls += 1;
    },
    report: (report) => void reports.push(report),
    onBreach: given.onBreach ?? ((event, error) => {
      throw new Error(event, { cause: error });
    }),
    reports,
    calls: () => calls,
  };
}
