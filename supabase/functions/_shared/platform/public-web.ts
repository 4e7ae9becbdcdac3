/**
 * The way to the public web: a name's addresses, and connections to one of them. The runtime's fetch looks a name up by itself,
 * so that whoever checked an address would not know which one it connects to.
 */
import type { Port } from "../endpoint/context.ts";
import type { SimulatedWebConfig } from "./config.ts";

export type Connection = Pick<Deno.Conn, "read" | "write" | "close">;

export interface PublicWeb {
  /** All addresses of a name, IPv4 first, as not every network has IPv6; none where it has none. Throws where nobody can tell. */
  resolve(name: string, signal: AbortSignal): Promise<string[]>;
  /** A connection to port 443 of an address, whose certificate is the name's. Throws what the runtime does. */
  connect(address: string, name: string, signal: AbortSignal): Promise<Connection>;
  /** A connection without TLS to a port of this machine. Only a local project has it, and only for webhooks. */
  readonly connectLocally?: (port: number) => Promise<Connection>;
}

export const publicWeb: Port<PublicWeb> = ({ config }) => openWeb(config.simulatedWeb, null);

/** The web as webhooks reach it: by way of the operator's proxy where there is one, and on this machine in a local project. */
export const webhookWeb: Port<PublicWeb> = ({ config: { simulatedWeb, webhooks } }) => ({
  ...openWeb(simulatedWeb, webhooks.proxyUrl),
  ...(webhooks.mayBeLocal
    ? { connectLocally: (port: number) => Deno.connect({ hostname: "127.0.0.1", port }) }
    : {}),
});

/** The names that nobody can own (RFC 2606): in a local project the simulator answers for them, and for no other. */
const simulatedName = /(?:^|\.)example\.(?:com|net|org)$/;

function openWeb(simulated: SimulatedWebConfig | null, proxyUrl: string | null): PublicWeb {
  const simulatedFor = (name: string) => simulatedName.test(name) ? simulated : null;
  return {
    async resolve(name, signal) {
      const web = simulatedFor(name);
      const nameServer = web && { ipAddr: "127.0.0.1", port: web.dnsPort };
      const options = { signal, ...(nameServer && { nameServer }) };
      const [v4, v6] = await Promise.allSettled([
        Deno.resolveDns(name, "A", options),
        Deno.resolveDns(name, "AAAA", options),
      ]);
      return [...addressesIn(v4, v6), ...addressesIn(v6, v4)];
    },
    async connect(address, name, signal) {
      const web = simulatedFor(name);
      const target = web ? { hostname: "127.0.0.1", port: web.httpsPort } : { hostname: address, port: 443 };
      const plain = proxyUrl === null
        ? await unlessAborted(Deno.connect(target), signal)
        : await connectThrough(new URL(proxyUrl), target, signal);
      let connection: Deno.TlsConn | null = null;
      try {
        const options = {
          hostname: name,
          alpnProtocols: ["http/1.1"],
          caCerts: web ? [web.certificate] : [],
        };
        connection = await unlessAborted(Deno.startTls(plain, options), signal);
        await unlessAborted(connection.handshake(), signal, connection);
        return connection;
      } catch (error) {
        // A handshake that fails closes nothing, and `plain` is the other's by then.
        closeQuietly(connection ?? plain);
        throw error;
      }
    },
  };
}

type Lookup = PromiseSettledResult<string[]>;

/** Those of one kind. A name without any is NotFound; what else goes wrong matters where the other kind brought none either. */
function addressesIn(lookup: Lookup, other: Lookup): string[] {
  if (lookup.status === "fulfilled") return lookup.value;
  const isKnown = lookup.reason instanceof Deno.errors.NotFound ||
    (other.status === "fulfilled" && other.value.length > 0);
  if (!isKnown) throw lookup.reason;
  return [];
}

/** What begins to connect cannot be told to stop on the platform's Deno; a connection that comes too late is closed. */
function unlessAborted<Result extends { close?: () => void } | object>(
  opening: Promise<Result>,
  signal: AbortSignal,
  connection?: Connection,
): Promise<Result> {
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  const abort = () => {
    if (connection) closeQuietly(connection);
    reject(signal.reason);
    opening.then((late) => "close" in late && closeQuietly(late as Connection), () => {});
  };
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  opening.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  return promise;
}

/** Closing twice throws. */
export function closeQuietly(connection: Pick<Connection, "close">): void {
  try {
    connection.close();
  } catch {
    // It is closed.
  }
}

/** What a proxy says before its silence: some headers. */
const maxProxyHeadBytes = 8 * 1024;

/**
 * A connection to an address by way of a proxy (CONNECT, RFC 9110 9.3.6). It is told the address and not the name, so that
 * it cannot find another one. Throws where it refuses.
 */
async function connectThrough(
  proxy: URL,
  { hostname, port }: { hostname: string; port: number },
  signal: AbortSignal,
): Promise<Deno.TcpConn> {
  const connection = await unlessAborted(
    Deno.connect({ hostname: proxy.hostname.replace(/^\[|\]$/g, ""), port: Number(proxy.port || 80) }),
    signal,
  );
  const close = () => closeQuietly(connection);
  signal.addEventListener("abort", close, { once: true });
  try {
    const target = `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
    const credentials = proxy.username === ""
      ? ""
      : `Proxy-Authorization: Basic ${
        btoa(`${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`)
      }\r\n`;
    const request = new TextEncoder().encode(
      `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${credentials}\r\n`,
    );
    for (let written = 0; written < request.length;) {
      written += await connection.write(request.subarray(written));
    }
    let head = "";
    // Byte by byte: what follows is the other server's, and TLS must find it.
    const byte = new Uint8Array(1);
    while (!head.endsWith("\r\n\r\n")) {
      if (head.length === maxProxyHeadBytes || await connection.read(byte) === null) {
        throw new Error("The proxy gave no answer");
      }
      head += String.fromCharCode(byte[0] ?? 0);
    }
    if (!/^HTTP\/1\.[01] 2\d\d/.test(head)) throw new Error("The proxy refused");
    return connection;
  } catch (error) {
    close();
    throw error;
  } finally {
    signal.removeEventListener("abort", close);
  }
}
