/** What becomes of a server when the process that started it ends, or is ended. */
import { fileURLToPath } from "node:url";
import assert from "node:assert/strict";
import { withConnection } from "./database.ts";
import { startPostgres } from "./postgres.ts";
import { parentOf, processes } from "../processes/process-table.ts";
import { patience } from "../testing/patience.ts";
import { exists, homeOf, select } from "../testing/servers.ts";

// These are about our own server, whatever the developer uses for the rest.
Deno.env.delete("DATABASE_URL");

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + patience;
  while (!await condition()) {
    assert.ok(Date.now() < end, `Not within ${patience} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

interface Owner extends AsyncDisposable {
  process: Deno.ChildProcess;
  pid: number;
  url: string;
}

/** Starts another process that owns a Postgres. `program` and `args` must lead to own-postgres.ts. */
async function startOwner(program: string[], dataDirectory?: string): Promise<Owner> {
  const [command = "", ...args] = program;
  const process = new Deno.Command(command, {
    args: dataDirectory === undefined ? args : [...args, dataDirectory],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let line = "";
  while (!line.includes("\n")) {
    const { value, done } = await reader.read();
    assert.ok(!done, "The owner ended before its server was up");
    line += value;
  }
  await reader.cancel();
  const { pid, url } = JSON.parse(line);
  return {
    process,
    pid,
    url,
    async [Symbol.asyncDispose]() {
      try {
        process.kill("SIGKILL");
      } catch {
        // It has ended, which most tests are about.
      }
      await process.status;
      await until("the server ends", () => parentOf(pid) === undefined);
    },
  };
}

const own = [
  Deno.execPath(),
  "run",
  "-A",
  fileURLToPath(new URL("../testing/own-postgres.ts", import.meta.url)),
];

Deno.test("SIGKILL of its owner ends a server and removes its temporary data", async () => {
  await using owner = await startOwner(own);
  const home = homeOf(owner.pid);
  owner.process.kill("SIGKILL");
  await until("the server ends", () => parentOf(owner.pid) === undefined);
  await until("its data goes", () => !exists(home));
});

for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
  Deno.test(`on ${signal} an owner stops its server and exits with ${code}`, async () => {
    await using owner = await startOwner(own);
    owner.process.kill(signal);
    assert.equal((await owner.process.status).code, code);
    assert.equal(parentOf(owner.pid), undefined);
  });
}

Deno.test("a signal that comes twice, as Ctrl-C does below a task runner, lets the cleanup finish", async () => {
  await using owner = await startOwner(own);
  const home = homeOf(owner.pid);
  owner.process.kill("SIGINT");
  owner.process.kill("SIGTERM");
  const { code } = await owner.process.status;
  assert.ok(code === 130 || code === 143);
  assert.equal(parentOf(owner.pid), undefined);
  assert.equal(exists(home), false);
});

Deno.test("an owner ends when the command that launched it is killed", async () => {
  // As npx does, it starts the owner and tells it nothing when it is killed itself.
  const launcher = `
    const child = new Deno.Command(Deno.args[0], { args: Deno.args.slice(1), stdin: "null" }).spawn();
    await child.status;
  `;
  const program = await Deno.makeTempFile({ suffix: ".ts" });
  await using _removal = { [Symbol.asyncDispose]: () => Deno.remove(program) };
  await Deno.writeTextFile(program, launcher);
  await using owner = await startOwner([Deno.execPath(), "run", "-A", "--no-config", program, ...own]);
  owner.process.kill("SIGKILL");
  await until("the server ends", () => parentOf(owner.pid) === undefined);
});

Deno.test("the next start ends a server that lost its supervisor too", async () => {
  const dataDirectory = await Deno.makeTempDir();
  await using _removal = { [Symbol.asyncDispose]: () => Deno.remove(dataDirectory, { recursive: true }) };
  await using owner = await startOwner(own, dataDirectory);
  await withConnection(owner.url, (sql) => sql`create table kept ()`);
  const supervisor = parentOf(owner.pid);
  assert.ok(supervisor !== undefined);
  // The reader of the pipe would end the server; it is a child of the supervisor, in the same group.
  for (const [pid, { group, command }] of processes()) {
    if (group === supervisor && /^\S*sh -c /.test(command)) Deno.kill(pid, "SIGKILL");
  }
  owner.process.kill("SIGKILL");
  await owner.process.status;
  assert.ok(parentOf(owner.pid) !== undefined);

  await using server = await startPostgres({ dataDirectory });
  assert.equal(parentOf(owner.pid), undefined);
  assert.equal(await select(server.url(), "to_regclass('kept') is not null"), true);
});
