/**
 * Apple's push service on one machine: HTTP/2 over TLS, with a certificate of an authority of its own. It takes what APNs would
 * take, of the app and the team that it knows; README.md tells its switches.
 */
import { Buffer } from "node:buffer";
import { createSecureServer, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { importSPKI } from "jose";
import { takeRule } from "../engine/control.ts";
import { keepRequest } from "../engine/request-log.ts";
import { type Simulator, startSimulator } from "../engine/simulator.ts";
import { issueForNames } from "../web/certificate.ts";
import { providerTokens } from "./provider-tokens.ts";
import { faultOf, type Refusal } from "./requests.ts";
import {
  type ActiveApnsRule,
  type ApnsReport,
  apnsReport,
  type ApnsRule,
  apnsRule,
  type PushRequest,
} from "./rules.ts";

export type { ApnsReport, ApnsRule, PushRequest } from "./rules.ts";

export interface ApnsOptions {
  /** Of its switches; a free one without it. */
  readonly port?: number;
  readonly teamId: string;
  readonly keyId: string;
  /** SPKI in PEM. */
  readonly publicKey: string;
  readonly topic: string;
}

export interface ApnsSimulator extends Simulator<ApnsRule, ApnsReport> {
  /** For APNS_URL and APNS_SANDBOX_URL. */
  readonly productionUrl: string;
  readonly sandboxUrl: string;
  /** In PEM: whose certificates must be believed. */
  readonly authority: string;
}

/** A device that is known in one environment and not in the other, as APNs gives its token to an app. */
export function newPushToken(environment: PushRequest["environment"] = "production"): string {
  const random = crypto.getRandomValues(new Uint8Array(31)).toHex();
  return `${environment === "production" ? "a0" : "b0"}${random}`;
}

/** Those that APNs gives to one connection. */
const maxStreams = 1_000;

/** Starts it. Disposed of, it ends every connection. */
export async function startApnsSimulator(
  { port, teamId, keyId, publicKey, topic }: ApnsOptions,
): Promise<ApnsSimulator> {
  await using starting = new AsyncDisposableStack();
  const rules: ActiveApnsRule[] = [];
  const log: PushRequest[] = [];
  let connections = 0;
  const { key, chain, authority } = await issueForNames(["localhost"]);
  const tokens = providerTokens({ teamId, keyId, publicKey: await importSPKI(publicKey, "ES256") });
  const waits = new Set<() => void>();

  const server = createSecureServer({
    key,
    cert: chain,
    allowHTTP1: false,
    settings: { maxConcurrentStreams: maxStreams },
  });
  const sockets = new Set<{ destroy(): void }>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("session", (session) => {
    const connection = ++connections;
    // Whoever closes a connection in the middle of something is no fault of ours.
    session.on("error", () => {});
    session.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      stream.on("error", () => {});
      answer(stream, headers, connection).catch(() => stream.destroy());
    });
  });

  async function answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, connection: number) {
    const pieces: Uint8Array[] = [];
    for await (const piece of stream) pieces.push(piece);
    const body = Buffer.concat(pieces);
    const path = String(headers[":path"] ?? "");
    const environment = path.startsWith("/sandbox/") ? "sandbox" : "production";
    const token = path.split("/").at(-1) ?? "";
    const authorization = String(headers.authorization ?? "");
    const refusal: Refusal | null = await tokens.faultOf(authorization, connection) ??
      faultOf({ headers, path: path.replace(/^\/sandbox/, ""), body, topic }) ??
      (token.startsWith(environment === "production" ? "a0" : "b0")
        ? null
        : { status: 400, reason: "BadDeviceToken" });
    const request: PushRequest = keepRequest(log, {
      at: Date.now(),
      connection,
      environment,
      token,
      headers: Object.fromEntries(
        Object.entries(headers).filter(([name]) => name.startsWith("apns-"))
          .map(([name, value]) => [name, String(value)]),
      ),
      payload: parsed(body),
      status: null,
      reason: null,
      isSent: false,
    });
    const respond = (status: number, word: { reason: string; timestamp?: number } | null, more = {}) => {
      Object.assign(request, { status, reason: word?.reason ?? null, isSent: status === 200 });
      stream.respond({
        ":status": status,
        "apns-id": String(headers["apns-id"] ?? crypto.randomUUID()).toUpperCase(),
        ...more,
      });
      stream.end(word === null ? "" : JSON.stringify(word));
    };
    if (refusal !== null) return respond(refusal.status, { reason: refusal.reason });
    const rule = takeRule(
      rules,
      (rule) => (rule.token ?? token) === token && (rule.environment ?? environment) === environment,
    );
    switch (rule?.effect) {
      case "refused": {
        const { status, reason, timestamp, retryAfterSeconds } = rule;
        const word = { reason, ...(timestamp === undefined ? {} : { timestamp }) };
        return respond(
          status,
          word,
          retryAfterSeconds === undefined ? {} : { "retry-after": String(retryAfterSeconds) },
        );
      }
      case "expired_provider_token":
        tokens.expire(authorization);
        return respond(403, { reason: "ExpiredProviderToken" });
      case "down":
        return stream.session?.destroy();
      case "answer_lost":
        request.isSent = true;
        return stream.session?.destroy();
      case "goaway":
        respond(200, null);
        return stream.session?.goaway();
      case "slow":
        await pause(rule.milliseconds);
    }
    respond(200, null);
  }

  /** Ends with the simulator, too. */
  async function pause(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, milliseconds);
    waits.add(resolve);
    await promise;
    clearTimeout(timer);
    waits.delete(resolve);
  }

  const listening = Promise.withResolvers<void>();
  server.once("error", listening.reject);
  server.listen(0, "127.0.0.1", () => listening.resolve());
  await listening.promise;
  starting.defer(async () => {
    for (const end of waits) end();
    const closed = Promise.withResolvers<void>();
    server.close(() => closed.resolve());
    for (const socket of sockets) socket.destroy();
    await closed.promise;
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The server has no port");

  const simulator = starting.use(
    await startSimulator<ActiveApnsRule, ApnsRule, ApnsReport>({
      ...{ port, rule: apnsRule, rules, log, report: apnsReport },
      tell: () => ({ connections }),
      elapse: () => {
        for (const end of waits) end();
      },
      answer: () => Promise.resolve(new Response("Pushes are taken over HTTP/2", { status: 404 })),
    }),
  );
  const running = starting.move();
  const productionUrl = `https://localhost:${address.port}`;
  return {
    ...simulator,
    productionUrl,
    sandboxUrl: `${productionUrl}/sandbox`,
    authority,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

function parsed(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch {
    return null;
  }
}
