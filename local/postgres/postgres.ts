/**
 * A Postgres of our own, without Docker and without an installed one. It lives as long as its handle and never
 * outlives this process: a supervisor ends it when we are killed, and the next start ends what is left.
 */
import { createHash } from "node:crypto";
import { copyBinaries } from "./postgres-binaries.ts";
import { existingServer } from "./postgres-external.ts";
import { createServerHome, type ServerHome } from "./postgres-home.ts";
import { commandOf, parentOf } from "../processes/process-table.ts";
import { PortTakenError } from "../ports.ts";
import { spawnSupervised, type SupervisedProcess } from "../processes/supervised-process.ts";

export interface Postgres extends AsyncDisposable {
  readonly port: number;
  /** The server's process; undefined when the server is the one that DATABASE_URL names. */
  readonly pid: number | undefined;
  /** The URL of a database on this server; without a name, of the server's default database. */
  url(database?: string): string;
}

export interface PostgresOptions {
  /** Where the data is kept between starts. Without it the data is temporary, and no crash of the machine is survived. */
  dataDirectory?: string;
  /** A port that must be free; without it, any free one. */
  port?: number;
  /** How many connections it takes at once; without it, as many as Postgres by default, and of the hosted platform's order. */
  maxConnections?: number;
}

const defaultMaxConnections = 100;
/** Crash recovery replays at most max_wal_size (1 GB) of log; a start without it takes well under a second. */
const startDeadline = 60_000;
/** A fast shutdown writes a checkpoint; after this it is stuck, and the next step is to end it without one. */
const stopDeadline = 10_000;
/** Enough of the server's log, in characters, to hold the reason why it does not start. */
const keptLog = 10_000;
/** Between two looks at a file or a process: far below what a person notices. */
const pollInterval = 20;
/** Somebody else may take a free port between our choice and the server's bind; five in a row would be no accident. */
const portAttempts = 5;

/**
 * Starts Postgres on 127.0.0.1 and resolves when it accepts connections. Where DATABASE_URL is set, starts nothing and
 * gives that server instead, if it is new enough and its user a superuser.
 *
 * Rejects with a one-line reason when the data directory is in use, the port is taken, or the server does not start.
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  const external = Deno.env.get("DATABASE_URL");
  if (external !== undefined && external !== "") return await existingServer(external);

  for (let attempt = 1;; attempt++) {
    try {
      return await startServer(options, options.port ?? freePort());
    } catch (error) {
      const repeatable = error instanceof PortTakenError && options.port === undefined;
      if (!repeatable || attempt === portAttempts) throw error;
    }
  }
}

/**
 * By which a server is known among processes. Not its folder, since `ps` may print another name for a letter outside of
 * ASCII.
 */
function clusterName(cluster: string): string {
  return `kinora_${createHash("sha256").update(cluster).digest("hex").slice(0, 16)}`;
}

/** Without a locale macOS looks for one in another thread, and Postgres refuses to start in a process with two. */
const serverEnvironment = { LC_ALL: "C" };

/** Makes the database files, once. */
async function createCluster(home: ServerHome): Promise<void> {
  if (await exists(`${home.cluster}/PG_VERSION`)) return;
  // In a folder of another name until it is whole, so that a start killed half-way leaves no half cluster behind.
  const unfinished = `${home.cluster}.unfinished`;
  if (await exists(unfinished)) await Deno.remove(unfinished, { recursive: true });
  const { success, stdout, stderr } = await new Deno.Command(`${home.binaries}/bin/initdb`, {
    args: [
      `--pgdata=${unfinished}`,
      "--username=postgres",
      "--auth=scram-sha-256",
      `--pwfile=${home.passwordFile}`,
      // Postgres' own Unicode rules, so that sorting does not depend on the machine's locales.
      "--encoding=UTF8",
      "--locale=C",
      "--locale-provider=builtin",
      "--builtin-locale=C.UTF-8",
      ...(home.temporary ? ["--no-sync"] : []),
      "--set=timezone=UTC",
      "--set=log_timezone=UTC",
    ],
    ...home.account,
    cwd: "/",
    clearEnv: true,
    env: serverEnvironment,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  if (!success) {
    const decoder = new TextDecoder();
    throw new Error(`initdb failed: ${decoder.decode(stdout)}${decoder.decode(stderr)}`);
  }
  await Deno.rename(unfinished, home.cluster);
}

async function startServer(options: PostgresOptions, port: number): Promise<Postgres> {
  const { dataDirectory, maxConnections = defaultMaxConnections } = options;
  await using cleanup = new AsyncDisposableStack();
  const home = cleanup.use(await createServerHome(dataDirectory));
  await endServer(home.cluster);
  await copyBinaries(home);
  await createCluster(home);
  // A killed server leaves its file, in which it is ready.
  const before = await readPidFile(home.cluster);

  const settings = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    `port=${port}`,
    `max_connections=${maxConnections}`,
    `cluster_name=${clusterName(home.cluster)}`,
    ...(home.temporary ? ["fsync=off", "full_page_writes=off"] : []),
  ];
  let log = "";
  const server = spawnSupervised(
    `${home.binaries}/bin/postgres`,
    ["-D", home.cluster, ...settings.flatMap((setting) => ["-c", setting])],
    {
      signal: "INT",
      // Its own environment: PG* variables of ours would change what it does.
      env: { PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin", ...serverEnvironment },
      cwd: "/",
      account: home.account,
      onOutput: (text) => log = (log + text).slice(-keptLog),
      remove: home.temporary ? home.directory : undefined,
    },
  );
  cleanup.defer(async () => {
    await server.stop();
    // Nothing is left of it, unless somebody killed its supervisor.
    await endServer(home.cluster);
  });

  const pid = await untilReady(home.cluster, port, server, before);
  if (pid === undefined) {
    await server.stop();
    if (/could not bind .*: Address already in use/.test(log)) {
      throw new PortTakenError(port, "Postgres");
    }
    throw new Error(`Postgres did not start: ${log.trim()}`);
  }
  const running = cleanup.move();
  return {
    port,
    pid,
    url: (database = "postgres") => `postgresql://postgres:${home.password}@127.0.0.1:${port}/${database}`,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** The server's process once it accepts connections; undefined when it ends before, or the deadline passes. */
async function untilReady(
  cluster: string,
  port: number,
  server: SupervisedProcess,
  before: PidFile | undefined,
): Promise<number | undefined> {
  let ended = false;
  void server.status.then(() => ended = true);
  const deadline = Date.now() + startDeadline;
  while (!ended && Date.now() < deadline) {
    const written = await readPidFile(cluster);
    const isNew = written?.pid !== before?.pid || written?.startedAt !== before?.startedAt;
    if (written?.ready && written.port === port && isNew) return written.pid;
    await delay(pollInterval);
  }
  return undefined;
}

/** What Postgres writes into its data directory about itself. */
interface PidFile {
  readonly pid: number;
  /** Seconds since 1970. */
  readonly startedAt: number;
  readonly port: number;
  readonly ready: boolean;
}

async function readPidFile(cluster: string): Promise<PidFile | undefined> {
  let text: string;
  try {
    text = await Deno.readTextFile(`${cluster}/postmaster.pid`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  const lines = text.split("\n").map((line) => line.trim());
  return {
    pid: Number(lines[0]),
    startedAt: Number(lines[2]),
    port: Number(lines[3]),
    ready: lines[7] === "ready",
  };
}

/** Ends the server that runs on this cluster, if there is one, and resolves when it is gone. */
async function endServer(cluster: string): Promise<void> {
  const server = await readPidFile(cluster);
  if (server === undefined) return;
  const isRunning = () => commandOf(server.pid).includes(clusterName(cluster));
  if (!isRunning()) {
    // Another process may have the number by now, and Postgres would take it for a server.
    if (parentOf(server.pid) !== undefined) await Deno.remove(`${cluster}/postmaster.pid`);
    return;
  }
  for (const signal of ["SIGINT", "SIGQUIT", "SIGKILL"] as const) {
    try {
      Deno.kill(server.pid, signal);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    const deadline = Date.now() + stopDeadline;
    while (Date.now() < deadline) {
      if (!isRunning()) return;
      await delay(pollInterval);
    }
  }
  throw new Error(`The Postgres with process id ${server.pid} does not end`);
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
