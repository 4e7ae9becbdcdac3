/**
 * Keeps the functions' process running: starts it again when it crashes, and anew when a function's file changes.
 */
import { fileURLToPath } from "node:url";
import { type Child, type Log, startChild } from "../processes/child.ts";
import type { FunctionsSource } from "./functions-source.ts";

/** Longer than the host's own grace for work in the background. */
const stopGrace = 6_000;
/** A process that crashes at every start shall not keep the machine busy. */
const restartDelay = 200;
/** An editor writes several files, or one in several steps. */
const changeDelay = 100;

export interface Functions extends AsyncDisposable {
  /** Of the process that requests go to; undefined while there is none. */
  readonly pid: number | undefined;
  /** Ends the functions as a crash of the machine would: without warning. They stay away until `start`. */
  kill(): Promise<void>;
  /** Starts them again after `kill`. */
  start(): Promise<void>;
  /** Replaces the running process by a new one; the old one finishes what it has begun. */
  reload(): Promise<void>;
}

export interface FunctionsOptions {
  source: FunctionsSource;
  /** The whole environment of the functions. */
  environment: Record<string, string>;
  /** A file with certificates, in PEM, that are believed besides the system's. */
  authorities?: string;
  log: Log;
  /** Called with the port that requests go to once it has resolved; undefined while there is none. */
  onPort: (port: number | undefined) => Promise<void>;
  /** Whether a change of a file reloads them. */
  watch: boolean;
}

/** Starts the functions, and resolves when they listen. */
export async function startFunctions(
  options: FunctionsOptions,
): Promise<Functions> {
  const { source: { directory, deno }, environment, authorities, log, onPort, watch } = options;
  let current: Child | undefined;
  let ended = false;
  let started = Promise.resolve();

  function start(): Promise<void> {
    started = startOnce();
    return started;
  }

  async function startOnce(): Promise<void> {
    const child = await startChild({
      script: new URL("functions-host.ts", import.meta.url),
      // Not by DENO_CERT, which Deno reads when the functions' environment has taken the place of ours.
      permissions: [
        "--allow-net",
        "--allow-env",
        "--allow-read",
        ...authorities === undefined ? [] : [`--cert=${authorities}`],
      ],
      deno,
      environment: {
        FUNCTIONS_DIRECTORY: directory.href,
        FUNCTIONS_ENVIRONMENT: JSON.stringify(environment),
      },
      log,
    });
    if (ended) return await child.stop(stopGrace);
    current = child;
    void restartAfterCrash(child);
    await onPort(child.port);
  }

  async function restartAfterCrash(child: Child): Promise<void> {
    const { code, signal } = await child.exited;
    if (current !== child) return;
    current = undefined;
    await onPort(undefined);
    log(`The functions ended unexpectedly (${signal ?? `code ${code}`}); starting them again\n`);
    while (!ended && current === undefined) {
      await new Promise((resolve) => setTimeout(resolve, restartDelay));
      await start().catch((error) => log(`${error}\n`));
    }
  }

  let reloaded = Promise.resolve();
  /** One after the other, so that each ends the process that the one before it started. */
  function reload(): Promise<void> {
    reloaded = reloaded.catch(() => {}).then(async () => {
      const old = current;
      await start();
      await old?.stop(stopGrace);
    });
    return reloaded;
  }

  await start();
  const watcher = watch
    ? watchFiles(directory, () => reload().catch((error) => log(`${error}\n`)))
    : undefined;
  return {
    get pid() {
      return current?.pid;
    },
    async kill() {
      const child = current;
      current = undefined;
      await onPort(undefined);
      await child?.kill();
    },
    start,
    reload,
    async [Symbol.asyncDispose]() {
      ended = true;
      watcher?.close();
      await Promise.allSettled([reloaded, started]);
      const child = current;
      current = undefined;
      await child?.stop(stopGrace);
    },
  };
}

/** Calls `onChange` after each burst of changes below `directory`. */
function watchFiles(directory: URL, onChange: () => void): Deno.FsWatcher {
  const watcher = Deno.watchFs(fileURLToPath(directory));
  let timer: ReturnType<typeof setTimeout> | undefined;
  (async () => {
    for await (const { kind } of watcher) {
      if (kind === "access") continue;
      clearTimeout(timer);
      timer = setTimeout(onChange, changeDelay);
    }
    clearTimeout(timer);
  })();
  return watcher;
}
