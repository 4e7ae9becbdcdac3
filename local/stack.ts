/**
 * The whole backend on this machine: Postgres, the gateway with its services, the functions, the scheduler, and the
 * simulators of the services outside.
 */
import type { Log } from "./processes/child.ts";
import { createDatabase } from "./postgres/database.ts";
import { type Directory, openDirectory } from "./directory.ts";
import { type Functions, startFunctions } from "./functions/functions.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { functionsEnvironment, jwksOf } from "./functions/functions-environment.ts";
import { defaultFunctions, type FunctionsSource } from "./functions/functions-source.ts";
import { generateKeys, type Keys } from "./keys.ts";
import { migrate } from "./postgres/migrations.ts";
import {
  type OutsideServices,
  type ProviderTimes,
  type ServicePorts,
  servicePorts,
  startOutsideServices,
} from "./outside-services.ts";
import { preparePlatform } from "./platform/platform.ts";
import { loginAs, owner } from "./platform/platform-roles.ts";
import { type HeldPorts, holdPorts } from "./ports.ts";
import { type Postgres, startPostgres } from "./postgres/postgres.ts";
import { killWithChildren } from "./processes/process-table.ts";
import { startScheduler } from "./platform/scheduler.ts";

export interface StackOptions extends ProviderTimes {
  /** Where data, keys and logs stay between starts. Without it all of them are temporary. */
  dataDirectory?: string;
  /** Gets the name of each step when it begins. */
  onStep?: ((step: string) => void) | undefined;
  /** Ports that must be free; instead of one that is not said, any free port. */
  ports?: Partial<Ports>;
  /** A database that is prepared and migrated, as its owner. Without it the stack starts a Postgres of its own. */
  databaseUrl?: string;
  /** Set or, with undefined, taken away in the environment of the functions. */
  environment?: Record<string, string | undefined>;
  /** Between two ticks of the scheduler; Infinity for none but those of `tick`. */
  tickMilliseconds?: number;
  /** Believe a client that names its own address in cf-connecting-ip, for tests that play several networks. */
  trustClientAddress?: boolean;
  /** Those of supabase/functions, or of the environment, if it is not said. */
  functionsSource?: FunctionsSource;
  /** Reload the functions when one of their files changes. */
  watch?: boolean;
  /** Gets what the functions print, besides the log file. */
  log?: Log;
}

/** Where the parts listen, on 127.0.0.1. */
export interface Ports extends ServicePorts {
  gateway: number;
  postgres: number;
}

export interface Stack extends AsyncDisposable {
  /** The project's URL, for a client of Supabase. */
  readonly url: string;
  readonly publishableKey: string;
  readonly secretKey: string;
  /** With the rights of the owner. */
  readonly databaseUrl: string;
  /** The keys that users' tokens are signed with, as the functions get them. */
  readonly jwks: { keys: Record<string, unknown>[] };
  /** Those of the parts that the stack started itself. */
  readonly ports: Partial<Ports>;
  readonly simulators: OutsideServices;
  readonly gateway: Pick<Gateway, "pid" | "kill" | "start" | "say">;
  readonly functions: Pick<Functions, "pid" | "kill" | "start" | "reload">;
  /** Only for a stack with a data directory and a Postgres of its own. `kill` ends it as a crash of the machine would. */
  readonly database: { stop(): Promise<void>; kill(): Promise<void>; start(): Promise<void> };
  /** Calls the scheduler's tick now; gives the number of tasks that were due. */
  tick(): Promise<number>;
  /** The files that the functions and the gateway's services write to. */
  readonly logs: { functions: string; gateway: string };
}

/** One for each part. */
export function takePorts(held: HeldPorts): Ports {
  return {
    gateway: held.take(),
    postgres: held.take(),
    fal: held.take(),
    falMedia: held.take(),
    replicate: held.take(),
    replicateMedia: held.take(),
    runway: held.take(),
    runwayMedia: held.take(),
    openAi: held.take(),
    deviceCheck: held.take(),
    appStore: held.take(),
    appleId: held.take(),
    web: held.take(),
    apns: held.take(),
  };
}

/** As pg_cron is told in the migrations. */
const defaultTick = 5_000;

/**
 * As startStack. What is starting ends with `cleanup`, also when that is disposed of before it has started: the process is
 * ending then, and this never resolves.
 */
export async function startStackFor(cleanup: AsyncDisposableStack, options: StackOptions): Promise<Stack> {
  const onStep = (step: string) => cleanup.disposed ? undefined : options.onStep?.(step);
  const starting = startStack({ ...options, onStep });
  cleanup.defer(async () => {
    const stack = await starting.catch(() => undefined);
    await stack?.[Symbol.asyncDispose]();
  });
  const stack = await starting;
  return cleanup.disposed ? await new Promise(() => {}) : stack;
}

/** Starts everything, and resolves when all of it answers. What was started ends when the result is disposed of. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  await using cleanup = new AsyncDisposableStack();
  const directory = cleanup.use(await openDirectory(options.dataDirectory));
  const logs = { functions: `${directory.path}/functions.log`, gateway: `${directory.path}/gateway.log` };

  const keys = await readOrGenerateKeys(directory);
  options.onStep?.("the services outside, simulated");
  const parts = [
    startOutsideServices({ times: options, ports: options.ports ?? {}, keys }, directory, cleanup),
    openDatabase(options, directory, cleanup),
    startGateway(
      { ...options, port: options.ports?.gateway ?? 0, file: logs.gateway },
      logTo(logs.gateway),
      cleanup,
    ),
  ] as const;
  // When one fails, the others must be there to be cleaned up.
  await Promise.allSettled(parts);
  const [simulators, database, gateway] = await Promise.all(parts);
  const url = `http://127.0.0.1:${gateway.port}`;
  simulators.appStore.notify(`${url}/functions/v1/app-store-notifications`);
  simulators.appleId.notify(`${url}/functions/v1/apple-identity-notifications`);
  await gateway.say({
    kind: "configuration",
    configuration: {
      url,
      databaseUrl: database.url,
      objects: `${directory.path}/objects`,
      publishableKey: keys.publishableKey,
      secretKey: keys.secretKey,
      signingKey: keys.signingKey,
      storageSecret: keys.storageSecret,
      apple: { jwksUrl: simulators.appleId.jwksUrl, clientIds: [simulators.appleId.clientId] },
    },
  });

  options.onStep?.("the functions");
  const functions = cleanup.use(
    await startFunctions({
      environment: functionsEnvironment(url, keys, simulators, options.environment ?? {}),
      source: options.functionsSource ?? defaultFunctions(),
      authorities: await writeAuthorities(directory, simulators),
      log: logTo(logs.functions, options.log),
      onPort: (port) => gateway.say({ kind: "functions", port: port ?? null }),
      watch: options.watch ?? false,
    }),
  );
  const scheduler = cleanup.use(startScheduler({
    databaseUrl: database.url,
    url,
    workerKey: keys.workerKey,
    interval: options.tickMilliseconds ?? defaultTick,
    log: logTo(logs.functions, options.log),
  }));

  const running = cleanup.move();
  return {
    url,
    publishableKey: keys.publishableKey,
    secretKey: keys.secretKey,
    databaseUrl: database.url,
    jwks: jwksOf(keys),
    ports: {
      gateway: gateway.port,
      ...servicePorts(simulators),
      ...(database.port === undefined ? {} : { postgres: database.port }),
    },
    simulators,
    gateway,
    functions,
    database,
    tick: () => scheduler.tick(),
    logs,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Writes down whose certificates the simulated services have; gives the file. */
async function writeAuthorities({ path }: Directory, { apns }: OutsideServices): Promise<string> {
  const file = `${path}/authorities.pem`;
  await Deno.writeTextFile(file, apns.authority);
  return file;
}

/** Those of an earlier start; what it did not have yet is made now. */
async function readOrGenerateKeys({ path, kept }: Directory): Promise<Keys> {
  const file = `${path}/keys.json`;
  let earlier: Partial<Keys> = {};
  try {
    earlier = JSON.parse(await Deno.readTextFile(file));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const keys = { ...await generateKeys(), ...earlier };
  if (kept) await Deno.writeTextFile(file, JSON.stringify(keys, null, 2), { mode: 0o600 });
  return keys;
}

interface OpenDatabase {
  url: string;
  port: number | undefined;
  stop(): Promise<void>;
  kill(): Promise<void>;
  start(): Promise<void>;
}

/** The database of the options, or a new and migrated one. */
async function openDatabase(
  options: StackOptions,
  directory: Directory,
  cleanup: AsyncDisposableStack,
): Promise<OpenDatabase> {
  const refuse = () =>
    Promise.reject(new Error("Only a Postgres of the stack's own, with a data directory, can be stopped"));
  if (options.databaseUrl !== undefined) {
    return { url: options.databaseUrl, port: undefined, stop: refuse, kill: refuse, start: refuse };
  }

  const dataDirectory = `${directory.path}/postgres`;
  // One that may be stopped finds its port free when it starts again.
  const wanted = options.ports?.postgres ?? (directory.kept ? cleanup.use(holdPorts()).take() : undefined);
  const start = (): Promise<Postgres> =>
    startPostgres({
      ...(directory.kept ? { dataDirectory } : {}),
      ...(wanted === undefined ? {} : { port: wanted }),
    });
  options.onStep?.("Postgres");
  let postgres: Postgres | undefined = await start();
  cleanup.defer(async () => await postgres?.[Symbol.asyncDispose]());
  const { port, pid } = postgres;
  // A server of the developer's own may hold more than our data.
  const shared = pid === undefined && !directory.kept;
  const superuserUrl = shared ? cleanup.use(await createDatabase(postgres.url())).url : postgres.url();
  options.onStep?.("the database: what the platform gives, then the migrations");
  await preparePlatform(superuserUrl);
  await migrate(superuserUrl);
  const url = loginAs(owner, superuserUrl);
  if (!directory.kept || pid === undefined) return { url, port, stop: refuse, kill: refuse, start: refuse };
  async function stop(): Promise<void> {
    await postgres?.[Symbol.asyncDispose]();
    postgres = undefined;
  }
  return {
    url,
    port,
    stop,
    async kill() {
      if (postgres?.pid !== undefined) await killWithChildren(postgres.pid);
      await stop();
    },
    async start() {
      postgres ??= await start();
    },
  };
}

/** Appends to `file`, in the order of the calls, and tells `echo`. */
function logTo(file: string, echo?: Log): Log {
  return (text) => {
    Deno.writeTextFileSync(file, text, { append: true, mode: 0o600 });
    echo?.(text);
  };
}
