/** The two hosts of a simulated provider: its API, which is also where it is controlled, and that of its media. */
import type * as z from "zod";
import { answerControl } from "./control.ts";
import { parseJson } from "./json.ts";
import { hangUp, type LoopbackServer, startLoopbackServer } from "./loopback-server.ts";
import { type Frame, loadMedia, type MediaRule } from "./media.ts";
import { type ProviderJob, type ProviderTimes, takeMediaFailure } from "./provider-jobs.ts";
import { authorizationOf, logRequest, type ProviderRequest } from "./request-log.ts";

/** What every simulated provider may be told. */
export interface ProviderOptions {
  /** Of the API; a free one without it. */
  readonly port?: number;
  readonly mediaPort?: number;
  /** Where generations, rules, keys and due deliveries live on between two starts. */
  readonly stateFile?: string;
  /** How long a generation waits, and how long it runs, where no rule says otherwise. */
  readonly queueMilliseconds?: number;
  readonly runMilliseconds?: number;
}

/** Where a simulated provider is. */
export interface SimulatedProvider extends AsyncDisposable {
  /** Of the API. */
  readonly url: string;
  readonly port: number;
  readonly mediaUrl: string;
  readonly mediaPort: number;
  /** The host that results are fetched from, as the configuration names it. */
  readonly mediaHost: string;
}

/** The options' times, and for the others some that one can watch. */
export function timesOf({ queueMilliseconds, runMilliseconds }: ProviderOptions): ProviderTimes {
  return { queueMilliseconds: queueMilliseconds ?? 1_000, runMilliseconds: runMilliseconds ?? 4_000 };
}

export interface ApiAnswer {
  readonly status: number;
  /** The body: text for one that is not JSON, null for none. */
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A gateway's page, which is not the provider's answer. */
export const gatewayError = (status: number): ApiAnswer => ({
  status,
  body: `<html><head><title>${status}</title></head><body><hr><center>nginx</center></body></html>`,
  headers: { "content-type": "text/html" },
});

export interface ApiCall {
  readonly request: Request;
  readonly url: URL;
  readonly body: unknown;
  /** Whether it came with the account's key. */
  readonly isOurs: boolean;
}

export interface HandledCall {
  /** Null where the connection closes instead. */
  readonly answer: ApiAnswer | null;
  /** Of the generation that it made or was about. */
  readonly requestId: string | null;
}

export interface MediaServer extends LoopbackServer {
  /** Its name and port. */
  readonly host: string;
  /** Where the video of a generation is. */
  videoUrl(requestId: string): string;
  /** In bytes. */
  videoSize(frame: Frame): number;
}

interface Access {
  /** 0 for a free one. */
  readonly port: number;
  readonly log: ProviderRequest[];
  /** The header with the account's key. */
  readonly authorization: string;
}

/** Serves the files of the generations that `find` knows. The account's key must never get here. */
export async function startMediaServer(
  { port, log, authorization, find, elsewhere }: Access & {
    find: (
      requestId: string,
    ) => { frame: Frame; job: ProviderJob & { readonly rule: MediaRule } } | undefined;
    /** Where a redirect leads. */
    elsewhere: () => string;
  },
): Promise<MediaServer> {
  const media = await loadMedia();
  const server = await startLoopbackServer(port, (request) => {
    const { pathname } = new URL(request.url);
    const [, requestId = null, extension] = /^\/files\/([^/]+)\/output\.(mp4|jpg)$/.exec(pathname) ?? [];
    const generation = requestId === null ? undefined : find(requestId);
    const isThere = generation !== undefined && (extension === "mp4" || extension === "jpg") &&
      !(extension === "mp4" && takeMediaFailure(generation.job));
    const response = isThere
      ? media.answer({ frame: generation.frame, rule: generation.job.rule }, extension, elsewhere())
      : new Response("Not Found", { status: 404 });
    const entry = logRequest(log, request, authorization, { host: "media", body: null });
    Object.assign(entry, { requestId, status: response.status });
    return Promise.resolve(response);
  });
  return {
    ...server,
    host: `127.0.0.1:${server.port}`,
    videoUrl: (requestId) => `${server.url}/files/${requestId}/output.mp4`,
    videoSize: media.videoSize,
  };
}

/** Serves the API by `answer`, and its switches at /_control. */
export async function startApiServer<Schema extends z.ZodType>(
  { port, log, authorization, host, control, answer }: Access & {
    host: "queue" | "api";
    control: {
      schema: Schema;
      rules: z.output<Schema>[];
      elapse: (milliseconds: number) => void;
      changed: () => void;
      report: () => object;
    };
    answer: (call: ApiCall) => Promise<HandledCall>;
  },
): Promise<LoopbackServer> {
  return await startLoopbackServer(port, async (request) => {
    const url = new URL(request.url);
    if (url.pathname === "/_control") {
      const { schema, rules, elapse, changed, report } = control;
      const reportWithRequests = () => ({ requests: log, rules, ...report() });
      return await answerControl(request, schema, {
        rules,
        log,
        elapse,
        changed,
        report: reportWithRequests,
      });
    }
    const text = await request.text();
    const body = text === "" ? null : parseJson(text) ?? text;
    const isOurs = authorizationOf(request, authorization) === "ours";
    const entry = logRequest(log, request, authorization, { host, body });
    const { answer: given, requestId } = await answer({ request, url, body, isOurs });
    Object.assign(entry, { requestId, status: given?.status ?? null });
    return given === null ? hangUp : toResponse(given);
  });
}

function toResponse({ status, body, headers }: ApiAnswer): Response {
  const text = body === null || typeof body === "string" ? body : JSON.stringify(body);
  return new Response(text, { status, headers: { "content-type": "application/json", ...headers } });
}
