/** A fetch that counts its exchanges, by whom it asks: the database's procedures, or a service outside. */
import type { Config } from "../platform/config.ts";
import type { Outcome, OutsideOperation, OutsideService } from "./metric-catalogue.ts";
import type { Metrics } from "./metrics.ts";

type Fetch = typeof globalThis.fetch;

/** Whoever repeats an exchange has only the fetch that it was made with. */
const retryCounters = new WeakMap<Fetch, (url: string) => void>();

/** Says that an exchange of this fetch is going to be repeated. One that is not counted hears nothing. */
export function countRetry(fetch: Fetch, url: string | URL): void {
  retryCounters.get(fetch)?.(String(url));
}

/** Counts what is asked through `fetch`, by `now` in milliseconds. What is none of the known addresses is not counted. */
export function countedFetch(fetch: Fetch, config: Config, metrics: Metrics, now: () => number): Fetch {
  const procedures = `${config.supabase.url}/rest/v1/rpc/`;
  const services = addressesOf(config);
  const counted: Fetch = (input, init) => {
    const url = typeof input === "string" ? input : input instanceof URL ? input.href : input.url;
    if (url.startsWith(procedures)) {
      const procedure = url.slice(procedures.length).split("?", 1)[0] ?? "";
      return observed(() => fetch(input, init), now, (outcome, seconds) => {
        metrics.count("data_api_calls", { procedure, outcome });
        metrics.observe("data_api_seconds", { procedure }, seconds);
      });
    }
    const provider = serviceAt(url, services);
    if (provider === null) return fetch(input, init);
    const method = init?.method ?? (input instanceof Request ? input.method : "GET");
    const operation = operationOf(provider, method, url, config);
    return observed(() => fetch(input, init), now, (outcome, seconds) => {
      metrics.count("provider_calls", { provider, operation, outcome });
      metrics.observe("provider_seconds", { provider, operation }, seconds);
    });
  };
  retryCounters.set(counted, (url) => {
    const service = url.startsWith(procedures) ? "data_api" : serviceAt(url, services);
    if (service !== null) metrics.count("retries", { service });
  });
  return counted;
}

async function observed(
  exchange: () => Promise<Response>,
  now: () => number,
  count: (outcome: Outcome, seconds: number) => void,
): Promise<Response> {
  const startedAt = now();
  let outcome: Outcome = "unanswered";
  try {
    const response = await exchange();
    outcome = outcomeOf(response.status);
    return response;
  } finally {
    count(outcome, (now() - startedAt) / 1000);
  }
}

function outcomeOf(status: number): Outcome {
  return status >= 500 ? "failed" : status === 429 ? "busy" : status >= 400 ? "refused" : "ok";
}

type Addresses = readonly (readonly [OutsideService, string])[];

/** Where the configured services are. */
function addressesOf(config: Config): Addresses {
  const { fal, replicate, runway, openai, apple, appleSignIn, appleIdentity, appStoreApi } = config;
  const found: readonly (readonly [OutsideService, string | undefined])[] = [
    ["fal", fal?.queueUrl],
    ["fal", fal?.jwksUrl],
    ["replicate", replicate?.apiUrl],
    ["runway", runway?.apiUrl],
    ["openai", openai?.apiUrl],
    ["apple_device_check", apple?.deviceCheck.url],
    ["apple_id", appleSignIn?.url],
    ["apple_id", appleIdentity?.jwksUrl],
    ["app_store", appStoreApi?.urls.production],
    ["app_store", appStoreApi?.urls.sandbox],
  ];
  return found.flatMap(([service, address]) => address === undefined ? [] : [[service, address] as const]);
}

function serviceAt(url: string, addresses: Addresses): OutsideService | null {
  return addresses.find(([, address]) => url.startsWith(address))?.[0] ?? null;
}

/** What is asked of a service, as far as method and path tell: all providers read by GET, and end by DELETE or `cancel`. */
function operationOf(
  service: OutsideService,
  method: string,
  url: string,
  { fal }: Config,
): OutsideOperation {
  if (service === "openai") return "judge";
  if (service !== "fal" && service !== "replicate" && service !== "runway") return "ask";
  if (fal !== null && service === "fal" && url.startsWith(fal.jwksUrl)) return "webhook_keys";
  if (method === "DELETE" || /\/cancel$/.test(url)) return "cancel";
  return method === "GET" ? "poll" : "submit";
}
