/**
 * How a long-running task ends: by a signal, or because the command that started it is gone.
 */

/** Conventional exit codes of a process ended by a signal: 128 + the signal's number. */
const exitCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** Longer than a server needs to stop. What is left after it ends with us, since its supervisor notices. */
const disposeDeadline = 10_000;

/** Half a second: soon enough to free the ports for the next start, and three small reads cost nothing. */
const parentWatchInterval = 500;

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
    if (links.every(({ pid, parent }) => parentOf(pid) === parent)) return;
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

/** The parent of a living process; undefined when it has ended. */
export function parentOf(pid: number): number | undefined {
  let stat: string;
  try {
    stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  } catch {
    return undefined;
  }
  // The name stands in brackets and may hold anything; after it come the state and the parent.
  const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return state === "Z" ? undefined : Number(parent);
}

/** Between two looks at processes that are ending. */
const endingInterval = 10;

/** Ends a process and its children at once and without warning, as the kernel does when memory runs out. */
export async function killWithChildren(pid: number): Promise<void> {
  const numbers = Array.from(Deno.readDirSync("/proc"), ({ name }) => Number(name));
  const family = [pid, ...numbers.filter((number) => number > 0 && parentOf(number) === pid)];
  for (const member of family) {
    try {
      Deno.kill(member, "SIGKILL");
    } catch (error) {
      // It has ended by itself.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  while (family.some((member) => parentOf(member) !== undefined)) {
    await new Promise((resolve) => setTimeout(resolve, endingInterval));
  }
}

/** The CPU time that a process has had so far, in seconds; undefined when it has ended. */
export function cpuSeconds(pid: number): number | undefined {
  let stat: string;
  try {
    stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  } catch {
    return undefined;
  }
  // After the name, which may hold anything, user and system time are the 12th and 13th, in ticks of 10 ms.
  const [user, system] = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(11, 13);
  return (Number(user) + Number(system)) / 100;
}

/** The most memory that a process has had so far, in bytes; undefined when it has ended. */
export function peakMemory(pid: number): number | undefined {
  try {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`)) ?? [];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  } catch {
    return undefined;
  }
}
