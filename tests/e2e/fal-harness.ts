/** The fal simulator, our adapter to it, and a receiver of webhooks that asks the adapter whether to believe them. */
import assert from "node:assert/strict";
import { type FalOptions, type FalSimulator, startFalSimulator } from "../../local/simulators/fal/fal.ts";
import type { FalConfig } from "../../supabase/functions/_shared/platform/config.ts";
import { falProvider } from "../../supabase/functions/_shared/videos/providers/fal/fal.ts";
import type {
  Generation,
  Provider,
  ProviderState,
  WebhookVerdict,
} from "../../supabase/functions/_shared/videos/providers/provider.ts";
import { eventually } from "./eventually.ts";

/** Long enough to be seen, short enough to wait for. */
const quick = { queueMilliseconds: 40, runMilliseconds: 80, webhookRetryMilliseconds: 20 };

export interface Delivery {
  readonly verdict: WebhookVerdict;
  readonly body: Uint8Array;
  readonly headers: Headers;
}

export interface Receiver extends AsyncDisposable {
  readonly url: string;
  readonly deliveries: Delivery[];
  /** What the next deliveries are answered; 200 without. */
  readonly answers: number[];
}

export interface FalHarness extends AsyncDisposable {
  readonly simulator: FalSimulator;
  readonly config: FalConfig;
  readonly fal: Provider;
  readonly receiver: Receiver;
  generation(change?: Partial<Generation>): Generation;
  /** Submits, and asserts that fal has accepted it. */
  submit(change?: Partial<Generation>): Promise<{ requestId: string; poll: () => Promise<ProviderState> }>;
}

export function falConfig(simulator: FalSimulator): FalConfig {
  return {
    key: simulator.key,
    accountId: simulator.accountId,
    apiUrl: "https://api.fal.ai/v1",
    queueUrl: simulator.url,
    jwksUrl: simulator.jwksUrl,
    resultHosts: [simulator.mediaHost],
  };
}

/** A receiver that believes what the adapter of `config()` believes. */
export function startReceiver(config: () => FalConfig): Receiver {
  const deliveries: Delivery[] = [];
  const answers: number[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const body = new Uint8Array(await request.arrayBuffer());
    const verdict = await falProvider({ config: config(), fetch })
      .verifyWebhook(body, request.headers, Date.now());
    deliveries.push({ verdict, body, headers: request.headers });
    return new Response(null, { status: answers.shift() ?? 200 });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/provider-webhook`,
    deliveries,
    answers,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

export async function startFal(options: FalOptions = {}): Promise<FalHarness> {
  await using starting = new AsyncDisposableStack();
  const simulator = starting.use(await startFalSimulator({ ...quick, ...options }));
  const config = falConfig(simulator);
  const receiver = starting.use(startReceiver(() => config));
  const fal = falProvider({ config, fetch });
  const generation = (change: Partial<Generation> = {}): Generation => ({
    providerModel: "fal-ai/kling-video/v2.5-turbo/pro/text-to-video",
    prompt: "a lighthouse in the fog",
    durationSeconds: 5,
    resolution: "1080p",
    aspectRatio: "16:9",
    imageUrl: null,
    videoUrl: null,
    fields: {},
    webhookUrl: receiver.url,
    ...change,
  });
  const running = starting.move();
  return {
    ...{ simulator, config, fal, receiver, generation },
    async submit(change) {
      const wanted = generation(change);
      const outcome = await fal.submit(wanted);
      assert(outcome.outcome === "accepted", JSON.stringify(outcome));
      const { requestId, references } = outcome;
      return { requestId, poll: () => fal.poll(requestId, references, wanted.providerModel) };
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** The state that a generation ends in. */
export function ended(poll: () => Promise<ProviderState>): Promise<ProviderState> {
  return eventually("the generation ends", async () => {
    const state = await poll();
    return state.state === "queued" || state.state === "running" ? undefined : state;
  });
}
