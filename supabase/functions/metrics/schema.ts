import * as z from "zod/mini";

/** Prometheus' text format 0.0.4. */
export const MetricsResponse = z.string();
export type MetricsResponse = z.infer<typeof MetricsResponse>;
