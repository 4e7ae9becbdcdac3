import { createBackgroundWork } from "../endpoint/background-work.ts";
import type { EnvironmentVariables } from "../platform/config.ts";
import type { Declaration } from "../endpoint/operation.ts";
import { isolateMetrics, type Metrics } from "../ops/metrics.ts";
import { createHandler } from "../endpoint/request-handler.ts";
import { type SettableClock, settableClock } from "./clock.ts";
import { testConfig } from "./config.ts";
import { type LogLine, recordingLogger } from "./log.ts";
import { createTokenIssuer, projectUrl, publishableKey, secretKey, type TokenIssuer } from "./tokens.ts";

export interface Sent {
  readonly method?: string;
  /** Path and query behind the functions' base, such as `video-status?job_id=…`. */
  readonly path?: string;
  /** Whose credentials are sent; `guest` by default. */
  readonly as?: "guest" | "service" | "nobody";
  /** Instead of the guest's token. */
  readonly token?: string;
  /** They replace those that the credentials and the body bring. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is. */
  readonly body?: BodyInit;
}

export interface RecordedError {
  readonly p_code: string;
  readonly p_endpoint: string;
  readonly p_user_id: string | null;
  readonly p_request_id: string;
  readonly p_context: { readonly error: { readonly message: string } };
  readonly p_count: number;
}

export interface TestServer {
  readonly issuer: TokenIssuer;
  readonly clock: SettableClock;
  readonly lines: readonly LogLine[];
  /** The arguments of `record_error`, which is always there. */
  readonly recorded: readonly RecordedError[];
  /** What the isolate has counted; nobody is told. */
  readonly metrics: Metrics;
  /** What was counted each time that somebody was to be told. */
  readonly told: readonly string[][];
  send(sent?: Sent): Promise<Response>;
  /** Resolves when nothing that the requests started is left to do. */
  settled(): Promise<void>;
}

/** Serves operations through the whole wrapper, without a network, to callers with real tokens. */
export async function testServer(
  operations: readonly Declaration[],
  environment: EnvironmentVariables = {},
  port: { fetch?: typeof fetch } = {},
): Promise<TestServer> {
  const issuer = await createTokenIssuer();
  const clock = settableClock();
  const { log, lines } = recordingLogger(clock.now);
  const background = createBackgroundWork();
  const recorded: RecordedError[] = [];
  const metrics = isolateMetrics();
  const told: string[][] = [];
  const fetchElse = port.fetch ?? (() => Promise.reject(new Error("This test has no network")));
  const handler = createHandler(operations, {
    config: testConfig({ SUPABASE_JWKS: issuer.jwks, ...environment }),
    log,
    fetch: async (input, init) => {
      const request = new Request(input, init);
      if (!request.url.endsWith("/rpc/record_error")) return await fetchElse(input, init);
      recorded.push(await request.json());
      return Response.json({ data: { recorded: "whole" } });
    },
    background,
    metrics,
    tellMetrics: () => {
      const rows = metrics.take();
      told.push(rows.map(({ name }) => name));
      metrics.giveBack(rows);
    },
    now: clock.now,
  });
  return {
    issuer,
    clock,
    lines,
    recorded,
    metrics,
    told,
    settled: background.settled,
    async send({ method = "GET", path = "example", as = "guest", token, headers = {}, json, body } = {}) {
      const all = new Headers();
      if (as === "guest") {
        all.set("apikey", publishableKey);
        all.set("authorization", `Bearer ${token ?? await issuer.sign()}`);
      }
      if (as === "service") all.set("apikey", secretKey);
      if (json !== undefined) all.set("content-type", "application/json");
      for (const [name, value] of Object.entries(headers)) all.set(name, value);
      const content = json === undefined ? body : JSON.stringify(json);
      return await handler(
        new Request(`${projectUrl}/functions/v1/${path}`, {
          method,
          headers: all,
          ...(content === undefined ? {} : { body: content }),
        }),
      );
    },
  };
}
