/** Prometheus' text format 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/ */
import type { MetricFamily } from "./contract.ts";

type Labels = Readonly<Record<string, string>>;

/** The families as text, each sample on a line. A family without a sample is left out. */
export function prometheusText(families: readonly MetricFamily[]): string {
  const lines = families.filter(({ samples }) => samples.length > 0).flatMap((
    { name, type, help, samples },
  ) => [
    `# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`,
    `# TYPE ${name} ${type}`,
    ...samples.flatMap((sample) =>
      "value" in sample ? [line(name, sample.labels, sample.value)] : histogram(name, sample)
    ),
  ]);
  return lines.map((each) => `${each}\n`).join("");
}

type Histogram = Extract<MetricFamily["samples"][number], { buckets: unknown }>;

/** Buckets are told cumulated, the last of them as `+Inf`. */
function histogram(name: string, { labels, bounds, buckets, count, sum }: Histogram): string[] {
  let below = 0;
  const cumulated = buckets.map((many, place) => {
    below += many;
    return line(
      `${name}_bucket`,
      { ...labels, le: place < bounds.length ? String(bounds[place]) : "+Inf" },
      below,
    );
  });
  return [...cumulated, line(`${name}_sum`, labels, sum), line(`${name}_count`, labels, count)];
}

function line(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
