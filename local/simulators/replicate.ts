/**
 * Replicate on one machine: the predictions of its official models, its webhooks, and the host of its files, over
 * HTTP as Replicate speaks it. README.md tells the switches.
 */
import * as z from "zod";
import { type SimulatorControl, simulatorControl } from "./control.ts";
import { delivery, startDeliveries } from "./deliveries.ts";
import { Pauses } from "./pause.ts";
import { elapseJobs } from "./provider-jobs.ts";
import { answerDelay } from "./provider-rules.ts";
import {
  type ApiCall,
  type HandledCall,
  type ProviderOptions,
  type SimulatedProvider,
  startApiServer,
  startMediaServer,
  timesOf,
} from "./provider-servers.ts";
import {
  answerAbout,
  apiError,
  create,
  frameOf,
  predictionOf,
  type ReplicateJob,
  type ReplicateState,
  replicateState,
  unauthenticated,
} from "./replicate-predictions.ts";
import { type ReplicateRule, replicateRule } from "./replicate-rules.ts";
import { newWebhookSecret, replicateDeliveryPolicy, replicateSigner } from "./replicate-webhooks.ts";
import { type ProviderRequest, providerRequest } from "./request-log.ts";
import { stateFile } from "./state-file.ts";

export type { ReplicateRule } from "./replicate-rules.ts";

export interface ReplicateOptions extends ProviderOptions {
  readonly token?: string;
  readonly webhookSecret?: string;
  /** Until the first repeat of a webhook; each further one waits twice as long. */
  readonly webhookRetryMilliseconds?: number;
}

/** Its `url` is for REPLICATE_API_URL, its `mediaHost` for REPLICATE_RESULT_HOSTS. */
export interface ReplicateSimulator extends SimulatedProvider {
  /** For REPLICATE_API_TOKEN. */
  readonly token: string;
  /** For REPLICATE_WEBHOOK_SECRET. */
  readonly webhookSecret: string;
  readonly control: SimulatorControl<ReplicateRule, ReplicateReport>;
}

const replicateReport = z.object({
  /** Since the start or the last reset, the newest 1,000. */
  requests: z.array(providerRequest),
  rules: z.array(replicateRule),
  jobs: z.array(z.looseObject({ requestId: z.string(), model: z.string(), input: z.unknown().optional() })),
  deliveries: z.array(delivery),
});
export type ReplicateReport = z.infer<typeof replicateReport>;

/** The switches and the log of the simulator whose API is at `url`. */
export function replicateControl(url: string): SimulatorControl<ReplicateRule, ReplicateReport> {
  return simulatorControl<ReplicateRule, ReplicateReport>(url, (body) => replicateReport.parse(body));
}

/** Starts the simulator, and sends what an earlier one with the same state file still had to deliver. */
export async function startReplicateSimulator(options: ReplicateOptions = {}): Promise<ReplicateSimulator> {
  const times = timesOf(options);
  const file = stateFile(options.stateFile, replicateState);
  const earlier = file.load();
  const state: ReplicateState = {
    rules: [],
    jobs: [],
    deliveries: [],
    ...earlier,
    token: options.token ?? earlier?.token ?? `r8_${crypto.randomUUID().replaceAll("-", "")}`,
    webhookSecret: options.webhookSecret ?? earlier?.webhookSecret ?? newWebhookSecret(),
  };
  const save = () => file.save(state);
  save();
  const log: ProviderRequest[] = [];
  const access = { log, authorization: `Bearer ${state.token}` };

  // Where a port is taken, what has started already stops again.
  await using starting = new AsyncDisposableStack();
  const pauses = starting.use(new Pauses());

  const find = (requestId: string) => state.jobs.find((job) => job.requestId === requestId);
  const media = starting.use(
    await startMediaServer({
      ...access,
      port: options.mediaPort ?? 0,
      find(requestId) {
        const job = find(requestId);
        return job && { frame: frameOf(job), job };
      },
      elsewhere: () => `${api.url}/_elsewhere`,
    }),
  );
  const describe = (job: ReplicateJob) =>
    predictionOf(job, { now: Date.now(), apiUrl: api.url, videoUrl: media.videoUrl(job.requestId) });
  const deliveries = starting.use(startDeliveries({
    all: () => state.deliveries,
    bodyOf({ requestId, kind }) {
      const job = find(requestId);
      if (job === undefined) return "";
      // Another account has no prediction of ours to tell of.
      const stranger = kind === "other_account" ? { id: crypto.randomUUID().replaceAll("-", "") } : {};
      return JSON.stringify({ ...describe(job), ...stranger });
    },
    sign: replicateSigner(state.webhookSecret),
    policy: { ...replicateDeliveryPolicy, retryMilliseconds: options.webhookRetryMilliseconds ?? 1_000 },
    changed: save,
  }));
  const api = starting.use(
    await startApiServer({
      ...access,
      port: options.port ?? 0,
      host: "api",
      control: {
        ...{ schema: replicateRule, rules: state.rules, changed: save },
        elapse(milliseconds) {
          pauses.elapse(milliseconds);
          elapseJobs(state.jobs, milliseconds);
          deliveries.elapse(milliseconds);
        },
        report: () => ({ jobs: state.jobs, deliveries: state.deliveries }),
      },
      answer,
    }),
  );

  async function answer(
    { request: { method }, url: { pathname }, body, isOurs }: ApiCall,
  ): Promise<HandledCall> {
    if (!isOurs) {
      return { answer: unauthenticated, requestId: null };
    }
    if (method === "GET" && pathname === "/v1/webhooks/default/secret") {
      return { answer: { status: 200, body: { key: state.webhookSecret } }, requestId: null };
    }
    const [, model] = /^\/v1\/models\/([^/]+\/[^/]+)\/predictions$/.exec(pathname) ?? [];
    if (method === "POST" && model !== undefined) return await answerCreation(model, body);
    const [, requestId, suffix] = /^\/v1\/predictions\/([^/]+)(\/cancel)?$/.exec(pathname) ?? [];
    const action = suffix === undefined ? "get" : "cancel";
    if (requestId === undefined || method !== (action === "get" ? "GET" : "POST")) {
      return { answer: apiError(404, "Not found", "There is no such endpoint."), requestId: null };
    }
    const about = answerAbout(state, find(requestId), { action, describe });
    save();
    deliveries.schedule();
    return { answer: about, requestId };
  }

  async function answerCreation(model: string, body: unknown): Promise<HandledCall> {
    const { job, answer, rule } = create(state, { model, body, times, describe, mediaUrl: media.url });
    save();
    if (rule.webhook === "early") {
      const own = state.deliveries.filter(({ requestId }) => requestId === job?.requestId);
      await Promise.all(own.map(deliveries.send));
    }
    deliveries.schedule();
    await pauses.pause(answerDelay(rule));
    return { answer, requestId: job?.requestId ?? null };
  }

  const running = starting.move();
  const { url, port } = api;
  return {
    url,
    port,
    mediaUrl: media.url,
    mediaPort: media.port,
    mediaHost: media.host,
    token: state.token,
    webhookSecret: state.webhookSecret,
    control: replicateControl(url),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
