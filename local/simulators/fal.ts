/**
 * fal.ai on one machine: its queue, its webhooks with their keys, and the host of its media, over HTTP as fal
 * speaks it. README.md tells the switches.
 */
import * as z from "zod";
import { type SimulatorControl, simulatorControl } from "./control.ts";
import { delivery, startDeliveries } from "./deliveries.ts";
import { type FalJob, frameOf, resultOf, webhookBody } from "./fal-jobs.ts";
import { answerAbout, type FalState, falState, submit, unauthorized } from "./fal-queue.ts";
import { type FalRule, falRule } from "./fal-rules.ts";
import { falDeliveryPolicy, falSigner } from "./fal-webhooks.ts";
import { Pauses } from "./pause.ts";
import { elapseJobs } from "./provider-jobs.ts";
import { answerDelay } from "./provider-rules.ts";
import {
  type ApiAnswer,
  type ApiCall,
  type HandledCall,
  type ProviderOptions,
  type SimulatedProvider,
  startApiServer,
  startMediaServer,
  timesOf,
} from "./provider-servers.ts";
import { type ProviderRequest, providerRequest } from "./request-log.ts";
import { stateFile } from "./state-file.ts";

export type { FalRule } from "./fal-rules.ts";

export interface FalOptions extends ProviderOptions {
  readonly key?: string;
  readonly accountId?: string;
  /** Until the first repeat of a webhook; each further one waits twice as long. */
  readonly webhookRetryMilliseconds?: number;
}

/** Its `url`, the queue's, is for FAL_QUEUE_URL; its `mediaHost` for FAL_RESULT_HOSTS. */
export interface FalSimulator extends SimulatedProvider {
  /** For FAL_JWKS_URLS. */
  readonly jwksUrl: string;
  /** For FAL_KEY. */
  readonly key: string;
  /** For FAL_ACCOUNT_ID. */
  readonly accountId: string;
  readonly control: SimulatorControl<FalRule, FalReport>;
}

const falReport = z.object({
  /** Since the start or the last reset, the newest 1,000. */
  requests: z.array(providerRequest),
  rules: z.array(falRule),
  jobs: z.array(
    z.looseObject({ requestId: z.string(), endpoint: z.string(), input: z.unknown().optional() }),
  ),
  deliveries: z.array(delivery),
});
export type FalReport = z.infer<typeof falReport>;

/** The switches and the log of the simulator whose queue is at `url`. */
export function falControl(url: string): SimulatorControl<FalRule, FalReport> {
  return simulatorControl<FalRule, FalReport>(url, (body) => falReport.parse(body));
}

/** Starts the simulator, and sends what an earlier one with the same state file still had to deliver. */
export async function startFalSimulator(options: FalOptions = {}): Promise<FalSimulator> {
  const times = timesOf(options);
  const file = stateFile(options.stateFile, falState);
  const earlier = file.load();
  const accountId = options.accountId ?? earlier?.accountId ?? `user_${crypto.randomUUID()}`;
  const signer = await falSigner(accountId, earlier?.signingKey ?? null);
  const state: FalState = {
    rules: [],
    jobs: [],
    deliveries: [],
    ...earlier,
    signingKey: { ...signer.privateKey },
    key: options.key ?? earlier?.key ?? `${crypto.randomUUID()}:${crypto.randomUUID().replaceAll("-", "")}`,
    accountId,
  };
  const save = () => file.save(state);
  save();
  const log: ProviderRequest[] = [];
  const access = { log, authorization: `Key ${state.key}` };

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
      elsewhere: () => `${queue.url}/_elsewhere`,
    }),
  );
  const resultOfJob = (job: FalJob) =>
    resultOf(job, media.videoUrl(job.requestId), media.videoSize(frameOf(job)));
  const deliveries = starting.use(startDeliveries({
    all: () => state.deliveries,
    bodyOf({ requestId }) {
      const job = find(requestId);
      return job === undefined ? "" : JSON.stringify(webhookBody(job, resultOfJob(job)));
    },
    sign: signer.sign,
    policy: { ...falDeliveryPolicy, retryMilliseconds: options.webhookRetryMilliseconds ?? 2_000 },
    changed: save,
  }));
  const queue = starting.use(
    await startApiServer({
      ...access,
      port: options.port ?? 0,
      host: "queue",
      control: {
        ...{ schema: falRule, rules: state.rules, changed: save },
        elapse(milliseconds) {
          pauses.elapse(milliseconds);
          elapseJobs(state.jobs, milliseconds);
          deliveries.elapse(milliseconds);
        },
        report: () => ({ jobs: state.jobs, deliveries: state.deliveries }),
      },
      async answer(call) {
        const handled = await queueAnswer(call);
        const { answer, requestId } = handled;
        if (answer === null || requestId === null) return handled;
        const headers = { "x-fal-request-id": requestId, ...answer.headers };
        return { requestId, answer: { ...answer, headers } };
      },
    }),
  );

  async function queueAnswer({ request, url, body, isOurs }: ApiCall): Promise<HandledCall> {
    const { pathname, searchParams } = url;
    const without = (answer: ApiAnswer) => ({ answer, requestId: null });
    if (pathname === "/.well-known/jwks.json") return without({ status: 200, body: signer.publicKeys });
    if (!isOurs) return without(unauthorized);
    const about = /^\/([^/]+\/[^/]+)(?:\/.+)?\/requests\/([^/]+)(\/\w+)?$/.exec(pathname);
    if (about !== null) {
      const [, app = "", requestId = "", suffix = ""] = about;
      const answer = answerAbout(state, {
        ...{ method: request.method, app, requestId, suffix, queueUrl: queue.url },
        resultOf: resultOfJob,
        changed: () => {
          save();
          deliveries.schedule();
        },
      });
      return { answer, requestId };
    }
    if (request.method !== "POST") return without({ status: 404, body: { detail: "Not Found" } });

    const { job, answer, rule } = submit(state, {
      ...{ endpoint: pathname.slice(1), input: body, times },
      webhookUrl: searchParams.get("fal_webhook"),
      queueUrl: queue.url,
      mediaUrl: media.url,
    });
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
  const { url, port } = queue;
  return {
    url,
    port,
    jwksUrl: `${url}/.well-known/jwks.json`,
    mediaUrl: media.url,
    mediaPort: media.port,
    mediaHost: media.host,
    key: state.key,
    accountId,
    control: falControl(url),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
