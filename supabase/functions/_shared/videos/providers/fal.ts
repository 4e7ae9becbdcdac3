/** The adapter to fal.ai's queue. */
import * as z from "zod/mini";
import type { FalConfig } from "../../platform/config.ts";
import { tryParseJson } from "../../platform/json.ts";
import { type ExchangeEnvironment, exchanges, unreachableBy, unreachableFor } from "./exchanges.ts";
import { misconfigured } from "./failures.ts";
import { readResult, readSubmission, type Submitted } from "./fal-answer.ts";
import { falInput } from "./fal-input.ts";
import { verifyFalWebhook } from "./fal-webhook.ts";
import type {
  CancelOutcome,
  Generation,
  Provider,
  ProviderReferences,
  ProviderState,
  SubmitOutcome,
} from "./provider.ts";

/** What fal keeps of a video that we have copied: long enough for an operator to replay a failed copy. */
const fileLifeSeconds = 7 * 24 * 60 * 60;

const generationStatus = z.object({
  status: z.enum(["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]),
  error: z.optional(z.unknown()),
  error_type: z.nullish(z.string()),
});
const statusWord = z.object({ status: z.string() });

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
  const { fetch, now = Date.now } = environment;
  const queue = new URL(config.queueUrl);
  const { submit: send, ask } = exchanges({ authorization: `Key ${config.key}` }, environment);

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

  async function submit(generation: Generation): Promise<SubmitOutcome> {
    const input = falInput(generation);
    if (input === null) return misconfigured(`no input for ${generation.providerModel}`);
    const url = new URL(`${config.queueUrl}/${generation.providerModel}`);
    if (generation.webhookUrl !== null) url.searchParams.set("fal_webhook", generation.webhookUrl);
    const outcome = await send(url, {
      body: input,
      // fal's own repeats (x-fal-no-retry) stay on: they are of one request, and failed ones are not billed.
      headers: {
        // For ever, unless told otherwise, and readable by whoever has the URL.
        "x-fal-object-lifecycle-preference": JSON.stringify({ expiration_duration_seconds: fileLifeSeconds }),
        // Another model has another price and is not what the user chose; another provider is ours to choose.
        "x-app-fal-disable-fallback": "true",
      },
    }, (answer) => readSubmission(answer, now()));
    if (outcome.outcome !== "accepted") return outcome;
    const { submission } = outcome;
    return { outcome: "accepted", requestId: submission.request_id, references: referencesOf(submission) };
  }

  async function poll(
    requestId: string,
    references: ProviderReferences,
    providerModel: string,
  ): Promise<ProviderState> {
    const get = (endpoint: Endpoint) => ask("GET", urlOf(endpoint, requestId, providerModel, references));
    try {
      const answer = await get("status_url");
      const body = tryParseJson(answer.text);
      if (isNotFound(answer.status, body)) return { state: "not_found" };
      const parsed = generationStatus.safeParse(body);
      if (answer.status < 200 || answer.status >= 300 || !parsed.success) {
        return {
          state: "unreachable",
          ...unreachableBy(answer, `fal answered ${answer.status} for the status`),
        };
      }
      const { status, error, error_type } = parsed.data;
      if (status === "IN_QUEUE") return { state: "queued" };
      // fal tells no share of the work done.
      if (status === "IN_PROGRESS") return { state: "running", percent: null };
      const errorType = error_type ?? null;
      const failed = errorType !== null || (error !== undefined && error !== null && error !== "");
      return readResult(await get("response_url"), { failed, errorType });
    } catch (error) {
      return { state: "unreachable", ...unreachableFor(error) };
    }
  }

  async function cancel(
    requestId: string,
    references: ProviderReferences,
    providerModel: string,
  ): Promise<CancelOutcome> {
    try {
      const answer = await ask("PUT", urlOf("cancel_url", requestId, providerModel, references));
      const body = tryParseJson(answer.text);
      const word = statusWord.safeParse(body).data?.status;
      if (isNotFound(answer.status, body)) return { outcome: "not_found" };
      if (answer.status === 400 && word === "ALREADY_COMPLETED") return { outcome: "too_late" };
      // "OK" says that it was removed from the queue before any work; all else is a signal to a runner.
      if (answer.status === 200 && word === "OK") return { outcome: "cancelled", isUnbilled: true };
      if (answer.status >= 200 && answer.status < 300) return { outcome: "requested" };
      return {
        outcome: "unreachable",
        ...unreachableBy(answer, `fal answered ${answer.status} to the cancellation`),
      };
    } catch (error) {
      return { outcome: "unreachable", ...unreachableFor(error) };
    }
  }

  return {
    name: "fal",
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
    verifyWebhook: (rawBody, headers, now) => verifyFalWebhook({ config, fetch }, rawBody, headers, now),
  };
}

/** fal's own word; any other 404 may be a proxy's. */
function isNotFound(status: number, body: unknown): boolean {
  return status === 404 && statusWord.safeParse(body).data?.status === "NOT_FOUND";
}
