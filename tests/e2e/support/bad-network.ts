/** A network between an app and the backend: an HTTP proxy that loses, delays, doubles and reorders what goes through it. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";

/** What becomes of a request. */
export type Fault =
  /** It does not arrive. */
  | "request lost"
  /** It arrives, and its answer does not. */
  | "answer lost"
  /** The answer breaks off after its headers. */
  | "answer broken"
  /** It arrives twice at once; the answer is the later one. */
  | "doubled"
  | "delayed"
  /** It arrives after the next one, where there is one soon. */
  | "reordered"
  | "none";

export interface BadNetwork extends AsyncDisposable {
  /** Stands for the backend's. */
  readonly url: string;
  /** What became of each request for an endpoint, in their order. */
  readonly happened: { readonly endpoint: string; readonly fault: Fault }[];
}

/** Milliseconds: longer than the backend takes for anything here, so that what is late is late. */
const delay = 400;

/** Stands before the backend at `target`. `faultOf` decides, by the endpoint and how often it was asked before. */
export async function badNetwork(
  target: string,
  faultOf: (endpoint: string, before: number) => Fault,
): Promise<BadNetwork> {
  const happened: BadNetwork["happened"] = [];
  const aborted = new AbortController();
  /** Let those go that wait for the next request. */
  let release = () => {};
  const server = createServer((request, response) => {
    carry(request, response).catch(() => request.socket.destroy());
  });

  async function carry(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? "";
    const endpoint = /^\/functions\/v1\/([\w-]+)/.exec(path)?.[1];
    const before = happened.filter((one) => one.endpoint === endpoint).length;
    const fault = endpoint === undefined ? "none" : faultOf(endpoint, before);
    if (endpoint !== undefined) happened.push({ endpoint, fault });

    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const ask = () => forward(request, path, Buffer.concat(chunks));
    if (fault === "request lost") return void request.socket.destroy();
    release();
    if (fault === "delayed") await pause();
    if (fault === "reordered") {
      await Promise.race([new Promise<void>((resolve) => release = resolve), pause()]);
    }
    const answers = await Promise.all(fault === "doubled" ? [ask(), ask()] : [ask()]);
    const answer = answers.at(-1);
    if (answer === undefined || fault === "answer lost") return void request.socket.destroy();
    response.writeHead(answer.status, answer.headers);
    if (fault === "answer broken") {
      response.write(answer.body.subarray(0, 5));
      return void setTimeout(() => request.socket.destroy(), 10);
    }
    response.end(answer.body);
  }

  async function forward(request: IncomingMessage, path: string, body: Uint8Array<ArrayBuffer>) {
    const headers = new Headers();
    for (const [name, value] of Object.entries(request.headers)) {
      if (!["host", "connection", "content-length"].includes(name)) headers.set(name, String(value));
    }
    const answer = await fetch(target + path, {
      method: request.method ?? "GET",
      headers,
      signal: aborted.signal,
      redirect: "manual",
      ...(body.length > 0 ? { body } : {}),
    });
    const kept = [...answer.headers].filter(([name]) =>
      !["content-length", "content-encoding", "transfer-encoding", "connection"].includes(name)
    );
    const bytes = new Uint8Array(await answer.arrayBuffer());
    return {
      status: answer.status,
      headers: { ...Object.fromEntries(kept), "content-length": String(bytes.length) },
      body: bytes,
    };
  }

  function pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(end, delay);
      function end() {
        clearTimeout(timer);
        aborted.signal.removeEventListener("abort", end);
        resolve();
      }
      aborted.signal.addEventListener("abort", end);
    });
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    happened,
    async [Symbol.asyncDispose]() {
      aborted.abort();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
