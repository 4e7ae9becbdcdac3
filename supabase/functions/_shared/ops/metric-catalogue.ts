/**
 * What an isolate counts, declared here and nowhere else: the types of SQL and the tests are made from it. Labels are closed
 * sets; never a user, a prompt or a free text. Bounds never change, or what was kept would mean something else.
 */

/** What a label may say. Sets that follow from the rest of the project are named, and filled by `deno task generate`. */
export type LabelValues = readonly string[] | "endpoints" | "statuses" | "codes" | "procedures";

/** The code of an answer that is no error. */
export const noCode = "none";

export interface MetricType {
  /** A histogram has the bounds of its buckets, in ascending order; what is above the last is in one more. */
  readonly bounds: readonly number[] | null;
  readonly help: string;
  readonly labels: Readonly<Record<string, LabelValues>>;
}

/** In seconds, for what somebody waits for: from a look into memory to a submission's 30. */
const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const;
/** In bytes; the platform ends an isolate at 256 MiB. */
const bytes = [32, 64, 96, 128, 160, 192, 224, 256].map((mebibytes) => mebibytes * 2 ** 20);

/** Whom the functions ask beside the database and Storage. */
export const outsideServices = [
  "fal",
  "replicate",
  "runway",
  "openai",
  "apple_device_check",
  "apple_id",
  "app_store",
] as const;
export type OutsideService = (typeof outsideServices)[number];

/** How an exchange ended: `refused` is 4xx, `busy` is 429, `failed` is 5xx and `unanswered` is no answer in time. */
export const outcomes = ["ok", "refused", "busy", "failed", "unanswered"] as const;
export type Outcome = (typeof outcomes)[number];

const operations = ["submit", "poll", "cancel", "judge", "ask", "webhook_keys"] as const;
export type OutsideOperation = (typeof operations)[number];

export const metricTypes = {
  requests: {
    bounds: null,
    help: "Requests that were answered",
    labels: { endpoint: "endpoints", status: "statuses", code: "codes" },
  },
  request_seconds: {
    bounds: seconds,
    help: "Time from a request to its answer",
    labels: { endpoint: "endpoints" },
  },
  data_api_calls: {
    bounds: null,
    help: "Calls of the stored procedures through the Data API",
    labels: { procedure: "procedures", outcome: outcomes },
  },
  data_api_seconds: {
    bounds: seconds,
    help: "Time of a call of a stored procedure",
    labels: { procedure: "procedures" },
  },
  provider_calls: {
    bounds: null,
    help: "Exchanges with services outside, each try by itself",
    labels: { provider: outsideServices, operation: operations, outcome: outcomes },
  },
  provider_seconds: {
    bounds: seconds,
    help: "Time of an exchange with a service outside",
    labels: { provider: outsideServices, operation: operations },
  },
  retries: {
    bounds: null,
    help: "Exchanges that were repeated because the one before did not help",
    labels: { service: ["data_api", ...outsideServices] },
  },
  cold_starts: {
    bounds: null,
    help: "Isolates that answered their first request",
    labels: { endpoint: "endpoints" },
  },
  memory_bytes: {
    bounds: bytes,
    help: "Memory of an isolate, whenever it told its counts",
    labels: { endpoint: "endpoints" },
  },
} as const satisfies Record<string, MetricType>;

export type MetricName = keyof typeof metricTypes;
