/**
 * What is known about the processes of this machine. Linux keeps it in files; elsewhere `ps` prints it, which a small
 * Linux need not have.
 */
import { systemIsLinux } from "./system.ts";

export interface ProcessEntry {
  readonly parent: number;
  readonly group: number;
  /** What it was started with, or the title that it gave itself. Arguments are not told apart: a path may hold spaces. */
  readonly command: string;
}

/** The living processes among `pids`; without it, all. */
export function processes(pids?: readonly number[]): Map<number, ProcessEntry> {
  return systemIsLinux ? readProcessFiles(pids) : askProcessStatus(pids);
}

/** The parent of a living process; undefined when it has ended. */
export function parentOf(pid: number): number | undefined {
  return processes([pid]).get(pid)?.parent;
}

/** What a living process was started with; empty when it has ended. */
export function commandOf(pid: number): string {
  return processes([pid]).get(pid)?.command ?? "";
}

/** As `processes`, on Linux alone. */
export function readProcessFiles(pids?: readonly number[]): Map<number, ProcessEntry> {
  const numbers = pids ??
    Array.from(Deno.readDirSync("/proc"), ({ name }) => Number(name)).filter((pid) => pid > 0);
  const found = new Map<number, ProcessEntry>();
  for (const pid of numbers) {
    try {
      const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
      // The name stands in brackets and may hold anything; after it come the state, the parent and the group.
      const [state, parent, group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (state === "Z") continue;
      const command = Deno.readTextFileSync(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim();
      found.set(pid, { parent: Number(parent), group: Number(group), command });
    } catch {
      // It has ended.
    }
  }
  return found;
}

/** As `processes`, on any system. */
export function askProcessStatus(pids?: readonly number[]): Map<number, ProcessEntry> {
  // What follows a `=` is a heading, up to the end of the argument: each column needs an option of its own.
  const columns = ["pid", "ppid", "pgid", "stat", "args"].flatMap((column) => ["-o", `${column}=`]);
  const { stdout } = new Deno.Command("ps", {
    args: ["-ww", ...columns, ...(pids === undefined ? ["-A"] : ["-p", pids.join(",")])],
    stdin: "null",
    stdout: "piped",
    // That a process has ended is no error of ours.
    stderr: "null",
  }).outputSync();
  const found = new Map<number, ProcessEntry>();
  for (const line of new TextDecoder().decode(stdout).split("\n")) {
    const [, pid, parent, group, state, command = ""] =
      /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s*(.*)$/.exec(line) ?? [];
    if (pid === undefined || state?.startsWith("Z")) continue;
    found.set(Number(pid), { parent: Number(parent), group: Number(group), command: command.trim() });
  }
  return found;
}

/** Between two looks at processes that are ending. */
const endingInterval = 10;

/** Ends a process and its children at once and without warning, as the kernel does when memory runs out. */
export async function killWithChildren(pid: number): Promise<void> {
  const children = [...processes()].filter(([, { parent }]) => parent === pid).map(([child]) => child);
  const family = [pid, ...children];
  for (const member of family) {
    try {
      Deno.kill(member, "SIGKILL");
    } catch (error) {
      // It has ended by itself.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  while (processes(family).size > 0) await new Promise((resolve) => setTimeout(resolve, endingInterval));
}
