/** The adapter to Replicate's predictions, of its official models: those that have a name and no version. */
import type { ReplicateConfig } from "../../../platform/config.ts";
import { type ExchangeEnvironment, exchanges, type ProviderRequest } from "../exchanges.ts";
import type { Generation, Provider, WebhookVerdict } from "../provider.ts";
import { parsePrediction, predictionState, readCancellation, readState, readSubmission } from "./answer.ts";
import { replicateInput } from "./input.ts";
import { verifyStandardWebhook } from "../standard-webhooks.ts";

/** The provider `replicate`. It needs no references: a prediction's id is part of every URL. */
export function replicateProvider(
  { config, ...environment }: { config: ReplicateConfig } & ExchangeEnvironment,
): Provider {
  const replicate = exchanges("Replicate", { authorization: `Bearer ${config.token}` }, environment);
  const urlOf = (path: string) => `${config.apiUrl}/v1/${path}`;
  const predictionUrl = (requestId: string) => urlOf(`predictions/${encodeURIComponent(requestId)}`);

  function requestOf(generation: Generation): ProviderRequest | null {
    const { providerModel, webhookUrl } = generation;
    const input = replicateInput(generation);
    const webhook = webhookUrl === null ? {} : {
      webhook: webhookUrl,
      // Without it every line of the log is an event.
      webhook_events_filter: ["completed"],
    };
    return input && { url: urlOf(`models/${providerModel}/predictions`), body: { input, ...webhook } };
  }

  return {
    name: "replicate",
    capabilities: {
      webhook: true,
      cancel: true,
      reportsStart: true,
      // Webhooks bring most outcomes; polls find the lost ones, and the first of them that it has started. A video that is
      // made within this time needs none.
      pollIntervalSeconds: 10,
      resultHosts: config.resultHosts,
    },
    submit: (generation) => replicate.submit(generation, requestOf(generation), readSubmission),
    poll: (requestId) => replicate.poll(predictionUrl(requestId), "prediction", readState),
    cancel: (requestId) => replicate.cancel("POST", `${predictionUrl(requestId)}/cancel`, readCancellation),
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
