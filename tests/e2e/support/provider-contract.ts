/** The providers that the contract is held against: each adapter with its simulator, and our endpoint for its webhooks. */
import assert from "node:assert/strict";
import type * as z from "zod";
import type { SimulatorControl } from "../../../local/simulators/engine/control.ts";
import { startFalSimulator } from "../../../local/simulators/fal/fal.ts";
import type { providerRule, submitFaults, webhookFaults } from "../../../local/simulators/engine/rules.ts";
import type { SimulatedProvider } from "../../../local/simulators/engine/provider.ts";
import { startReplicateSimulator } from "../../../local/simulators/replicate/replicate.ts";
import type { ProviderRequest } from "../../../local/simulators/engine/request-log.ts";
import { startRunwaySimulator } from "../../../local/simulators/runway/runway.ts";
import { AppError } from "../../../supabase/functions/_shared/errors/app-error.ts";
import { falProvider } from "../../../supabase/functions/_shared/videos/providers/fal/fal.ts";
import type {
  CancelOutcome,
  Generation,
  Provider,
  ProviderEvent,
  ProviderState,
} from "../../../supabase/functions/_shared/videos/providers/provider.ts";
import { replicateProvider } from "../../../supabase/functions/_shared/videos/providers/replicate/replicate.ts";
import { runwayProvider } from "../../../supabase/functions/_shared/videos/providers/runway/runway.ts";
import { webhookUrl } from "../../../supabase/functions/_shared/videos/providers/webhook-token.ts";
import { testConfig } from "../../../supabase/functions/_shared/testing/config.ts";
import { testContext } from "../../../supabase/functions/_shared/testing/context.ts";
import { fakeDatabase } from "../../../supabase/functions/_shared/testing/database.ts";
import { fakeProviders } from "../../../supabase/functions/_shared/testing/provider.ts";
import { fakeStorage } from "../../../supabase/functions/_shared/testing/storage.ts";
import { fakeWeb } from "../../../supabase/functions/_shared/testing/web.ts";
import { ownerReference } from "../../../supabase/functions/_shared/testing/tasks.ts";
import { ProviderWebhookQuery } from "../../../supabase/functions/provider-webhook/schema.ts";
import { receiveProviderWebhook } from "../../../supabase/functions/provider-webhook/service.ts";
import { eventually } from "../eventually.ts";

/** The switches that every simulator has. */
export type Rule = z.input<typeof providerRule> & {
  submit?: (typeof submitFaults)[number];
  webhook?: (typeof webhookFaults)[number];
  webhookMilliseconds?: number;
};

interface Report {
  readonly requests: readonly ProviderRequest[];
  readonly jobs: readonly { readonly requestId: string }[];
}

interface Simulator extends SimulatedProvider {
  readonly control: SimulatorControl<Rule, Report>;
}

/** What a test changes of an adapter. */
export interface AdapterChange {
  apiUrl?: string;
  key?: string;
  fetch?: typeof globalThis.fetch;
}

export interface Subject {
  readonly name: string;
  readonly hasWebhook: boolean;
  /** A model of the provider's, and settings that it takes. */
  readonly generation: Pick<Generation, "providerModel" | "durationSeconds" | "resolution" | "aspectRatio">;
  /** What the provider says to the cancellation of what it has not ended. */
  readonly cancelOutcome: CancelOutcome["outcome"];
  start(times: Times): Promise<{ simulator: Simulator; adapter: (change?: AdapterChange) => Provider }>;
}

interface Times {
  readonly queueMilliseconds: number;
  readonly runMilliseconds: number;
}

/** Soon enough for a test that waits for a repeat. */
const webhookRetryMilliseconds = 20;

const fal: Subject = {
  name: "fal",
  hasWebhook: true,
  generation: {
    ...{ providerModel: "fal-ai/kling-video/v2.5-turbo/pro/text-to-video", durationSeconds: 5 },
    ...{ resolution: "1080p", aspectRatio: "16:9" },
  },
  cancelOutcome: "requested",
  async start(times) {
    const simulator = await startFalSimulator({ ...times, webhookRetryMilliseconds });
    const { accountId, jwksUrl } = simulator;
    return {
      simulator,
      adapter: ({ apiUrl = simulator.url, key = simulator.key, fetch = globalThis.fetch } = {}) =>
        falProvider({
          config: {
            ...{ key, accountId, queueUrl: apiUrl, apiUrl, jwksUrl },
            resultHosts: [simulator.mediaHost],
          },
          fetch,
        }),
    };
  },
};

const replicate: Subject = {
  name: "replicate",
  hasWebhook: true,
  generation: {
    ...{ providerModel: "kwaivgi/kling-v2.5-turbo-pro", durationSeconds: 5 },
    ...{ resolution: "1080p", aspectRatio: "16:9" },
  },
  cancelOutcome: "cancelled",
  async start(times) {
    const simulator = await startReplicateSimulator({ ...times, webhookRetryMilliseconds });
    const { webhookSecret } = simulator;
    return {
      simulator,
      adapter: ({ apiUrl = simulator.url, key = simulator.token, fetch = globalThis.fetch } = {}) =>
        replicateProvider({
          config: { token: key, webhookSecret, apiUrl, resultHosts: [simulator.mediaHost] },
          fetch,
        }),
    };
  },
};

const runway: Subject = {
  name: "runway",
  hasWebhook: false,
  generation: {
    ...{ providerModel: "gen4.5", durationSeconds: 5, resolution: "720p", aspectRatio: "16:9" },
  },
  cancelOutcome: "cancelled",
  async start(times) {
    const simulator = await startRunwaySimulator(times);
    return {
      simulator,
      adapter: ({ apiUrl = simulator.url, key = simulator.secret, fetch = globalThis.fetch } = {}) =>
        runwayProvider({ config: { secret: key, apiUrl, resultHosts: [simulator.mediaHost] }, fetch }),
    };
  },
};

export const subjects: readonly Subject[] = [fal, replicate, runway];

export interface Submitted {
  readonly requestId: string;
  poll(): Promise<ProviderState>;
  cancel(): Promise<CancelOutcome>;
  /** Polls until it ends. */
  ended(): Promise<ProviderState>;
}

export interface Contract extends AsyncDisposable {
  readonly provider: Provider;
  readonly simulator: Simulator;
  readonly endpoint: WebhookEndpoint;
  adapter(change?: AdapterChange): Provider;
  /** A generation with a webhook URL of its own, where the provider has webhooks. */
  generation(submissionId?: string): Generation;
  /** Submits by this rule, and asserts that the provider has accepted it. */
  submit(rule?: Rule, submissionId?: string): Promise<Submitted>;
}

/** A prompt that must not get into what is logged. */
export const prompt = "a lighthouse whose name is secret";

/** Starts a provider that is as quick as the machine, where no times are said. */
export async function startContract(subject: Subject, times: Partial<Times> = {}): Promise<Contract> {
  await using starting = new AsyncDisposableStack();
  const { simulator, adapter } = await subject.start({ queueMilliseconds: 0, runMilliseconds: 0, ...times });
  starting.use(simulator);
  const provider = adapter();
  const endpoint = starting.use(startWebhookEndpoint(provider));
  const generation = (submissionId: string = crypto.randomUUID()): Generation => ({
    ...subject.generation,
    prompt,
    imageUrl: null,
    videoUrl: null,
    fields: {},
    webhookUrl: subject.hasWebhook ? endpoint.urlFor(submissionId) : null,
  });
  const running = starting.move();
  return {
    ...{ provider, simulator, endpoint, adapter, generation },
    async submit(rule, submissionId) {
      if (rule !== undefined) await simulator.control.rules(rule);
      const wanted = generation(submissionId);
      const outcome = await provider.submit(wanted);
      assert(outcome.outcome === "accepted", JSON.stringify(outcome));
      const { requestId, references } = outcome;
      const poll = () => provider.poll(requestId, references, wanted.providerModel);
      return {
        requestId,
        poll,
        cancel: () => provider.cancel(requestId, references, wanted.providerModel),
        ended: () =>
          eventually("the generation ends", async () => {
            const state = await poll();
            return state.state === "queued" || state.state === "running" ? undefined : state;
          }),
      };
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** A request as it arrived. */
export interface Arrival {
  readonly url: string;
  readonly body: Uint8Array<ArrayBuffer>;
  readonly headers: Headers;
  readonly status: number;
}

/** An event, and about which submission the database was told of it. */
interface ProviderReport extends ProviderEvent {
  readonly ownerReference: string | null;
  readonly provider: string | null;
  readonly submissionId: string | null;
}

export interface WebhookEndpoint extends AsyncDisposable {
  readonly arrivals: Arrival[];
  /** What the database was told. */
  readonly recorded: ProviderReport[];
  /** Milliseconds by which the endpoint's clock is ahead. */
  ahead: number;
  urlFor(submissionId: string, provider?: string): string;
  /** Delivers an arrival once more, changed; gives the status. */
  deliver(arrival: Arrival, change?: Partial<Arrival>): Promise<number>;
  /** Resolves with the arrivals when there are so many. */
  arrived(count: number): Promise<Arrival[]>;
}

const webhookSecret = "a secret of thirty-two characters";

/** The service behind provider-webhook, over HTTP, with a database that only takes notes. */
function startWebhookEndpoint(provider: Provider): WebhookEndpoint {
  const arrivals: Arrival[] = [];
  const recorded: ProviderReport[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const body = new Uint8Array(await request.arrayBuffer());
    const status = await statusOf(request, body);
    arrivals.push({ url: request.url, body, headers: request.headers, status });
    return new Response(null, { status });
  });
  const publicFunctionsUrl = `http://127.0.0.1:${server.addr.port}`;

  async function statusOf(request: Request, body: Uint8Array): Promise<number> {
    const query = ProviderWebhookQuery.parse(Object.fromEntries(new URL(request.url).searchParams));
    let event: ProviderEvent | undefined;
    const noting: Provider = {
      ...provider,
      verifyWebhook: async (...delivery) => {
        const verdict = await provider.verifyWebhook(...delivery);
        if (verdict.valid) event = verdict.event;
        return verdict;
      },
    };
    const context = testContext("signed", {
      config: testConfig({ WEBHOOK_SECRET: webhookSecret }),
      moderation: null,
      providers: fakeProviders(noting),
      ...fakeDatabase({
        provider_webhook: (args) => {
          assert(event !== undefined, "nothing is recorded unproved");
          assert.deepEqual([args.p_event_id, args.p_request_id], [event.eventId, event.requestId]);
          const { p_owner, p_provider, p_submission_id } = args;
          recorded.push({
            ownerReference: p_owner,
            provider: p_provider,
            submissionId: p_submission_id,
            ...event,
          });
          return { job_id: crypto.randomUUID(), effect: "ignored", tasks: [] };
        },
      }),
      storage: fakeStorage(),
      uploads: fakeStorage(),
      web: fakeWeb(),
      fetch,
      now: () => Date.now() + endpoint.ahead,
    });
    try {
      return (await receiveProviderWebhook({ body, headers: request.headers, query }, context)).status;
    } catch (error) {
      assert(error instanceof AppError && error.code === "ERR_4005", String(error));
      return 401;
    }
  }

  const endpoint: WebhookEndpoint = {
    arrivals,
    recorded,
    ahead: 0,
    urlFor: (submissionId, name = provider.name) =>
      webhookUrl({ publicFunctionsUrl, webhookSecret }, { ownerReference, provider: name, submissionId }),
    async deliver(arrival, change = {}) {
      const { url, body, headers } = { ...arrival, ...change };
      const response = await fetch(url, { method: "POST", headers, body });
      await response.body?.cancel();
      return response.status;
    },
    arrived: (count) =>
      eventually(`${count} webhooks`, () => arrivals.length >= count ? arrivals : undefined),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
  return endpoint;
}
