/** Measuring under load: so many clients, one call after the other each, for a fixed time. */
import { cpuSeconds } from "../local/processes/process-usage.ts";
import { systemIsLinux } from "../local/processes/system.ts";
import { showProgress } from "./progress.ts";
import { median, type Table } from "./report.ts";

export interface Measurement {
  name: string;
  clients: number;
  /** Calls a second, all clients together. */
  rate: number;
  /** Milliseconds. */
  median: number;
  percentile95: number;
  errors: number;
  /** Of the first call that went wrong. */
  firstError: string | null;
  /** CPU time of the server a call; NaN where nobody told. */
  cpuMicroseconds: number;
  /** Of all processors' time, what this process took to make the load; NaN where the system does not tell. */
  ownShare: number;
}

export interface Load {
  name: string;
  clients: number;
  /** One call, by one client; `turn` counts that client's calls. Throws when the call went wrong. */
  call(client: number, turn: number): Promise<unknown>;
  /** What the server has used so far, in milliseconds; NaN where the system does not tell. */
  cpuTime?(): Promise<number>;
}

export interface Timing {
  /** Before anything is counted: plans, caches and pools are warm then. */
  warmUpMilliseconds: number;
  milliseconds: number;
}

/** What this process has used so far, in seconds. */
const ownSeconds = () => systemIsLinux ? cpuSeconds(Deno.pid) ?? NaN : NaN;

/** Runs one load and returns its figures, with a bar on the terminal while it runs. */
export async function measure(load: Load, timing: Timing): Promise<Measurement> {
  await run(load, timing.warmUpMilliseconds, () => {});
  const durations: number[] = [];
  let errors = 0;
  let firstError: unknown;
  const cpuBefore = await load.cpuTime?.() ?? NaN;
  const ownBefore = ownSeconds();
  const startedAt = performance.now();
  const bar = setInterval(() => showProgress(load.name), 200);
  await run(load, timing.milliseconds, (milliseconds, error) => {
    if (error === undefined) durations.push(milliseconds);
    else {
      errors += 1;
      firstError ??= error;
    }
  });
  clearInterval(bar);
  const seconds = (performance.now() - startedAt) / 1000;
  const own = ownSeconds() - ownBefore;
  const cpu = (await load.cpuTime?.() ?? NaN) - cpuBefore;
  if (durations.length === 0) throw new Error(`${load.name}: no call went well`, { cause: firstError });
  durations.sort((a, b) => a - b);
  const at = (share: number) => durations[Math.floor(durations.length * share)] ?? NaN;
  return {
    name: load.name,
    clients: load.clients,
    rate: durations.length / seconds,
    median: at(0.5),
    percentile95: at(0.95),
    errors,
    firstError: firstError === undefined ? null : String(firstError),
    cpuMicroseconds: 1000 * cpu / (durations.length + errors),
    ownShare: own / seconds / navigator.hardwareConcurrency,
  };
}

/** Of several measurements of one load, each figure's median; errors are added. */
export function medianOf(measurements: readonly Measurement[]): Measurement {
  const [first] = measurements;
  if (first === undefined) throw new Error("Nothing was measured");
  const middle = (figure: (measurement: Measurement) => number) => median(measurements.map(figure));
  return {
    ...first,
    rate: middle(({ rate }) => rate),
    median: middle((measurement) => measurement.median),
    percentile95: middle(({ percentile95 }) => percentile95),
    errors: measurements.reduce((sum, { errors }) => sum + errors, 0),
    firstError: measurements.find(({ firstError }) => firstError !== null)?.firstError ?? null,
    cpuMicroseconds: middle(({ cpuMicroseconds }) => cpuMicroseconds),
    ownShare: middle(({ ownShare }) => ownShare),
  };
}

/** A row to be measured, and what must be so before. */
export interface Row extends Omit<Load, "clients"> {
  prepare?(): Promise<unknown>;
}

/**
 * The medians of rows by their names. They take turns, so that what disturbs the machine for a minute disturbs all of them.
 */
export async function measureInTurns(
  rows: readonly Row[],
  clients: number,
  { timing, repetitions }: { timing: Timing; repetitions: number },
): Promise<Map<string, Measurement>> {
  const taken = new Map<string, Measurement[]>(rows.map(({ name }) => [name, []]));
  for (let repetition = 0; repetition < repetitions; repetition += 1) {
    for (const row of rows) {
      await row.prepare?.();
      taken.get(row.name)?.push(await measure({ ...row, clients }, timing));
    }
  }
  return new Map([...taken].map(([name, measurements]) => [name, medianOf(measurements)]));
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

/** The measurements in which a call went wrong. */
export function failedOf(measurements: Iterable<Measurement>): string[] {
  return Array.from(measurements).flatMap(({ name, errors, firstError }) =>
    errors === 0 ? [] : [`${name.trim()}: ${errors} calls went wrong; the first: ${firstError}`]
  );
}

/** The figures of measurements, a row each. */
export function tableOf(title: string, measurements: Iterable<Measurement>): Table {
  const figure = (value: number, digits: number) => Number.isNaN(value) ? "" : value.toFixed(digits);
  return {
    title,
    header: ["", "clients", "calls/s", "median ms", "p95 ms", "server CPU µs", "load generator", "errors"],
    rows: Array.from(measurements, (m) => [
      m.name,
      `${m.clients}`,
      Math.round(m.rate).toLocaleString("en"),
      figure(m.median, 2),
      figure(m.percentile95, 2),
      figure(m.cpuMicroseconds, 0),
      Number.isNaN(m.ownShare) ? "" : `${Math.round(100 * m.ownShare)} %`,
      `${m.errors}`,
    ]),
  };
}
