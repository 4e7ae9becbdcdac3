/** A network between an app and the backend whose open WebSockets can be cut, as a phone's are in a tunnel. */

export interface CutConnections extends AsyncDisposable {
  /** Stands for the backend's. */
  readonly url: string;
  /** WebSockets that are open, or being opened. */
  readonly open: number;
  /** Cuts all of them, whatever they are about to say. */
  cut(): void;
}

/** Stands before the backend at `target`. Other requests are passed on as they are. */
export function cutConnections(target: string): CutConnections {
  const { hostname, port } = new URL(target);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const sockets = new Set<AbortController>();
  const all = new Set<AbortController>();

  async function carry(from: Deno.TcpConn): Promise<void> {
    const end = new AbortController();
    all.add(end);
    const to = await Deno.connect({ hostname, port: Number(port) });
    end.signal.addEventListener("abort", () => {
      for (const connection of [from, to]) {
        try {
          connection.close();
        } catch {
          // It was closed by whoever read from it.
        }
      }
    });
    const watched = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(chunk, controller) {
        if (new TextDecoder().decode(chunk.subarray(0, 20)).startsWith("GET /realtime/")) sockets.add(end);
        controller.enqueue(chunk);
      },
    });
    await Promise.allSettled([
      from.readable.pipeThrough(watched).pipeTo(to.writable),
      to.readable.pipeTo(from.writable),
    ]);
    sockets.delete(end);
    all.delete(end);
  }

  const done = (async () => {
    for await (const connection of listener) void carry(connection).catch(() => {});
  })();
  return {
    url: `http://127.0.0.1:${listener.addr.port}`,
    get open() {
      return sockets.size;
    },
    cut() {
      for (const end of sockets) end.abort();
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const end of all) end.abort();
      await done;
    },
  };
}
