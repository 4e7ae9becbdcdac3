/** What an isolate counts until it tells the database: in memory, by metric and labels, with no call and no library. */
import { type MetricName, type MetricType, metricTypes } from "./metric-catalogue.ts";

/** As `record_metrics` takes them. */
export type CountedRow = {
  readonly name: MetricName;
  readonly labels: Readonly<Record<string, string>>;
  readonly count: number;
  readonly sum: number;
  readonly buckets: readonly number[];
};

type Types = typeof metricTypes;
type LabelsOf<Name extends MetricName> = { readonly [Label in keyof Types[Name]["labels"]]: string };
type HistogramName = { [Name in MetricName]: Types[Name]["bounds"] extends null ? never : Name }[MetricName];

export interface Metrics {
  count<Name extends Exclude<MetricName, HistogramName>>(name: Name, labels: LabelsOf<Name>): void;
  /** One of a histogram's, in its unit. What is negative, as when a clock was set back, counts as 0. */
  observe<Name extends HistogramName>(name: Name, labels: LabelsOf<Name>, value: number): void;
  /** What was counted since it was last taken. */
  take(): CountedRow[];
  /** Counts again what was taken and could not be told. */
  giveBack(rows: readonly CountedRow[]): void;
}

/** Sets are closed, so that there are far fewer; a bound all the same for what a stranger might find to name. */
const maxSeries = 1_000;

interface Series {
  readonly name: MetricName;
  readonly labels: Readonly<Record<string, string>>;
  count: number;
  sum: number;
  readonly buckets: number[];
}

/** The counts of one isolate. */
export function isolateMetrics(): Metrics {
  let series = new Map<string, Series>();

  function seriesOf(name: MetricName, labels: Readonly<Record<string, string>>): Series | null {
    let key: string = name;
    for (const label in labels) key += `\n${labels[label]}`;
    const known = series.get(key);
    if (known !== undefined) return known;
    if (series.size >= maxSeries) return null;
    const { bounds }: MetricType = metricTypes[name];
    const made = {
      name,
      labels,
      count: 0,
      sum: 0,
      buckets: bounds === null ? [] : new Array(bounds.length + 1).fill(0),
    };
    series.set(key, made);
    return made;
  }

  return {
    count(name, labels) {
      const known = seriesOf(name, labels);
      if (known !== null) known.count += 1;
    },
    observe(name, labels, given) {
      const known = seriesOf(name, labels);
      if (known === null) return;
      const value = Math.max(0, given);
      const bounds: readonly number[] = metricTypes[name].bounds;
      let place = 0;
      while (place < bounds.length && value > (bounds[place] ?? Infinity)) place += 1;
      known.count += 1;
      known.sum += value;
      known.buckets[place] = (known.buckets[place] ?? 0) + 1;
    },
    take() {
      const taken = [...series.values()];
      series = new Map();
      return taken;
    },
    giveBack(rows) {
      for (const { name, labels, count, sum, buckets } of rows) {
        const known = seriesOf(name, labels);
        if (known === null) continue;
        known.count += count;
        known.sum += sum;
        for (const [place, many] of buckets.entries()) {
          known.buckets[place] = (known.buckets[place] ?? 0) + many;
        }
      }
    },
  };
}
