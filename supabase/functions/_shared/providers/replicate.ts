/** The adapter to Replicate's predictions, of its official models: those that have a name and no version. */
import { type BoundedAnswer, boundedFetch, describeFetchError } from "../bounded-fetch.ts";
import type { ReplicateConfig } from "../config.ts";
import {
  maximumAnswerBytes,
  readTimeoutMilliseconds,
  submitTimeoutMilliseconds,
  withoutAnswer,
} from "./exchanges.ts";
import { rejected } from "./failures.ts";
import type {
  CancelOutcome,
  Generation,
  Provider,
  ProviderState,
  SubmitOutcome,
  WebhookVerdict,
} from "./provider.ts";
import {
  billOf,
  isNotFound,
  parsePrediction,
  predictionState,
  readPrediction,
  readSubmission,
} from "./replicate-answer.ts";
import { replicateInput } from "./replicate-input.ts";
import { verifyStandardWebhook } from "./standard-webhooks.ts";

/** The provider `replicate`. It needs no references: a prediction's id is part of every URL. */
export function replicateProvider(
  { config, fetch, now = Date.now }: {
    config: ReplicateConfig;
    fetch: typeof globalThis.fetch;
    now?: () => number;
  },
): Provider {
  function call(
    method: "GET" | "POST",
    path: string,
    options: { timeoutMilliseconds: number; headers?: Record<string, string>; body?: string; once?: boolean },
  ): Promise<BoundedAnswer> {
    const headers = {
      ...options.headers,
      accept: "application/json",
      authorization: `Bearer ${config.token}`,
    };
    const url = `${config.apiUrl}/v1/${path}`;
    return boundedFetch(fetch, url, { ...options, method, headers, maximumBytes: maximumAnswerBytes });
  }

  const pathOf = (requestId: string) => `predictions/${encodeURIComponent(requestId)}`;

  async function submit(generation: Generation): Promise<SubmitOutcome> {
    const { providerModel, webhookUrl } = generation;
    const input = replicateInput(generation);
    if (input === null) return { outcome: "refused", failure: rejected(`no input for ${providerModel}`) };
    const webhook = webhookUrl === null ? {} : {
      webhook: webhookUrl,
      // Without it every line of the log is an event.
      webhook_events_filter: ["completed"],
    };
    let answer: BoundedAnswer;
    try {
      answer = await call("POST", `models/${providerModel}/predictions`, {
        timeoutMilliseconds: submitTimeoutMilliseconds,
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ input, ...webhook }),
        // Replicate takes no idempotency key: a second request would be a second prediction, paid twice.
        once: true,
      });
    } catch (error) {
      return withoutAnswer(error);
    }
    return readSubmission(answer, now());
  }

  async function poll(requestId: string): Promise<ProviderState> {
    try {
      const answer = await call("GET", pathOf(requestId), { timeoutMilliseconds: readTimeoutMilliseconds });
      if (isNotFound(answer)) return { state: "not_found" };
      const prediction = readPrediction(answer);
      return prediction === null
        ? { state: "unreachable", cause: `Replicate answered ${answer.status} for the prediction` }
        : predictionState(prediction);
    } catch (error) {
      return { state: "unreachable", cause: describeFetchError(error) };
    }
  }

  async function cancel(requestId: string): Promise<CancelOutcome> {
    try {
      const answer = await call("POST", `${pathOf(requestId)}/cancel`, {
        timeoutMilliseconds: readTimeoutMilliseconds,
      });
      if (isNotFound(answer)) return { outcome: "not_found" };
      const prediction = readPrediction(answer);
      switch (prediction?.status) {
        case "canceled":
        case "aborted":
          return { outcome: "cancelled", ...billOf(prediction) };
        case "succeeded":
        case "failed":
          return { outcome: "too_late" };
        case "starting":
        case "processing":
          return { outcome: "requested" };
        default:
          return { outcome: "unreachable", cause: `Replicate answered ${answer.status} to the cancellation` };
      }
    } catch (error) {
      return { outcome: "unreachable", cause: describeFetchError(error) };
    }
  }

  return {
    name: "replicate",
    capabilities: {
      webhook: true,
      cancel: true,
      reportsStart: true,
      // Webhooks bring most outcomes; polls find the lost ones, and the first of them that it has started.
      pollIntervalSeconds: 2,
      resultHosts: config.resultHosts,
    },
    submit,
    poll,
    cancel,
    verifyWebhook: (rawBody, headers, now) => verifyReplicateWebhook(config, rawBody, headers, now),
  };
}

/** The secret is the account's own, so a signature that fits is about a prediction of ours. */
async function verifyReplicateWebhook(
  { webhookSecret }: ReplicateConfig,
  rawBody: Uint8Array,
  headers: Headers,
  now: number,
): Promise<WebhookVerdict> {
  const verification = await verifyStandardWebhook(webhookSecret, rawBody, headers, now);
  if (!verification.valid) return verification;
  const prediction = parsePrediction(new TextDecoder().decode(rawBody));
  if (prediction === null) return { valid: false, reason: "the body is not a prediction" };
  const { id, status } = prediction;
  // A prediction ends once, so its id and status name the event, whatever message brings it.
  return {
    valid: true,
    event: { eventId: `${id}:${status}`, requestId: id, state: predictionState(prediction) },
  };
}
