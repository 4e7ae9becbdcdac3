/**
 * How a long-running task ends: by a signal, or because the command that started it is gone.
 */

/** Conventional exit codes of a process ended by a signal: 128 + the signal's number. */
const exitCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** Half a second: soon enough to free the ports for the next start, and three small reads cost nothing. */
const parentWatchInterval = 500;

/**
 * Ends this process tidily. On INT, TERM or HUP, and when the command that started us is gone, `dispose` runs
 * once and the process exits with 128 + the signal's number (a lost parent counts as TERM). A second signal
 * exits at once. Disposing of the result stops listening.
 */
export function exitOnTermination(dispose: () => PromiseLike<void>): Disposable {
  let ending = false;
  async function end(signal: keyof typeof exitCodes): Promise<void> {
    if (ending) Deno.exit(exitCodes[signal]);
    ending = true;
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
  const chain = [Deno.pid, ...launchers(Deno.pid)];
  const timer = setInterval(() => {
    // The child of a dead process gets another parent, so the links of the chain tell, and a reused pid does not fool us.
    const broken = chain.slice(1).some((parent, index) => statusOf(chain[index])?.parent !== parent);
    if (!broken) return;
    clearInterval(timer);
    onGone();
  }, parentWatchInterval);
  Deno.unrefTimer(timer);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/**
 * The ancestors of `pid` that only exist to run it: `deno task`, npx, and the shell between them. It stops at the
 * first other process, because a script that starts us in the background may end before us.
 */
function launchers(pid: number): number[] {
  const found: number[] = [];
  let last = 0;
  for (let next = statusOf(pid)?.parent; next !== undefined && next > 1; next = statusOf(next)?.parent) {
    const kind = launcherKind(next);
    if (kind === "none") break;
    found.push(next);
    if (kind === "runner") last = found.length;
  }
  // A shell above the last runner is the caller's own.
  return found.slice(0, last);
}

function launcherKind(pid: number): "runner" | "shell" | "none" {
  const [program = "", argument = ""] = commandLine(pid);
  const name = program.slice(program.lastIndexOf("/") + 1);
  // npm writes its whole command into its process title, so it is one argument: "npm exec deno@…".
  if (name === "deno" || /^(npm|npx)\b/.test(program)) return "runner";
  if (name === "node" && /\b(npm|npx|deno)\b/.test(argument)) return "runner";
  return /^(sh|dash|bash)$/.test(name) && argument === "-c" ? "shell" : "none";
}

/** The arguments `pid` was started with; empty when there is no such process. */
export function commandLine(pid: number): string[] {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/cmdline`).split("\0").filter((part) => part !== "");
  } catch {
    return [];
  }
}

/** The parent and the start (in clock ticks since boot) of a living process; undefined when it has ended. */
export function statusOf(pid: number | undefined): { parent: number; started: number } | undefined {
  let stat: string;
  try {
    stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  } catch {
    return undefined;
  }
  // Fields are counted after the name, which stands in brackets and may hold anything: state, parent, … start (20th).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields[0] === "Z") return undefined;
  return { parent: Number(fields[1]), started: Number(fields[19]) };
}
