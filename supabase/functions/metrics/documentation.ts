import type { Documentation } from "../_shared/endpoint/documentation.ts";

const example = `# HELP kinora_requests_total Requests that were answered
# TYPE kinora_requests_total counter
kinora_requests_total{code="none",endpoint="models",status="200"} 12
`;

export default {
  GET: {
    description:
      "Prometheus' text format 0.0.4. Counters and histograms are what isolates counted since there is the database, some " +
      "20 seconds late; gauges are what the tables know now. `METRICS_TOKEN` opens this and nothing else. docs/operations/metrics.md says what to watch.",
    responses: { 200: example },
  },
} satisfies Documentation;
