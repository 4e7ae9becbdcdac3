/** docs/operations/grafana.json is a dashboard that Grafana takes, on metrics and labels that `metrics` has. */
import assert from "node:assert/strict";
import * as z from "zod";
import { metricTypes } from "../../supabase/functions/_shared/ops/metric-catalogue.ts";
import { readDocument } from "./documents.ts";

const source = z.strictObject({ type: z.literal("prometheus"), uid: z.literal("${source}") });

/** What of Grafana's dashboard model (schema version 39) is used, and nothing that it does not know. */
const Dashboard = z.strictObject({
  uid: z.string().regex(/^[\w-]{1,40}$/),
  title: z.string().min(1),
  description: z.string(),
  tags: z.array(z.string()),
  schemaVersion: z.literal(39),
  version: z.int().positive(),
  editable: z.boolean(),
  refresh: z.string().regex(/^\d+[smh]$/),
  timezone: z.literal("utc"),
  time: z.strictObject({ from: z.string().regex(/^now-\d+[hd]$/), to: z.literal("now") }),
  templating: z.strictObject({
    list: z.tuple([
      z.strictObject({
        name: z.literal("source"),
        label: z.string(),
        type: z.literal("datasource"),
        query: z.literal("prometheus"),
      }),
    ]),
  }),
  annotations: z.strictObject({ list: z.array(z.never()) }),
  panels: z.array(z.strictObject({
    id: z.int().positive(),
    type: z.literal("timeseries"),
    title: z.string().min(1),
    datasource: source,
    gridPos: z.strictObject({ h: z.int(), w: z.int().max(24), x: z.int().min(0).max(23), y: z.int().min(0) }),
    fieldConfig: z.strictObject({
      defaults: z.strictObject({
        unit: z.enum(["short", "s", "reqps", "percentunit", "bytes"]),
        min: z.literal(0),
      }),
      overrides: z.array(z.never()),
    }),
    options: z.strictObject({}),
    targets: z.array(z.strictObject({
      refId: z.string().regex(/^[A-Z]$/),
      datasource: source,
      expr: z.string().min(1),
      legendFormat: z.string(),
    })).min(1),
  })).min(1),
});

const { text } = await readDocument("docs/operations/grafana.json");
const { panels } = Dashboard.parse(JSON.parse(text));
const sql = await Deno.readTextFile(new URL("../../supabase/schemas/ops/metric-views.sql", import.meta.url));

/** The names that Prometheus has for each metric, and the labels of each. */
const known = new Map<string, readonly string[]>();
for (const [name, { bounds, labels }] of Object.entries(metricTypes)) {
  const own = Object.keys(labels);
  if (bounds === null) known.set(`kinora_${name}_total`, own);
  else for (const part of ["sum", "count"]) known.set(`kinora_${name}_${part}`, own);
  if (bounds !== null) known.set(`kinora_${name}_bucket`, [...own, "le"]);
}
for (
  const [family, name = ""] of sql.matchAll(
    /ops\.metric_family\('(kinora_[a-z_]+)'[^]*?(?=\n {4}ops\.metric_family|\$\$)/g,
  )
) {
  known.set(
    name,
    Array.from(family.matchAll(/'(\w+)', \w+\.\w+/g), ([, label = ""]) => label).filter((label) =>
      label !== "value"
    ),
  );
}

Deno.test("each panel of the dashboard asks metrics that there are, by labels that they have", () => {
  const shown = new Set<string>();
  for (const { title, targets } of panels) {
    for (const { expr, legendFormat } of targets) {
      const names = expr.match(/kinora_\w+/g) ?? [];
      assert(names.length > 0, title);
      for (const name of names) {
        assert(known.has(name), `${title}: there is no ${name}`);
        shown.add(name.replace(/_(bucket|sum|count)$/, ""));
      }
      const labels = [
        ...Array.from(expr.matchAll(/by \(([^)]*)\)/g), ([, list = ""]) => list.split(", ")).flat(),
        ...Array.from(expr.matchAll(/(\w+)(?:=~|!=|=)"/g), ([, label = ""]) => label),
        ...Array.from(legendFormat.matchAll(/\{\{(\w+)\}\}/g), ([, label = ""]) => label),
      ];
      for (const label of labels) {
        assert(
          names.every((name) => known.get(name)?.includes(label)),
          `${title}: ${names} have no ${label}`,
        );
      }
      // What a panel's legend names must have survived its sum.
      const kept = /by \(([^)]*)\)/.exec(expr)?.[1]?.split(", ");
      for (const [, label = ""] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
        assert(kept === undefined || kept.includes(label), `${title}: ${label} is summed away`);
      }
      let open = 0;
      for (const sign of expr.replaceAll(/"[^"]*"/g, "")) {
        open += "([{".includes(sign) ? 1 : ")]}".includes(sign) ? -1 : 0;
        assert(open >= 0, title);
      }
      assert.equal(open, 0, title);
    }
  }
  const all = [...known.keys()].map((name) => name.replace(/_(bucket|sum|count)$/, ""));
  assert.deepEqual(
    [...new Set(all)].filter((name) => !shown.has(name)),
    [],
    "each metric is on the dashboard",
  );
});

Deno.test("no two panels lie on each other, and each has an id of its own", () => {
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  for (const [index, { gridPos: one }] of panels.entries()) {
    for (const { gridPos: other } of panels.slice(index + 1)) {
      const apart = one.x + one.w <= other.x || other.x + other.w <= one.x || one.y + one.h <= other.y ||
        other.y + other.h <= one.y;
      assert(apart, JSON.stringify([one, other]));
    }
  }
});

Deno.test("docs/operations/metrics.md watches metrics that there are", async () => {
  const { text } = await readDocument("docs/operations/metrics.md");
  const names = text.match(/kinora_\w+/g) ?? [];
  assert(names.length > 5);
  for (const name of names) assert(known.has(name) || known.has(`${name}_bucket`), name);
});
