/** The adapter to fal.ai's queue. */
import type { FalConfig } from "../../../platform/config.ts";
import { type ExchangeEnvironment, exchanges, type ProviderRequest } from "../exchanges.ts";
import { readFalAccount } from "./account.ts";
import { readCancellation, readResult, readStatus, readSubmission, type Submitted } from "./answer.ts";
import { falInput } from "./input.ts";
import { verifyFalWebhook } from "./webhook.ts";
import type { Generation, Provider, ProviderReferences } from "../provider.ts";

/** What fal keeps of a video that we have copied: long enough for an operator to replay a failed copy. */
const fileLifeSeconds = 7 * 24 * 60 * 60;

type Endpoint = "status_url" | "response_url" | "cancel_url";
const paths: Readonly<Record<Endpoint, string>> = {
  status_url: "/status",
  response_url: "",
  cancel_url: "/cancel",
};

/** The provider `fal`. Its references are the URLs that fal gave with a submission. */
export function falProvider(
  { config, ...environment }: { config: FalConfig } & ExchangeEnvironment,
): Provider {
  const queue = new URL(config.queueUrl);
  const fal = exchanges("fal", { authorization: `Key ${config.key}` }, environment);

  /** The key goes with the request, so a URL counts only where it is on the queue's own origin. */
  function isOnQueue(url: string | undefined): url is string {
    return url !== undefined && URL.canParse(url) && new URL(url).origin === queue.origin;
  }

  /** fal's own URL where it gave one, else the form that all its clients build: owner and app, no sub-path. */
  function urlOf(
    endpoint: Endpoint,
    requestId: string,
    providerModel: string,
    references: ProviderReferences,
  ): URL {
    const given = references[endpoint];
    if (isOnQueue(given)) return new URL(given);
    const app = providerModel.split("/").slice(0, 2).join("/");
    return new URL(`${config.queueUrl}/${app}/requests/${encodeURIComponent(requestId)}${paths[endpoint]}`);
  }

  function referencesOf(submission: Submitted): ProviderReferences {
    const references: ProviderReferences = {};
    for (const endpoint of ["status_url", "response_url", "cancel_url"] as const) {
      const url = submission[endpoint];
      if (isOnQueue(url)) references[endpoint] = url;
    }
    return references;
  }

  function requestOf(generation: Generation): ProviderRequest | null {
    const body = falInput(generation);
    if (body === null) return null;
    const url = new URL(`${config.queueUrl}/${generation.providerModel}`);
    if (generation.webhookUrl !== null) url.searchParams.set("fal_webhook", generation.webhookUrl);
    return {
      url,
      body,
      // fal's own repeats (x-fal-no-retry) stay on: they are of one request, and failed ones are not billed.
      headers: {
        // For ever, unless told otherwise, and readable by whoever has the URL.
        "x-fal-object-lifecycle-preference": JSON.stringify({ expiration_duration_seconds: fileLifeSeconds }),
        // Another model has another price and is not what the user chose; another provider is ours to choose.
        "x-app-fal-disable-fallback": "true",
      },
    };
  }

  return {
    name: "fal",
    account: (day) => readFalAccount(fal, config, day),
    capabilities: {
      webhook: true,
      cancel: true,
      reportsStart: true,
      // Webhooks bring most outcomes; polls find the lost ones, and the first of them that it has started. A video that is
      // made within this time needs none.
      pollIntervalSeconds: 10,
      resultHosts: config.resultHosts,
    },
    submit: (generation) =>
      fal.submit(
        generation,
        requestOf(generation),
        (answer, now) => readSubmission(answer, now, referencesOf),
      ),
    async poll(requestId, references, providerModel) {
      const urlOfIts = (endpoint: Endpoint) => urlOf(endpoint, requestId, providerModel, references);
      return await fal.poll(urlOfIts("status_url"), "status", (answer) => {
        const status = readStatus(answer);
        return status?.state === "completed"
          ? fal.poll(urlOfIts("response_url"), "result", (answer) => readResult(answer, status.completion))
          : status;
      });
    },
    cancel: (requestId, references, providerModel) =>
      fal.cancel("PUT", urlOf("cancel_url", requestId, providerModel, references), readCancellation),
    verifyWebhook: (rawBody, headers, now) =>
      verifyFalWebhook({ config, fetch: environment.fetch }, rawBody, headers, now),
  };
}
