/**
 * A child process that never outlives us, not even when we are killed.
 */

export interface SupervisedProcess {
  /** Resolves when the process has ended, by itself or by `stop`. */
  readonly status: Promise<Deno.CommandStatus>;
  /** Asks it to end, and resolves when it has. May be repeated. */
  stop(): Promise<void>;
}

export interface SupervisedOptions {
  /** What asks it to end. */
  signal: "INT" | "TERM";
  /** Replaces the environment. */
  env?: Record<string, string>;
  cwd?: string;
  /** The account it runs under; undefined for our own. */
  account?: { uid: number; gid: number } | undefined;
  /** Gets what it prints, as it comes; without it, the output is ours. */
  onOutput?: (text: string) => void;
  /** A folder that goes when the process has ended. */
  remove?: string | undefined;
}

/**
 * Runs a command in a session of its own, so that Ctrl-C reaches us alone and we decide what ends when. A shell beside it
 * waits for its standard input, a pipe that we hold, to close. That happens when we stop the process and when we end,
 * however we end, so there is one way down.
 */
export function spawnSupervised(
  program: string,
  args: string[],
  options: SupervisedOptions,
): SupervisedProcess {
  const { onOutput } = options;
  const child = new Deno.Command("sh", {
    args: ["-c", script, "sh", options.signal, options.remove ?? "", program, ...args],
    ...options.account,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: options.env, clearEnv: true }),
    detached: true,
    stdin: "piped",
    stdout: onOutput === undefined ? "inherit" : "piped",
    stderr: onOutput === undefined ? "inherit" : "piped",
  }).spawn();
  const ended = onOutput === undefined
    ? child.status
    : Promise.all([child.status, read(child.stdout, onOutput), read(child.stderr, onOutput)])
      .then(([status]) => status);
  let stopping: Promise<void> | undefined;
  return {
    status: ended,
    stop() {
      stopping ??= child.stdin.close().then(() => ended).then(() => {});
      return stopping;
    },
  };
}

async function read(output: ReadableStream<Uint8Array>, onOutput: (text: string) => void): Promise<void> {
  for await (const text of output.pipeThrough(new TextDecoderStream())) onOutput(text);
}

/**
 * In the background, where both must run, sh gives a process /dev/null for its standard input; file descriptor 3 keeps
 * ours. Each process is waited for here, because not every container has an init that would.
 */
const script = `
exec 3<&0
signal=$1 remove=$2
shift 2
"$@" 3<&- &
child=$!
{ read -r _ <&3; kill -s "$signal" "$child"; } >/dev/null 2>&1 &
reader=$!
{ wait "$child"; } 2>/dev/null
status=$?
{ kill "$reader"; wait "$reader"; } 2>/dev/null
if [ -n "$remove" ]; then rm -rf "$remove"; fi
exit "$status"
`;
