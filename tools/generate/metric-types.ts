/** What is made from the catalogue of metrics: the types of SQL, with the closed sets that follow from the project. */
import { errorCodes } from "../../supabase/functions/_shared/errors/error-codes.ts";
import {
  type LabelValues,
  type MetricType,
  metricTypes,
  noCode,
} from "../../supabase/functions/_shared/ops/metric-catalogue.ts";
import type { SchemaFile } from "../schemas.ts";

export const metricTypesFile = new URL("../../supabase/schemas/ops/metric-types.sql", import.meta.url);

/** Of answers without an error of ours; those of the registry are added. */
const successes = [200, 201, 202, 204, 304];

/** The procedures that the Data API exposes, as supabase/schemas/api declares them. */
function proceduresOf(files: readonly SchemaFile[]): string[] {
  const names = files.flatMap(({ text }) =>
    Array.from(text.matchAll(/^create function api\.(\w+)/gm), ([, name = ""]) => name)
  );
  return [...new Set(names)].sort();
}

/** `supabase/schemas/ops/metric-types.sql`. `endpoints` are the folders of the functions. */
export function metricTypesSchema(endpoints: readonly string[], files: readonly SchemaFile[]): string {
  const statuses = new Set([...successes, ...Object.values(errorCodes).map(({ status }) => status)]);
  const sets: Record<Extract<LabelValues, string>, readonly string[]> = {
    endpoints,
    statuses: [...statuses].sort().map(String),
    codes: [noCode, ...Object.keys(errorCodes)],
    procedures: proceduresOf(files),
  };
  const lines = Object.entries<MetricType>(metricTypes).map(([name, { bounds, help, labels }]) => {
    const said = Object.fromEntries(
      Object.entries(labels).map(([label, set]) => [label, typeof set === "string" ? `@${set}` : set]),
    );
    return `  row('${name}', '${help}', '${JSON.stringify(said)}', ${
      bounds === null ? "null" : `'{${bounds.join(",")}}'`
    })::ops.metric_type`;
  });
  const wrapped = (values: readonly string[]) => {
    const out: string[] = [];
    let line = "   ";
    for (const [index, value] of values.entries()) {
      const text = ` ${JSON.stringify(value)}${index === values.length - 1 ? "" : ","}`;
      if (line.length + text.length > 118) {
        out.push(line);
        line = "   ";
      }
      line += text;
    }
    return [...out, line].join("\n");
  };
  const named = Object.entries(sets).map(([name, values]) => `  "@${name}": [\n${wrapped(values)}\n  ]`);
  return `-- Made from the catalogue in supabase/functions/_shared/ops/metric-catalogue.ts, the folders of supabase/functions, the
-- registry of errors and supabase/schemas/api by \`deno task generate\`.

-- What an isolate counts: its name, what it is, the values that each label may have (a list, or the name of one in
-- ops.metric_sets), and the bounds of its buckets, null where it has none.
create type ops.metric_type as (name text, help text, labels jsonb, bounds double precision[]);

-- Every metric that an isolate counts.
create function ops.metric_types()
returns ops.metric_type[]
language sql
immutable
return array[
${lines.join(",\n")}
];

-- The closed sets that several labels share.
create function ops.metric_sets()
returns jsonb
language sql
immutable
return '{
${named.join(",\n")}
}'::jsonb;
`;
}
