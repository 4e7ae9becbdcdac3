/**
 * The web on one machine, as far as addresses of pictures lead there: a DNS server and a web server for the names that nobody can
 * own, with certificates of an authority of its own. README.md tells its switches.
 */
import { Buffer } from "node:buffer";
import { createServer } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import { takeRule } from "../engine/control.ts";
import { keepRequest } from "../engine/request-log.ts";
import { type Simulator, startSimulator } from "../engine/simulator.ts";
import { issueForNames } from "./certificate.ts";
import { startDnsServer } from "./dns.ts";
import {
  type ActiveWebRule,
  type AddressRule,
  type PageRule,
  type WebReport,
  webReport,
  type WebRule,
  webRule,
} from "./rules.ts";

export type { WebReport, WebRule } from "./rules.ts";

export interface WebSimulator extends Simulator<WebRule, WebReport> {
  /** For SIMULATED_WEB. */
  readonly configuration: string;
}

/** One of the public internet, which nobody connects to: in a local project the web server's own is taken instead. */
const publicAddress = "93.184.215.14";

const names = ["example.com", "example.net", "example.org"].flatMap((name) => [name, `*.${name}`]);

/** Starts it; its switches are on `port`, a free one without it. */
export async function startWebSimulator({ port }: { readonly port?: number } = {}): Promise<WebSimulator> {
  await using starting = new AsyncDisposableStack();
  const rules: ActiveWebRule[] = [];
  const log: WebReport["requests"] = [];
  const lookups: WebReport["lookups"] = [];
  const picture = await Deno.readFile(new URL("../media/landscape.jpg", import.meta.url));
  const { key, chain, authority } = await issueForNames(names);

  const dns = starting.use(
    await startDnsServer((name, type) => {
      keepRequest(lookups, { name, type });
      const isAsked = (rule: ActiveWebRule): rule is AddressRule =>
        rule.effect === "addresses" && (rule.name === undefined || rule.name === name);
      const rule = takeRule(rules, isAsked);
      return rule?.effect === "addresses" ? rule.addresses : [publicAddress];
    }),
  );

  const server = createServer({ key, cert: chain }, (incoming, outgoing) => {
    const host = incoming.headers.host ?? "";
    const path = incoming.url ?? "/";
    const headers = Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]);
    keepRequest(log, { host, path, headers: Object.fromEntries(headers) });
    const fits = (rule: ActiveWebRule) =>
      rule.effect !== "addresses" && (rule.host ?? host) === host && (rule.path ?? path) === path;
    const rule = takeRule(rules, fits);
    const page: PageRule | null = rule === null || rule.effect === "addresses" ? null : rule;
    if (page === null) outgoing.writeHead(200, { "content-type": "image/jpeg" }).end(picture);
    else answer(page, incoming, outgoing);
  });
  const listening = Promise.withResolvers<void>();
  server.once("error", listening.reject);
  server.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  starting.defer(async () => {
    const closed = Promise.withResolvers<void>();
    server.close(() => closed.resolve());
    server.closeAllConnections();
    await closed.promise;
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The server has no port");

  const simulator = starting.use(
    await startSimulator<ActiveWebRule, WebRule, WebReport>({
      ...{ port, rule: webRule, rules, log, report: webReport },
      tell: () => ({ lookups }),
      save: () => {
        // A reset has emptied it.
        if (log.length === 0) lookups.length = 0;
      },
      answer: () => Promise.resolve(new Response("The web is served over TLS", { status: 404 })),
    }),
  );
  const running = starting.move();
  const configuration = { dns_port: dns.port, https_port: address.port, certificate: authority };
  return {
    ...simulator,
    configuration: JSON.stringify(configuration),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

function answer(rule: PageRule, incoming: IncomingMessage, outgoing: ServerResponse): void {
  switch (rule.effect) {
    case "answer":
      outgoing.writeHead(rule.status, rule.headers).end(Buffer.from(rule.body, "base64"));
      return;
    case "redirect":
      outgoing.writeHead(302, { location: rule.location }).end();
      return;
    case "huge":
      outgoing.writeHead(200, {
        "content-type": "image/jpeg",
        ...(rule.tells ? { "content-length": String(rule.bytes) } : {}),
      });
      goOn(outgoing, new Uint8Array(64 * 1024), 0, rule.bytes);
      return;
    case "slow":
      outgoing.writeHead(200, { "content-type": "image/jpeg" });
      goOn(outgoing, new Uint8Array(1), 500, Infinity);
      return;
    case "silent":
      return;
    case "down":
      incoming.socket.destroy();
  }
}

/** Writes pieces as long as somebody reads them. */
function goOn(outgoing: ServerResponse, piece: Uint8Array, everyMilliseconds: number, bytes: number): void {
  if (outgoing.destroyed || outgoing.socket?.destroyed !== false) return;
  if (bytes <= 0) {
    outgoing.end();
    return;
  }
  const next = () => goOn(outgoing, piece, everyMilliseconds, bytes - piece.length);
  if (!outgoing.write(piece)) outgoing.once("drain", next);
  else setTimeout(next, everyMilliseconds);
}
