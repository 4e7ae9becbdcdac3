import assert from "node:assert/strict";
import { metricTypes } from "./metric-catalogue.ts";
import { isolateMetrics } from "./metrics.ts";

const request = { endpoint: "models", status: "200", code: "none" };
const { bounds } = metricTypes.request_seconds;

Deno.test("the same labels are one series, others are another", () => {
  const metrics = isolateMetrics();
  metrics.count("requests", request);
  metrics.count("requests", { ...request });
  metrics.count("requests", { ...request, status: "401", code: "ERR_4005" });
  metrics.count("cold_starts", { endpoint: "models" });
  assert.deepEqual(metrics.take().map(({ name, labels, count }) => [name, labels, count]), [
    ["requests", request, 2],
    ["requests", { ...request, status: "401", code: "ERR_4005" }, 1],
    ["cold_starts", { endpoint: "models" }, 1],
  ]);
  assert.deepEqual(metrics.take(), [], "what was taken is not told twice");
});

Deno.test("what was measured is in the bucket of the first bound that it does not exceed, as Prometheus has it", () => {
  for (const [place, bound] of [...bounds, Infinity].entries()) {
    const metrics = isolateMetrics();
    const below = place === 0 ? 0 : bounds[place - 1] ?? 0;
    const values = bound === Infinity ? [below + 0.001, 1e9] : [bound, (below + bound) / 2];
    for (const value of values) metrics.observe("request_seconds", { endpoint: "models" }, value);
    const [row] = metrics.take();
    assert.equal(row?.buckets.length, bounds.length + 1);
    assert.equal(row?.buckets[place], 2, `up to ${bound}`);
    assert.deepEqual([row?.count, row?.sum], [2, (values[0] ?? 0) + (values[1] ?? 0)]);
  }
  const metrics = isolateMetrics();
  metrics.observe("request_seconds", { endpoint: "models" }, -1);
  const [row] = metrics.take();
  assert.deepEqual([row?.sum, row?.buckets[0]], [0, 1], "a clock that was set back");
});

Deno.test("what could not be told is told the next time, with what was counted meanwhile", () => {
  const [metrics, together] = [isolateMetrics(), isolateMetrics()];
  for (const each of [metrics, together]) {
    each.count("requests", request);
    each.observe("request_seconds", { endpoint: "models" }, 0.25);
  }
  const taken = metrics.take();
  for (const each of [metrics, together]) {
    each.observe("request_seconds", { endpoint: "models" }, 4);
    each.count("requests", { ...request, endpoint: "credits" });
  }
  metrics.giveBack(taken);
  const sorted = (rows: ReturnType<typeof metrics.take>) => rows.map((row) => JSON.stringify(row)).sort();
  const [told, expected] = [sorted(metrics.take()), sorted(together.take())];
  assert.deepEqual(told.map((row) => JSON.parse(row).count), expected.map((row) => JSON.parse(row).count));
  assert.deepEqual(told, expected);
});

Deno.test("whatever a stranger finds to name, an isolate keeps a bounded number of series", () => {
  const metrics = isolateMetrics();
  for (let index = 0; index < 5_000; index += 1) {
    metrics.count("cold_starts", { endpoint: `endpoint-${index}` });
  }
  const rows = metrics.take();
  assert.equal(rows.length, 1_000);
  metrics.count("cold_starts", { endpoint: "models" });
  metrics.giveBack(rows);
  assert.equal(metrics.take().length, 1_000);
});
