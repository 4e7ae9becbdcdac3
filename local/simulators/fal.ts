/**
 * fal.ai on one machine: its queue, its webhooks with their keys, and the host of its media, over HTTP as fal
 * speaks it. README.md tells the switches.
 */
import * as z from "zod";
import { answerControl, type SimulatorControl, simulatorControl } from "./control.ts";
import { type FalAnswer, type FalJob, resultOf, webhookBody } from "./fal-jobs.ts";
import { authorizationOf, type FalRequest, falRequest, logRequest } from "./fal-log.ts";
import { loadMedia } from "./fal-media.ts";
import { answerAbout, type FalState, falState, type FalTimes, submit } from "./fal-queue.ts";
import { type FalRule, falRule } from "./fal-rules.ts";
import { falDelivery, falSigner, startDeliveries } from "./fal-webhooks.ts";
import { parseJson } from "./json.ts";
import { hangUp, startLoopbackServer } from "./loopback-server.ts";
import { pause } from "./pause.ts";
import { stateFile } from "./state-file.ts";

export type { FalRule } from "./fal-rules.ts";

export interface FalOptions {
  /** Of the queue; a free one without it. */
  readonly port?: number;
  readonly mediaPort?: number;
  /** Where jobs, rules, keys and due deliveries live on between two starts. */
  readonly stateFile?: string;
  readonly key?: string;
  readonly accountId?: string;
  /** How long a request waits, and how long it runs, where no rule says otherwise. */
  readonly queueMilliseconds?: number;
  readonly runMilliseconds?: number;
  /** Until the first repeat of a webhook; each further one waits twice as long. */
  readonly webhookRetryMilliseconds?: number;
}

export interface FalSimulator extends AsyncDisposable {
  /** For FAL_QUEUE_URL. */
  readonly url: string;
  readonly port: number;
  /** For FAL_JWKS_URLS. */
  readonly jwksUrl: string;
  readonly mediaUrl: string;
  readonly mediaPort: number;
  /** For FAL_RESULT_HOSTS. */
  readonly mediaHost: string;
  /** For FAL_KEY. */
  readonly key: string;
  /** For FAL_ACCOUNT_ID. */
  readonly accountId: string;
  readonly control: SimulatorControl<FalRule, FalReport>;
}

const falReport = z.object({
  /** Since the start or the last reset, the newest 1,000. */
  requests: z.array(falRequest),
  rules: z.array(falRule),
  jobs: z.array(
    z.looseObject({ requestId: z.string(), endpoint: z.string(), input: z.unknown().optional() }),
  ),
  deliveries: z.array(falDelivery),
});
export type FalReport = z.infer<typeof falReport>;

/** The switches and the log of the simulator whose queue is at `url`. */
export function falControl(url: string): SimulatorControl<FalRule, FalReport> {
  return simulatorControl<FalRule, FalReport>(url, (body) => falReport.parse(body));
}

/** Starts the simulator, and sends what an earlier one with the same state file still had to deliver. */
export async function startFalSimulator(options: FalOptions = {}): Promise<FalSimulator> {
  const times: FalTimes = {
    queueMilliseconds: options.queueMilliseconds ?? 1_000,
    runMilliseconds: options.runMilliseconds ?? 4_000,
  };
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
  const media = await loadMedia();
  const log: FalRequest[] = [];

  // Where a port is taken, what has started already stops again.
  await using starting = new AsyncDisposableStack();
  const stopping = new AbortController();
  starting.defer(() => stopping.abort());

  const mediaServer = starting.use(
    await startLoopbackServer(options.mediaPort ?? 0, (request) => {
      const { pathname } = new URL(request.url);
      const [, requestId = null, extension] = /^\/files\/([^/]+)\/output\.(mp4|jpg)$/.exec(pathname) ?? [];
      const job = state.jobs.find((each) => each.requestId === requestId);
      const response = job && (extension === "mp4" || extension === "jpg")
        ? media.answer(job, extension, queueServer.url)
        : new Response("Not Found", { status: 404 });
      logRequest(log, request, state.key, { host: "media", body: null, requestId, status: response.status });
      return Promise.resolve(response);
    }),
  );
  const resultOfJob = (job: FalJob) =>
    resultOf(job, `${mediaServer.url}/files/${job.requestId}/output.mp4`, media.videoSize(job));
  const deliveries = starting.use(startDeliveries({
    all: () => state.deliveries,
    bodyOf: ({ requestId }) => {
      const job = state.jobs.find((each) => each.requestId === requestId);
      return job === undefined ? "" : JSON.stringify(webhookBody(job, resultOfJob(job)));
    },
    signer,
    retryMilliseconds: options.webhookRetryMilliseconds ?? 2_000,
    changed: save,
  }));
  const queueServer = starting.use(
    await startLoopbackServer(options.port ?? 0, async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/_control") {
        const { rules, jobs, deliveries } = state;
        const report = () => ({ requests: log, rules, jobs, deliveries });
        return await answerControl(request, falRule, { rules, log, changed: save, report });
      }
      const text = await request.text();
      const body = text === "" ? null : parseJson(text) ?? text;
      const { answer, requestId } = await queueAnswer(request, body);
      const status = answer?.status ?? null;
      logRequest(log, request, state.key, { host: "queue", body, requestId, status });
      return answer === null ? hangUp : toResponse(answer, requestId);
    }),
  );

  async function queueAnswer(
    request: Request,
    body: unknown,
  ): Promise<{ answer: FalAnswer | null; requestId: string | null }> {
    const { pathname, searchParams } = new URL(request.url);
    const without = (answer: FalAnswer) => ({ answer, requestId: null });
    if (pathname === "/.well-known/jwks.json") return without({ status: 200, body: signer.publicKeys });
    if (authorizationOf(request, state.key) !== "ours") {
      return without({ status: 401, body: { detail: "invalid key credentials" } });
    }
    const about = /^\/([^/]+\/[^/]+)(?:\/.+)?\/requests\/([^/]+)(\/\w+)?$/.exec(pathname);
    if (about !== null) {
      const [, app = "", requestId = "", suffix = ""] = about;
      const answer = answerAbout(state, {
        ...{ method: request.method, app, requestId, suffix, queueUrl: queueServer.url },
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
      queueUrl: queueServer.url,
      mediaUrl: mediaServer.url,
    });
    save();
    if (rule.webhook === "early") {
      const own = state.deliveries.filter(({ requestId }) => requestId === job?.requestId);
      await Promise.all(own.map(deliveries.send));
    }
    deliveries.schedule();
    if (rule.submit === "slow") await pause(rule.submitMilliseconds, stopping.signal);
    return { answer, requestId: job?.requestId ?? null };
  }

  const running = starting.move();
  const { url, port } = queueServer;
  return {
    url,
    port,
    jwksUrl: `${url}/.well-known/jwks.json`,
    mediaUrl: mediaServer.url,
    mediaPort: mediaServer.port,
    mediaHost: `127.0.0.1:${mediaServer.port}`,
    key: state.key,
    accountId,
    control: falControl(url),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

function toResponse({ status, body, headers }: FalAnswer, requestId: string | null): Response {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return new Response(text, {
    status,
    headers: {
      "content-type": "application/json",
      ...(requestId === null ? {} : { "x-fal-request-id": requestId }),
      ...headers,
    },
  });
}
