/**
 * Ports of 127.0.0.1 that stay the same between two starts.
 */

/** A killed stack lets go of its ports in a moment, on a busy machine in several. */
const releaseTime = 20_000;
const pollInterval = 50;

/** Says that another program has the port that a part needs. */
export class PortTakenError extends Error {
  constructor(port: number, owner: string) {
    super(`Port ${port} of 127.0.0.1, for ${owner}, is taken by another program`);
  }
}

/** Resolves when nobody listens on `port`; rejects, naming `owner`, when somebody still does after `milliseconds`. */
export async function untilFree(port: number, owner: string, milliseconds = releaseTime): Promise<void> {
  const deadline = Date.now() + milliseconds;
  while (!isFree(port)) {
    if (Date.now() > deadline) throw new PortTakenError(port, owner);
    await new Promise((resolve) => setTimeout(resolve, pollInterval));
  }
}

/** Whether one could listen on `port` now. */
export function isFree(port: number): boolean {
  const listener = tryListen(port);
  listener?.close();
  return listener !== undefined;
}

function tryListen(port: number): Deno.TcpListener | undefined {
  try {
    return Deno.listen({ hostname: "127.0.0.1", port });
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return undefined;
    throw error;
  }
}

/**
 * Where ports are held: below those that systems give to whoever asks for any port, and to this end of each connection.
 * From 32768 on Linux gives them away, other systems later.
 */
const held = { from: 12_000, to: 32_000, blockSize: 20 };

export interface HeldPorts extends Disposable {
  /** One that was not given before, and that nobody listens on. */
  take(): number;
}

/**
 * Holds ports that nobody else gets until the result is disposed of, also while their owner is not there: neither by
 * asking for any port nor from here, in whatever process.
 */
export function holdPorts(): HeldPorts {
  const { from, to, blockSize } = held;
  const blocks = (to - from) / blockSize;
  const start = Math.floor(Math.random() * blocks);
  for (let turn = 0; turn < blocks; turn++) {
    const first = from + (start + turn) % blocks * blockSize;
    // Whoever listens on the first port of a block holds the others.
    const listener = tryListen(first);
    if (listener === undefined) continue;
    let last = first;
    return {
      take() {
        do last++; while (last < first + blockSize && !isFree(last));
        if (last === first + blockSize) throw new Error("No more ports are held");
        return last;
      },
      [Symbol.dispose]: () => listener.close(),
    };
  }
  throw new Error(`No port of 127.0.0.1 from ${from} to ${to} is free`);
}
