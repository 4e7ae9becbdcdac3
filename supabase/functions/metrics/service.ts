import type { Database } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { MetricFamily } from "../_shared/ops/contract.ts";
import { prometheusText } from "../_shared/ops/prometheus-text.ts";
import * as z from "zod/mini";
import type { MetricsResponse } from "./schema.ts";

/** What isolates ever counted, and what the tables know now. */
export async function getMetrics(
  _input: unknown,
  { database }: Context<"metrics"> & { database: Database },
): Promise<Answer<MetricsResponse>> {
  const families = await database.call("metrics", {}, z.array(MetricFamily));
  return { status: 200, body: prometheusText(families) };
}
