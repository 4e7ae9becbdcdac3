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
}

export const publicWeb: Port<PublicWeb> = ({ config }) => openWeb(config.simulatedWeb);

/** The names that nobody can own (RFC 2606): in a local project the simulator answers for them, and for no other. */
const simulatedName = /(?:^|\.)example\.(?:com|net|org)$/;

function openWeb(simulated: SimulatedWebConfig | null): PublicWeb {
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
      const plain = await unlessAborted(Deno.connect(target), signal);
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
