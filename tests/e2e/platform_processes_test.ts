/** `deno task dev` and `deno task status`, as a developer meets them, and what is left of them afterwards: nothing. */
import { fileURLToPath } from "node:url";
import assert from "node:assert/strict";
import { type HeldPorts, holdPorts, isFree } from "../../local/ports.ts";
import { commandOf, parentOf, processes } from "../../local/processes/process-table.ts";
import { takePorts } from "../../local/stack.ts";
import { patience } from "../../local/testing/patience.ts";
import { cases, runs } from "../runs.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** The folder that the tests' stack keeps its data in; root's Postgres, under its own account, must get in. */
let directory: string;
/** Those of its parts, which nobody else shall get between two starts. */
let ports: HeldPorts;

Deno.test.beforeAll(async () => {
  directory = await makeDirectory();
  ports = holdPorts();
  await Deno.writeTextFile(`${directory}/ports.json`, JSON.stringify(takePorts(ports)));
});

Deno.test.afterAll(async () => {
  ports[Symbol.dispose]();
  await Deno.remove(directory, { recursive: true });
});

async function makeDirectory(): Promise<string> {
  const path = await Deno.makeTempDir();
  await Deno.chmod(path, 0o711);
  return path;
}

function command(script: string, data: string) {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-all", `${root}local/${script}`, "--data", data],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

async function output(script: string, data = directory) {
  const { code, stdout, stderr } = await command(script, data).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Starts `dev`; resolves when it has printed its first curl. */
async function startDev(data = directory) {
  const child = command("dev.ts", data).spawn();
  let text = "";
  const { promise: welcomed, resolve: welcome } = Promise.withResolvers<void>();
  async function read(stream: ReadableStream<Uint8Array>) {
    for await (const part of stream.pipeThrough(new TextDecoderStream())) {
      text += part;
      if (/TOKEN"\n/.test(text)) welcome();
    }
  }
  const output = Promise.all([read(child.stdout), read(child.stderr)]);
  await Promise.race([welcomed, output]);
  assert.match(text, /TOKEN"\n/);
  return {
    text,
    pid: child.pid,
    async end(signal: Deno.Signal) {
      child.kill(signal);
      const status = await child.status;
      await output;
      return status;
    },
  };
}

/** Every process that `pid` has started, itself or through others. */
function descendants(pid: number): number[] {
  const all = processes();
  const found = new Set([pid]);
  for (let before = 0; before !== found.size;) {
    before = found.size;
    for (const [number, { parent }] of all) if (found.has(parent)) found.add(number);
  }
  return [...found].filter((number) => number !== pid);
}

async function gone(pids: number[]): Promise<void> {
  const alive = () => pids.filter((pid) => parentOf(pid) !== undefined);
  const deadline = Date.now() + patience;
  while (alive().length > 0) {
    if (Date.now() > deadline) {
      assert.fail(`still there: ${alive().map((pid) => commandOf(pid)).join("; ")}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function status(data = directory) {
  const { code, stdout } = await output("status.ts", data);
  assert.equal(code, 0);
  return JSON.parse(stdout);
}

Deno.test("status without a running stack is one line and exit code 1", async () => {
  const { code, stdout, stderr } = await output("status.ts");
  assert.equal(code, 1);
  assert.equal(stdout, "");
  assert.equal(stderr, "No stack is running. `deno task dev` starts one.\n");
});

for (
  const [signal, code] of cases(
    2,
    [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129], ["SIGKILL", 137]] as const,
  )
) {
  Deno.test(`${signal} to dev leaves no process behind`, async () => {
    const dev = await startDev();
    const started = descendants(dev.pid);
    // Postgres with its supervisor, the gateway and the functions.
    assert(started.length >= 4, `${started.length} processes`);
    assert.equal((await dev.end(signal)).code, code);
    await gone(started);
    assert.equal((await output("status.ts")).code, 1);
  });
}

Deno.test("the first calls that dev prints work, status tells the same, and a second dev disturbs nothing", async (t) => {
  const dev = await startDev();
  const { API_URL, PUBLISHABLE_KEY, SECRET_KEY, DB_URL, FAL_URL, DEVICE_CHECK_URL, JWKS } = await status();
  await t.step("status tells what dev prints", () => {
    for (const part of [API_URL, PUBLISHABLE_KEY, SECRET_KEY, DB_URL, FAL_URL, DEVICE_CHECK_URL]) {
      assert(dev.text.includes(part), `${part} is not in what dev prints`);
    }
    assert.equal(JWKS.keys[0].alg, "ES256");
  });
  await t.step("the first calls work", async () => {
    const { stdout, success } = await new Deno.Command("sh", {
      args: ["-c", dev.text.slice(dev.text.indexOf("TOKEN="))],
      stderr: "null",
    }).output();
    assert(success);
    assert.equal(JSON.parse(new TextDecoder().decode(stdout)).models.length > 0, true);
  });
  await t.step("a second dev on the same folder says that one runs, and disturbs it in nothing", async () => {
    const { code, stderr } = await output("dev.ts");
    assert.equal(code, 1);
    assert.match(stderr, /running already/);
    assert.equal((await status()).API_URL, API_URL);
    const health = await fetch(`${API_URL}/functions/v1/health`);
    assert.equal(health.status, 200);
    await health.body?.cancel();
  });
  await dev.end("SIGTERM");
});

Deno.test("data, keys and ports are the same after a restart, also after a kill", async () => {
  const before = await startDev();
  const first = await status();
  const signup = await fetch(`${first.API_URL}/auth/v1/signup`, {
    method: "POST",
    headers: { apikey: first.PUBLISHABLE_KEY },
    body: "{}",
  });
  const { access_token } = await signup.json();
  await before.end("SIGKILL");

  const after = await startDev();
  assert.deepEqual(await status(), first);
  const user = await fetch(`${first.API_URL}/auth/v1/user`, {
    headers: { apikey: first.PUBLISHABLE_KEY, authorization: `Bearer ${access_token}` },
  });
  assert.equal(user.status, 200);
  await user.body?.cancel();
  await after.end("SIGTERM");
});

Deno.test("a first start where somebody has the usual port chooses others, and writes them down", async () => {
  const data = await makeDirectory();
  await using _removal = { [Symbol.asyncDispose]: () => Deno.remove(data, { recursive: true }) };
  using _somebody = isFree(54321) ? Deno.listen({ hostname: "127.0.0.1", port: 54321 }) : null;
  const dev = await startDev(data);
  const { API_URL, DB_URL } = await status(data);
  await dev.end("SIGTERM");
  const written: Record<string, number> = JSON.parse(await Deno.readTextFile(`${data}/ports.json`));
  assert.equal(Object.keys(written).length, 14);
  assert.equal(written["gateway"], Number(new URL(API_URL).port));
  assert.equal(written["postgres"], Number(new URL(DB_URL).port));
  for (const port of Object.values(written)) assert(port < 32_768, `the system may give ${port} to anybody`);
});

// A port is waited for, since a stack that was killed lets go of it late.
const waits = { ignore: runs(0, 1) === 0 };

Deno.test("a port that another program has is named, with the file that says another", waits, async () => {
  const { gateway } = JSON.parse(await Deno.readTextFile(`${directory}/ports.json`));
  using _somebody = Deno.listen({ hostname: "127.0.0.1", port: gateway });
  const { code, stderr } = await output("dev.ts");
  assert.equal(code, 1);
  assert.equal(
    stderr,
    `Port ${gateway} of 127.0.0.1, for the gateway, is taken by another program. ` +
      `End that program, or write another port into ${directory}/ports.json.\n`,
  );
});
