/** Measuring under load: so many clients, one call after the other each, for a fixed time; and the table at the end. */

export interface Measurement {
  name: string;
  clients: number;
  /** Calls a second, all clients together. */
  rate: number;
  /** Milliseconds. */
  median: number;
  percentile95: number;
  errors: number;
  /** CPU time of the server a call; null where nobody told. */
  cpuMicroseconds: number | null;
  budget: string;
}

export interface Load {
  name: string;
  clients: number;
  /** What the design promises, as it is printed beside the figure. */
  budget?: string;
  /** One call, by one client; `turn` counts that client's calls. Throws when the call went wrong. */
  call(client: number, turn: number): Promise<unknown>;
  /** What the server has used so far, in milliseconds. */
  cpuTime?(): Promise<number | null>;
}

export interface Timing {
  /** Before anything is counted: plans, caches and pools are warm then. */
  warmUpMilliseconds: number;
  milliseconds: number;
}

/** Runs one load and returns its figures, with a bar on the terminal while it runs. */
export async function measure(load: Load, timing: Timing): Promise<Measurement> {
  await run(load, timing.warmUpMilliseconds, () => {});
  const durations: number[] = [];
  let errors = 0;
  const cpuBefore = await load.cpuTime?.() ?? null;
  const startedAt = performance.now();
  const bar = setInterval(() => {
    showProgress(load.name, (performance.now() - startedAt) / timing.milliseconds);
  }, 200);
  await run(load, timing.milliseconds, (milliseconds, error) => {
    if (error === undefined) durations.push(milliseconds);
    else errors += 1;
  });
  clearInterval(bar);
  const seconds = (performance.now() - startedAt) / 1000;
  const cpuAfter = await load.cpuTime?.() ?? null;
  clearLine();
  durations.sort((a, b) => a - b);
  const at = (share: number) => durations[Math.floor(durations.length * share)] ?? NaN;
  return {
    name: load.name,
    clients: load.clients,
    rate: durations.length / seconds,
    median: at(0.5),
    percentile95: at(0.95),
    errors,
    cpuMicroseconds: cpuBefore === null || cpuAfter === null
      ? null
      : 1000 * (cpuAfter - cpuBefore) / (durations.length + errors),
    budget: load.budget ?? "",
  };
}

/** Of several measurements of one load, each figure's median; errors are added. */
export function medianOf(measurements: readonly Measurement[]): Measurement {
  const [first] = measurements;
  if (first === undefined) throw new Error("Nothing was measured");
  const median = (figure: (measurement: Measurement) => number) =>
    measurements.map(figure).sort((a, b) => a - b)[measurements.length >> 1] ?? NaN;
  return {
    ...first,
    rate: median(({ rate }) => rate),
    median: median((measurement) => measurement.median),
    percentile95: median(({ percentile95 }) => percentile95),
    errors: measurements.reduce((sum, { errors }) => sum + errors, 0),
    cpuMicroseconds: first.cpuMicroseconds === null
      ? null
      : median(({ cpuMicroseconds }) => cpuMicroseconds ?? NaN),
  };
}

async function run(
  { clients, call }: Load,
  milliseconds: number,
  done: (milliseconds: number, error?: unknown) => void,
): Promise<void> {
  const end = performance.now() + milliseconds;
  await Promise.all(Array.from({ length: clients }, async (_, client) => {
    for (let turn = 0; performance.now() < end; turn += 1) {
      const startedAt = performance.now();
      try {
        await call(client, turn);
        done(performance.now() - startedAt);
      } catch (error) {
        done(performance.now() - startedAt, error);
      }
    }
  }));
}

const encoder = new TextEncoder();
const width = 30;

export function showProgress(name: string, share: number): void {
  if (!Deno.stderr.isTerminal()) return;
  const filled = Math.round(Math.min(1, share) * width);
  const text = `\r${"█".repeat(filled)}${"░".repeat(width - filled)}  ${name}\x1b[K`;
  Deno.stderr.writeSync(encoder.encode(text));
}

export function clearLine(): void {
  if (Deno.stderr.isTerminal()) Deno.stderr.writeSync(encoder.encode("\r\x1b[K"));
}

/** What the figures were taken on. */
export function machine(postgresVersion: string, generator: string): string {
  const { cpus, memory } = { cpus: navigator.hardwareConcurrency, memory: Deno.systemMemoryInfo().total };
  return `${cpus} cores, ${Math.round(memory / 2 ** 30)} GiB, ${Deno.build.target} · ${postgresVersion} · ` +
    `Deno ${Deno.version.deno} · load: ${generator}`;
}

export function printTable(title: string, measurements: readonly Measurement[]): void {
  const header = ["", "clients", "calls/s", "median ms", "p95 ms", "CPU µs", "errors", "budget"];
  const rows = measurements.map((m) => [
    m.name,
    `${m.clients}`,
    Math.round(m.rate).toLocaleString("en"),
    m.median.toFixed(2),
    m.percentile95.toFixed(2),
    m.cpuMicroseconds === null ? "" : m.cpuMicroseconds.toFixed(0),
    `${m.errors}`,
    m.budget,
  ]);
  printRows(title, header, rows);
}

/** A table whose first and last column are text, and whose others are figures. */
export function printRows(title: string, header: string[], rows: string[][]): void {
  const widths = header.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0))
  );
  const isText = (column: number) => column === 0 || column === header.length - 1;
  const line = (cells: string[]) =>
    cells.map((cell, column) => {
      const columnWidth = widths[column] ?? 0;
      return isText(column) ? cell.padEnd(columnWidth) : cell.padStart(columnWidth);
    }).join("  ").trimEnd();
  console.log(`\n${title}\n${line(header)}\n${rows.map(line).join("\n")}`);
}
