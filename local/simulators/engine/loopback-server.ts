/** An HTTP server on 127.0.0.1 that can also hang up without an answer, which Deno.serve cannot. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { arrayBuffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";

/** A handler's answer: the connection is closed, and the client never learns what became of its request. */
export const hangUp = Symbol("hang up");

export interface LoopbackServer extends AsyncDisposable {
  readonly port: number;
  /** Without a slash at its end. */
  readonly url: string;
}

/** Serves until it is disposed of, which ends every connection at once. Port 0 takes a free one. */
export async function startLoopbackServer(
  port: number,
  handler: (request: Request) => Promise<Response | typeof hangUp>,
): Promise<LoopbackServer> {
  const server = createServer((incoming, outgoing) => {
    respond(incoming, outgoing, handler).catch(() => outgoing.destroy());
  });
  const listening = Promise.withResolvers<void>();
  server.once("error", listening.reject);
  server.listen(port, "127.0.0.1", listening.resolve);
  await listening.promise;

  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The server has no port");
  return {
    port: address.port,
    url: `http://127.0.0.1:${address.port}`,
    async [Symbol.asyncDispose]() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      await closed.promise;
    },
  };
}

async function respond(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  handler: (request: Request) => Promise<Response | typeof hangUp>,
): Promise<void> {
  const headers = Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]);
  const body = await arrayBuffer(incoming);
  const request = new Request(`http://${incoming.headers.host ?? "127.0.0.1"}${incoming.url ?? "/"}`, {
    method: incoming.method ?? "GET",
    headers,
    ...(body.byteLength > 0 ? { body } : {}),
  });

  const answer = await handler(request);
  if (answer === hangUp) {
    incoming.socket.destroy();
    return;
  }
  outgoing.writeHead(answer.status, Object.fromEntries(answer.headers));
  if (answer.body === null || incoming.method === "HEAD") {
    outgoing.end();
    return;
  }
  await pipeline(Readable.from(answer.body), outgoing);
}
