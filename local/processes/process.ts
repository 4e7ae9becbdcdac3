/**
 * How a long-running task ends: by a signal, or because the command that started it is gone.
 */
import { commandOf, parentOf, processes } from "./process-table.ts";
import { systemIsLinux } from "./system.ts";

/** Conventional exit codes of a process ended by a signal: 128 + the signal's number. */
const exitCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** Longer than a server needs to stop. What is left after it ends with us, since its supervisor notices. */
const disposeDeadline = 10_000;

/** Soon enough to free the ports for the next start. On Linux it costs three small reads, elsewhere a process. */
const parentWatchInterval = systemIsLinux ? 500 : 2_000;

let terminating = false;

/**
 * Runs `work`. What fails because the process is ending, as a program that Ctrl-C reached as well, is no failure to tell:
 * the process ends meanwhile, and this never resolves.
 */
export async function unlessTerminating(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (terminating) await new Promise(() => {});
    throw error;
  }
}

/**
 * Ends this process tidily. On INT, TERM or HUP, and when the command that started us is gone, `dispose` runs
 * once and the process exits with 128 + the signal's number (a lost parent counts as TERM), at the latest when ten
 * seconds have passed. Disposing of the result stops listening.
 */
export function exitOnTermination(dispose: () => PromiseLike<void>): Disposable {
  let ending = false;
  async function end(signal: keyof typeof exitCodes): Promise<void> {
    // Ctrl-C comes twice, from the terminal and from `deno task`, and takes npx away from above us.
    if (ending) return;
    ending = true;
    terminating = true;
    setTimeout(() => {
      console.error(`Cleaning up takes longer than ${disposeDeadline} ms`);
      Deno.exit(exitCodes[signal]);
    }, disposeDeadline);
    try {
      await dispose();
    } catch (error) {
      console.error("Cleaning up failed:", error);
    }
    Deno.exit(exitCodes[signal]);
  }

  const listeners = new Map<keyof typeof exitCodes, () => void>([
    ["SIGHUP", () => void end("SIGHUP")],
    ["SIGINT", () => void end("SIGINT")],
    ["SIGTERM", () => void end("SIGTERM")],
  ]);
  for (const [signal, listener] of listeners) Deno.addSignalListener(signal, listener);
  const parents = watchParents(() => void end("SIGTERM"));

  return {
    [Symbol.dispose]() {
      parents[Symbol.dispose]();
      for (const [signal, listener] of listeners) Deno.removeSignalListener(signal, listener);
    },
  };
}

/**
 * Calls `onGone` once when one of the processes that launched us has ended. Killing npx alone tells its
 * children nothing, so a task that does not look would run on, unseen. Does not keep the process alive.
 */
export function watchParents(onGone: () => void): Disposable {
  // Each with its parent. The child of a dead process gets another one, so a reused number does not fool us.
  const links = launchers(Deno.pid);
  const timer = setInterval(() => {
    const now = processes(links.map(({ pid }) => pid));
    if (links.every(({ pid, parent }) => now.get(pid)?.parent === parent)) return;
    clearInterval(timer);
    onGone();
  }, parentWatchInterval);
  Deno.unrefTimer(timer);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/**
 * The links from `pid` up to the last of the processes that only exist to run it: `deno task`, npx, and the shell
 * between them. Other ancestors may end before us, as a script does that starts us in the background.
 */
function launchers(pid: number): { pid: number; parent: number }[] {
  const links: { pid: number; parent: number }[] = [];
  let runners = 0;
  for (;;) {
    const parent = parentOf(pid);
    const kind = parent === undefined ? "none" : launcherKind(parent);
    // A shell above the last runner is the caller's own.
    if (parent === undefined || kind === "none") return links.slice(0, runners);
    links.push({ pid, parent });
    if (kind === "runner") runners = links.length;
    pid = parent;
  }
}

function launcherKind(pid: number): "runner" | "shell" | "none" {
  const command = commandOf(pid);
  if (/^(\S*\/)?(sh|dash|bash|zsh) -c /.test(command)) return "shell";
  // npm writes its whole command into its process title: "npm exec deno@…". Its path, and that of deno, may hold spaces.
  const runner =
    /^(npm|npx)\b|^(\S*\/)?node (.*\/)?(npm|npx|npm-cli\.js|npx-cli\.js|deno)( |$)|^(.*\/)?deno( |$)/;
  return runner.test(command) ? "runner" : "none";
}
