/** Series over time: drawn with a unit, read by hovering, and as a table for whoever wants the figures themselves. */
import "uplot/dist/uPlot.min.css";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { onColours } from "../shell/theme.tsx";
import { Table } from "./table.tsx";

export interface Series {
  readonly name: string;
  /** One for each step; null where nothing is known of it. */
  readonly values: readonly (number | null)[];
  /** Which of style.css's; its place among the series where it is not said. */
  readonly colour?: number | undefined;
}

interface PlotProps {
  title: string;
  /** ISO 8601, of the first step's beginning. */
  from: string;
  stepSeconds: number;
  series: readonly Series[];
  /** Of a figure, with its unit. */
  format: (value: number) => string;
}

const height = 220;
const clock = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat("en", { month: "short", day: "numeric" });
const both = new Intl.DateTimeFormat("en", {
  ...{ month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
});

/** In the viewer's time zone. */
const at = (format: Intl.DateTimeFormat, seconds: number) => format.format(new Date(seconds * 1000));

/** The colour that a property of style.css is now. */
function colour(element: HTMLElement, property: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${property})`;
  element.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

function draw(element: HTMLElement, { from, stepSeconds, series, format }: PlotProps): uPlot {
  const start = Date.parse(from) / 1000;
  const times = Array.from(series[0]?.values ?? [], (_, index) => start + index * stepSeconds);
  const axis = {
    stroke: colour(element, "--text-soft"),
    grid: { stroke: colour(element, "--line"), width: 1 },
  };
  const days = stepSeconds >= 3_600;
  return new uPlot(
    {
      width: Math.max(240, element.clientWidth),
      height,
      cursor: { drag: { x: false, y: false } },
      scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.1 : 1] } },
      axes: [
        { ...axis, values: (_, seconds) => seconds.map((second) => at(days ? day : clock, second)) },
        { ...axis, size: 80, values: (_, values) => values.map(format) },
      ],
      series: [
        { label: "Time", value: (_, second) => second === null ? "–" : at(both, second) },
        ...series.map(({ name, values, colour: chosen }, index) => ({
          label: name,
          stroke: colour(element, `--series-${(chosen ?? index) % 6}`),
          width: 2,
          // A line joins no value that stands alone.
          points: { show: values.length < 2 || values.includes(null) },
          value: (_: uPlot, value: number | null) => value === null ? "–" : format(value),
        })),
      ],
    },
    [times, ...series.map(({ values }) => [...values])],
    element,
  );
}

export function Plot(props: PlotProps) {
  const { title, from, stepSeconds, series, format } = props;
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const { current } = element;
    if (current === null) return;
    let plot = draw(current, props);
    // It takes its colours once.
    const end = onColours(() => {
      plot.destroy();
      plot = draw(current, props);
    });
    const resized = new ResizeObserver(() =>
      plot.setSize({ width: Math.max(240, current.clientWidth), height })
    );
    resized.observe(current);
    return () => {
      resized.disconnect();
      end();
      plot.destroy();
    };
  }, [from, stepSeconds, series]);
  const start = Date.parse(from) / 1000;
  const rows = (series[0]?.values ?? []).map((_, index) => ({ index, time: start + index * stepSeconds }));
  return (
    <figure class="plot">
      <figcaption>{title}</figcaption>
      <div ref={element} role="img" aria-label={`${title}: the figures are in the table below`} />
      <details>
        <summary>Figures of {title}</summary>
        <Table
          caption={title}
          rows={rows}
          rowKey={({ index }) => `${index}`}
          columns={[
            { title: "Time", cell: ({ time }) => at(both, time) },
            ...series.map(({ name, values }) => ({
              title: name,
              isNumber: true,
              cell: ({ index }: { index: number }) => {
                const value = values[index] ?? null;
                return value === null ? "–" : format(value);
              },
            })),
          ]}
        />
      </details>
    </figure>
  );
}
