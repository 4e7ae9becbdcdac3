/** What a process has used so far, as Linux tells it: tests and measurements of it run on Linux alone. */

/** The CPU time of all its threads in seconds; undefined when the process has ended. */
export function cpuSeconds(pid: number): number | undefined {
  return secondsIn(`/proc/${pid}/stat`);
}

/** That of its main thread alone, on which Deno runs JavaScript. */
export function mainThreadSeconds(pid: number): number | undefined {
  return secondsIn(`/proc/${pid}/task/${pid}/stat`);
}

function secondsIn(path: string): number | undefined {
  let stat: string;
  try {
    stat = Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
  // After the name, which may hold anything, user and system time are the 12th and 13th, in ticks of 10 ms.
  const [user, system] = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(11, 13);
  return (Number(user) + Number(system)) / 100;
}

/** The most memory at a time, in bytes; undefined when the process has ended. */
export function peakMemory(pid: number): number | undefined {
  try {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`)) ?? [];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  } catch {
    return undefined;
  }
}

/** From here on the most memory counts anew, from what the process has now. */
export function forgetPeakMemory(pid: number): void {
  // proc_pid_clear_refs(5): "Writing 5 to this file resets the peak resident set size".
  Deno.writeTextFileSync(`/proc/${pid}/clear_refs`, "5");
}
