/**
 * Parts of the stack that run in processes of their own: a gateway whose library writes to standard error, functions that
 * a test may kill. They speak in lines: the parent's messages on standard input, in JSON; on standard output the child's port,
 * and a sign for each message that it has dealt with.
 */
import { fileURLToPath } from "node:url";

/** ASCII's own sign for it, which no log line is. */
const acknowledgement = "\x06";

/** Where a child's output goes. */
export type Log = (text: string) => void;

export interface Child {
  /** The port of 127.0.0.1 on which it listens. */
  readonly port: number;
  readonly pid: number;
  readonly exited: Promise<Deno.CommandStatus>;
  /** Sends a message to the child, which reads it with `messages`; resolves when it has dealt with it, or has ended. */
  send(message: unknown): Promise<void>;
  /** Asks it to end and waits for that; it has `grace` milliseconds before it is killed. */
  stop(grace: number): Promise<void>;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
}

export interface ChildOptions {
  script: URL;
  /** Flags of `deno run`. */
  permissions: string[];
  /** The path of another Deno than ours. */
  deno?: string | undefined;
  /** Added to the environment that the child inherits. */
  environment?: Record<string, string>;
  log: Log;
}

/** Another Deno cannot read our lock file, nor all of our configuration; programs that run on it import no package. */
const standalone = ["--no-config", "--no-lock", "--node-modules-dir=none", "--no-check"];

/** Starts a Deno program; resolves when it has told its port, rejects when it ends before. */
export async function startChild(
  { script, permissions, deno, environment = {}, log }: ChildOptions,
): Promise<Child> {
  const child = new Deno.Command(deno ?? Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      ...(deno === undefined ? [] : standalone),
      ...permissions,
      fileURLToPath(script),
    ],
    env: environment,
    // A session of its own: Ctrl-C reaches us alone, and we decide what ends when.
    detached: true,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const input = child.stdin.getWriter();

  const port = Promise.withResolvers<number>();
  const unacknowledged: (() => void)[] = [];
  /** What a child says on standard output; what is neither its port, in the first line, nor a sign goes to the log. */
  async function readAnswers(): Promise<void> {
    let rest = "";
    let told = false;
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line === acknowledgement) unacknowledged.shift()?.();
        else if (told) log(`${line}\n`);
        else port.resolve(Number(line));
        told = true;
      }
    }
    if (rest !== "") log(rest);
  }
  async function readErrors(): Promise<void> {
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) log(text);
  }
  const output = Promise.all([readAnswers(), readErrors()]);
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

  const first = await Promise.race([port.promise, exited]);
  if (typeof first !== "number") {
    throw new Error(`${fileURLToPath(script)} ended with code ${first.code} before it listened`);
  }
  return {
    port: first,
    pid: child.pid,
    exited,
    async send(message) {
      const dealtWith = new Promise<void>((resolve) => unacknowledged.push(resolve));
      const written = input.write(new TextEncoder().encode(`${JSON.stringify(message)}\n`));
      // What cannot be written has nobody to read it any more.
      await Promise.race([written.then(() => dealtWith, () => exited), exited]);
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
    for (const line of lines) {
      yield JSON.parse(line);
      console.log(acknowledgement);
    }
  }
}
