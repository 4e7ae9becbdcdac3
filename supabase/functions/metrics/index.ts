import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { MetricsResponse } from "./schema.ts";
import { getMetrics } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "What is counted and measured, for Prometheus",
  auth: "metrics",
  response: { 200: MetricsResponse },
  mediaType: "text/plain; version=0.0.4; charset=utf-8",
  errors: [],
  ports: { database },
  service: getMetrics,
});
