/**
 * Runs test files with `deno test`, in a child process, and counts.
 */
import { fileURLToPath } from "node:url";
import { spawnSupervised, type SupervisedProcess } from "../local/processes/supervised-process.ts";

export interface Count {
  readonly passed: number;
  readonly failed: number;
}

export interface DenoTestOptions {
  /** The folder that `files` are relative to. */
  root: URL;
  files: readonly string[];
  permissions: readonly string[];
  /** Runs only the tests whose name contains it. */
  filter: string | undefined;
  /** What the tests find in their environment, beside ours. */
  env: Record<string, string>;
  /** Milliseconds after which a test, a hook or the loading of a file hangs, and fails. */
  deadline: number;
  /** Milliseconds after which the run is ended, as a failure: for what its deadline does not end. */
  timeLimit: number;
  /** Gets the process, for whoever must end it before its time. */
  onStart?: (process: SupervisedProcess) => void;
  /** Gets what it prints; without it, the output is ours. */
  onOutput?: (text: string) => void;
}

/** More files at a time than there are cores, since half of them wait for a clock that is not theirs to set: a timeout, a poll. */
export const jobs = Number(Deno.env.get("DENO_JOBS")) || navigator.hardwareConcurrency + 1;

/** Runs the files, each in an isolate of its own and `jobs` at a time. */
export async function denoTest(options: DenoTestOptions): Promise<Count> {
  const { root, files, permissions, filter, env, deadline, timeLimit, onStart, onOutput } = options;
  const report = await Deno.makeTempFile({ suffix: ".xml" });
  try {
    const process = spawnSupervised(Deno.execPath(), [
      "test",
      ...permissions,
      "--parallel",
      // The runner has checked them, of all tiers at once.
      "--no-check",
      `--preload=${new URL(`deadline.ts?milliseconds=${deadline}`, import.meta.url)}`,
      `--junit-path=${report}`,
      ...(filter === undefined ? [] : ["--filter", filter]),
      ...files,
    ], {
      // By which it says what it was at.
      signal: "INT",
      cwd: fileURLToPath(root),
      env: { ...Deno.env.toObject(), DENO_JOBS: `${jobs}`, ...env },
      ...(onOutput === undefined ? {} : { onOutput }),
    });
    onStart?.(process);
    const timer = setTimeout(() => {
      console.error(`Not done within ${timeLimit} ms, and ended: ${files.join(", ")}`);
      void process.stop();
    }, timeLimit);
    const { success } = await process.status.finally(() => clearTimeout(timer));
    return countJUnit(await Deno.readTextFile(report), success);
  } finally {
    await Deno.remove(report);
  }
}

/**
 * Counts what a JUnit report of `deno test` says, steps included and ignored tests left out. A run that failed counts
 * as one failure at least, for a file that does not load is in no report.
 */
export function countJUnit(report: string, success: boolean): Count {
  const [, tests = "0", failures = "0", errors = "0"] =
    /<testsuites [^>]*tests="(\d+)" failures="(\d+)" errors="(\d+)"/.exec(report) ?? [];
  const skipped = report.match(/<skipped\/>/g)?.length ?? 0;
  const failed = Number(failures) + Number(errors);
  return {
    passed: Number(tests) - failed - skipped,
    failed: success ? failed : Math.max(failed, 1),
  };
}
