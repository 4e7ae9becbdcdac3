/** The gateway as a process of its own, which can be killed and started again. */
import { type Child, type Log, startChild } from "./processes/child.ts";
import type { GatewayMessage } from "./platform/gateway.ts";
import { untilFree } from "./ports.ts";

/** It has nothing to finish. */
const gatewayGrace = 1_000;

export interface Gateway {
  readonly port: number;
  /** Of its process, which is another one after `start`. */
  readonly pid: number;
  /** What it is told is told again to the one that `start` makes. */
  say(message: GatewayMessage): Promise<void>;
  /** Ends it as a crash of the machine would. It stays away until `start`, and comes back at its port. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

export interface GatewayOptions {
  /** 0 for any that is free. */
  readonly port: number;
  readonly trustClientAddress?: boolean | undefined;
  /** Where what it logs is kept, for whoever is told that it ended. */
  readonly file: string;
  readonly log?: Log | undefined;
  readonly onStep?: ((step: string) => void) | undefined;
}

/** Starts it, and resolves when it listens. It ends with `cleanup`. */
export async function startGateway(
  options: GatewayOptions,
  log: Log,
  cleanup: AsyncDisposableStack,
): Promise<Gateway> {
  const wanted = options.port;
  options.onStep?.(wanted === 0 ? "the gateway" : `the gateway, at port ${wanted}`);
  if (wanted !== 0) await untilFree(wanted, "the gateway");
  const said = new Map<GatewayMessage["kind"], GatewayMessage>();
  let isEnding = false;
  async function open(port: number): Promise<Child> {
    const child = await startChild({
      script: new URL("platform/gateway.ts", import.meta.url),
      permissions: ["--allow-all"],
      environment: {
        GATEWAY_PORT: `${port}`,
        GATEWAY_TRUST_CLIENT_ADDRESS: `${options.trustClientAddress ?? false}`,
      },
      log,
    });
    void child.exited.then(({ code }) => {
      if (isEnding) return;
      options.log?.(`The gateway ended unexpectedly with code ${code}; ${options.file} may say why\n`);
    });
    for (const message of said.values()) await child.send(message);
    return child;
  }
  let child = await open(wanted);
  const { port } = child;
  cleanup.defer(() => {
    isEnding = true;
    return child.stop(gatewayGrace);
  });
  return {
    port,
    get pid() {
      return child.pid;
    },
    async say(message) {
      said.set(message.kind, message);
      await child.send(message);
    },
    async kill() {
      isEnding = true;
      await child.kill();
    },
    async start() {
      isEnding = false;
      child = await open(port);
    },
  };
}
