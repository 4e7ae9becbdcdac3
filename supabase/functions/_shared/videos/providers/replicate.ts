/** The adapter to Replicate's predictions, of its official models: those that have a name and no version. */
import type { ReplicateConfig } from "../../platform/config.ts";
import { type ExchangeEnvironment, exchanges, unreachableBy, unreachableFor } from "./exchanges.ts";
import { misconfigured } from "./failures.ts";
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
  { config, ...environment }: { config: ReplicateConfig } & ExchangeEnvironment,
): Provider {
  const { now = Date.now } = environment;
  const { submit: send, ask } = exchanges({ authorization: `Bearer ${config.token}` }, environment);
  const urlOf = (path: string) => `${config.apiUrl}/v1/${path}`;
  const predictionUrl = (requestId: string) => urlOf(`predictions/${encodeURIComponent(requestId)}`);

  async function submit(generation: Generation): Promise<SubmitOutcome> {
    const { providerModel, webhookUrl } = generation;
    const input = replicateInput(generation);
    if (input === null) return misconfigured(`no input for ${providerModel}`);
    const webhook = webhookUrl === null ? {} : {
      webhook: webhookUrl,
      // Without it every line of the log is an event.
      webhook_events_filter: ["completed"],
    };
    const body = { input, ...webhook };
    return await send(
      urlOf(`models/${providerModel}/predictions`),
      { body },
      (answer) => readSubmission(answer, now()),
    );
  }

  async function poll(requestId: string): Promise<ProviderState> {
    try {
      const answer = await ask("GET", predictionUrl(requestId));
      if (isNotFound(answer)) return { state: "not_found" };
      const prediction = readPrediction(answer);
      return prediction === null
        ? {
          state: "unreachable",
          ...unreachableBy(answer, `Replicate answered ${answer.status} for the prediction`),
        }
        : predictionState(prediction);
    } catch (error) {
      return { state: "unreachable", ...unreachableFor(error) };
    }
  }

  async function cancel(requestId: string): Promise<CancelOutcome> {
    try {
      const answer = await ask("POST", `${predictionUrl(requestId)}/cancel`);
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
          return {
            outcome: "unreachable",
            ...unreachableBy(answer, `Replicate answered ${answer.status} to the cancellation`),
          };
      }
    } catch (error) {
      return { outcome: "unreachable", ...unreachableFor(error) };
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
