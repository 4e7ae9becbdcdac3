/**
 * Runway on one machine: its tasks, and the host of their files, over HTTP as Runway speaks it. README.md tells the
 * switches.
 */
import * as z from "zod";
import { type SimulatorControl, simulatorControl } from "./control.ts";
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
import { isEndpoint, type RunwayEndpoint } from "./runway-models.ts";
import { type RunwayRule, runwayRule } from "./runway-rules.ts";
import {
  answerAbout,
  apiError,
  create,
  frameOf,
  type RunwayState,
  runwayState,
  unauthorized,
} from "./runway-tasks.ts";
import { stateFile } from "./state-file.ts";

export type { RunwayRule } from "./runway-rules.ts";

/** The only one there is. */
const apiVersion = "2024-11-06";

export interface RunwayOptions extends ProviderOptions {
  readonly secret?: string;
}

/** Its `url` is for RUNWAY_API_URL, its `mediaHost` for RUNWAY_RESULT_HOSTS. */
export interface RunwaySimulator extends SimulatedProvider {
  /** For RUNWAY_API_SECRET. */
  readonly secret: string;
  readonly control: SimulatorControl<RunwayRule, RunwayReport>;
}

const runwayReport = z.object({
  /** Since the start or the last reset, the newest 1,000. */
  requests: z.array(providerRequest),
  rules: z.array(runwayRule),
  jobs: z.array(z.looseObject({ requestId: z.string(), model: z.string(), input: z.unknown().optional() })),
});
export type RunwayReport = z.infer<typeof runwayReport>;

/** The switches and the log of the simulator whose API is at `url`. */
export function runwayControl(url: string): SimulatorControl<RunwayRule, RunwayReport> {
  return simulatorControl<RunwayRule, RunwayReport>(url, (body) => runwayReport.parse(body));
}

/** Starts the simulator, which goes on where an earlier one with the same state file was. */
export async function startRunwaySimulator(options: RunwayOptions = {}): Promise<RunwaySimulator> {
  const times = timesOf(options);
  const file = stateFile(options.stateFile, runwayState);
  const earlier = file.load();
  const state: RunwayState = {
    rules: [],
    jobs: [],
    ...earlier,
    secret: options.secret ?? earlier?.secret ?? `key_${crypto.randomUUID().replaceAll("-", "")}`,
  };
  const save = () => file.save(state);
  save();
  const log: ProviderRequest[] = [];
  const access = { log, authorization: `Bearer ${state.secret}` };

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
        // With a task its files are gone.
        return job === undefined || job.forgotten ? undefined : { frame: frameOf(job), job };
      },
      elsewhere: () => `${api.url}/_elsewhere`,
    }),
  );
  const api = starting.use(
    await startApiServer({
      ...access,
      port: options.port ?? 0,
      host: "api",
      control: {
        ...{ schema: runwayRule, rules: state.rules, changed: save },
        elapse(milliseconds) {
          pauses.elapse(milliseconds);
          elapseJobs(state.jobs, milliseconds);
        },
        report: () => ({ jobs: state.jobs }),
      },
      answer,
    }),
  );

  async function answer({ request, url: { pathname }, body, isOurs }: ApiCall): Promise<HandledCall> {
    const { method, headers } = request;
    const without = (answer: ApiAnswer) => ({ answer, requestId: null });
    if (!isOurs) return without(unauthorized);
    if (headers.get("x-runway-version") !== apiVersion) {
      return without(apiError(400, "The API version in the X-Runway-Version header is not valid."));
    }
    const [, endpoint = ""] = /^\/v1\/(\w+)$/.exec(pathname) ?? [];
    if (method === "POST" && isEndpoint(endpoint)) return await answerCreation(endpoint, body);
    const [, requestId] = /^\/v1\/tasks\/([^/]+)$/.exec(pathname) ?? [];
    if (requestId === undefined || (method !== "GET" && method !== "DELETE")) {
      return without(apiError(405, "Method not allowed."));
    }
    const about = answerAbout(find(requestId), { method, videoUrl: media.videoUrl });
    save();
    return { answer: about, requestId };
  }

  async function answerCreation(endpoint: RunwayEndpoint, body: unknown): Promise<HandledCall> {
    const { job, answer, rule } = create(state, { endpoint, body, times, mediaUrl: media.url });
    save();
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
    secret: state.secret,
    control: runwayControl(url),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
