/**
 * Parts of the stack that run in processes of their own: a gateway whose library writes to standard error, functions that
 * a test may kill. They speak JSON lines: the parent's on standard input, and one with its port on standard output.
 */

/** Where a child's output goes. */
export type Log = (text: string) => void;

export interface Child {
  /** The port of 127.0.0.1 on which it listens. */
  readonly port: number;
  readonly pid: number;
  readonly exited: Promise<Deno.CommandStatus>;
  /** Sends a message to the child, which reads it with `messages`. */
  send(message: unknown): Promise<void>;
  /** Asks it to end and waits for that; it has `grace` milliseconds before it is killed. */
  stop(grace: number): Promise<void>;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
}

export interface ChildOptions {
  /** A file of this folder. */
  script: string;
  /** Flags of `deno run`. */
  permissions: string[];
  /** Added to the environment that the child inherits. */
  environment?: Record<string, string>;
  log: Log;
}

/** Starts a Deno program; resolves when it has told its port, rejects when it ends before. */
export async function startChild(
  { script, permissions, environment = {}, log }: ChildOptions,
): Promise<Child> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", ...permissions, new URL(script, import.meta.url).pathname],
    env: environment,
    // A session of its own: Ctrl-C reaches us alone, and we decide what ends when.
    detached: true,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const input = child.stdin.getWriter();

  /** Resolves when a stream has ended; its text goes to the log, but for the line that tells the port. */
  let tellPort: (port: number) => void;
  const port = new Promise<number>((resolve) => tellPort = resolve);
  async function read(stream: ReadableStream<Uint8Array>): Promise<void> {
    let start = "";
    let told = stream !== child.stdout;
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      if (told) {
        log(text);
        continue;
      }
      start += text;
      const end = start.indexOf("\n");
      if (end === -1) continue;
      tellPort(Number(start.slice(0, end)));
      told = true;
      if (end + 1 < start.length) log(start.slice(end + 1));
    }
  }
  const output = Promise.all([read(child.stdout), read(child.stderr)]);
  // Whoever waits for the end has the last words in the log.
  const exited = child.status.then(async (status) => {
    await output;
    return status;
  });

  function signal(name: Deno.Signal): void {
    try {
      child.kill(name);
    } catch (error) {
      // It has ended already.
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  const first = await Promise.race([port, exited]);
  if (typeof first !== "number") {
    throw new Error(`${script} ended with code ${first.code} before it listened`);
  }
  return {
    port: first,
    pid: child.pid,
    exited,
    async send(message) {
      await input.write(new TextEncoder().encode(`${JSON.stringify(message)}\n`));
    },
    async stop(grace) {
      const killer = setTimeout(() => signal("SIGKILL"), grace);
      signal("SIGTERM");
      await exited;
      clearTimeout(killer);
      await input.close().catch(() => {});
    },
    async kill() {
      signal("SIGKILL");
      await exited;
      await input.close().catch(() => {});
    },
  };
}

/** In a child: tells the parent the port it listens on. */
export function reportPort(port: number): void {
  console.log(port);
}

/** In a child: the messages of the parent, until it has ended, however it ended. A child then has nothing left to do. */
export async function* messages<Message>(): AsyncGenerator<Message> {
  let rest = "";
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line);
  }
}
