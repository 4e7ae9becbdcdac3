import { fileURLToPath } from "node:url";
import assert from "node:assert/strict";
import { withConnection } from "./database.ts";
import { holdPorts } from "../ports.ts";
import { startPostgres } from "./postgres.ts";
import { commandLine, killWithChildren, parentOf } from "../process.ts";
import { patience } from "../testing/patience.ts";

// These are about our own server, whatever the developer uses for the rest.
Deno.env.delete("DATABASE_URL");

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + patience;
  while (!await condition()) {
    assert.ok(Date.now() < end, `Not within ${patience} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** The folder of a running server, from what it was started with. */
function homeOf(pid: number): string {
  const cluster = commandLine(pid).find((argument) => argument.endsWith("/cluster"));
  assert.ok(cluster !== undefined);
  return cluster.slice(0, -"/cluster".length);
}

function select<T>(url: string, expression: string): Promise<T> {
  return withConnection(url, async (sql) => {
    const [row] = await sql.unsafe<{ value: T }[]>(`select ${expression} as value`);
    assert.ok(row !== undefined);
    return row.value;
  });
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

Deno.test("a stopped server leaves no process and no temporary data behind", async () => {
  let pid: number | undefined;
  let home: string;
  {
    await using server = await startPostgres();
    pid = server.pid;
    assert.ok(pid !== undefined);
    home = homeOf(pid);
    assert.ok(exists(home));
    assert.equal(await select(server.url(), "1"), 1);
  }
  assert.equal(parentOf(pid), undefined);
  assert.equal(exists(home), false);
});

Deno.test("two servers run at the same time, and both have pgTAP and pgcrypto", async () => {
  await using servers = new AsyncDisposableStack();
  const [one, other] = await Promise.all(
    [startPostgres(), startPostgres()].map(async (server) => servers.use(await server)),
  );
  assert.ok(one !== undefined && other !== undefined);
  assert.notEqual(one.port, other.port);
  for (const server of [one, other]) {
    await withConnection(
      server.url(),
      (sql) => sql`create extension pgtap; create extension pgcrypto`.simple(),
    );
  }
});

Deno.test("only this machine gets in, and only with the password", async () => {
  await using server = await startPostgres();
  assert.equal(await select(server.url(), "current_setting('listen_addresses')"), "127.0.0.1");
  const url = new URL(server.url());
  url.password = "guessed";
  await assert.rejects(select(url.href, "1"), /password authentication failed/);
});

Deno.test("data, password and a given port are kept between starts", async () => {
  const dataDirectory = await Deno.makeTempDir();
  await using _removal = { [Symbol.asyncDispose]: () => Deno.remove(dataDirectory, { recursive: true }) };
  using ports = holdPorts();
  const port = ports.take();
  let url: string;
  {
    await using server = await startPostgres({ dataDirectory, port });
    url = server.url();
    await withConnection(url, (sql) => sql`create table kept ()`);
    assert.equal(await select(url, "current_setting('fsync')"), "on");
  }
  await using server = await startPostgres({ dataDirectory, port });
  assert.equal(server.url(), url);
  assert.equal(await select(url, "to_regclass('kept') is not null"), true);
});

Deno.test("a server that was killed is waited for until it has recovered, with all that was committed", async () => {
  const dataDirectory = await Deno.makeTempDir();
  await using _removal = { [Symbol.asyncDispose]: () => Deno.remove(dataDirectory, { recursive: true }) };
  using ports = holdPorts();
  const port = ports.take();
  const killed = await startPostgres({ dataDirectory, port });
  assert.ok(killed.pid !== undefined);
  await withConnection(killed.url(), (sql) => sql`create table kept as select generate_series(1, 100000)`);
  await killWithChildren(killed.pid);
  await killed[Symbol.asyncDispose]();

  await using server = await startPostgres({ dataDirectory, port });
  assert.notEqual(server.pid, killed.pid);
  assert.equal(await select(server.url(), "(select count(*)::int from kept)"), 100_000);
});

Deno.test("a data directory in use is refused, and so is a taken port", async () => {
  const dataDirectory = await Deno.makeTempDir();
  await using _removal = { [Symbol.asyncDispose]: () => Deno.remove(dataDirectory, { recursive: true }) };
  await using server = await startPostgres({ dataDirectory });
  await assert.rejects(startPostgres({ dataDirectory }), /is in use by another process$/);
  await assert.rejects(startPostgres({ port: server.port }), {
    message: `Port ${server.port} of 127.0.0.1 is taken`,
  });
  assert.equal(await select(server.url(), "1"), 1);
});

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
  // The reader of the pipe would end the server; it is a child of the supervisor, with the same session.
  for (const pid of processesOfSession(supervisor)) {
    if (commandLine(pid)[0] !== commandLine(owner.pid)[0] && !commandLine(pid)[0]?.startsWith("postgres:")) {
      Deno.kill(pid, "SIGKILL");
    }
  }
  owner.process.kill("SIGKILL");
  await owner.process.status;
  assert.ok(parentOf(owner.pid) !== undefined);

  await using server = await startPostgres({ dataDirectory });
  assert.equal(parentOf(owner.pid), undefined);
  assert.equal(await select(server.url(), "to_regclass('kept') is not null"), true);
});

Deno.test("a pid file that names another process by now is no obstacle, and that process lives on", async () => {
  const dataDirectory = await Deno.makeTempDir();
  await using _removal = { [Symbol.asyncDispose]: () => Deno.remove(dataDirectory, { recursive: true }) };
  await (await startPostgres({ dataDirectory }))[Symbol.asyncDispose]();
  // As after a crash of the machine: numbers begin anew, and an account's processes get each other's.
  await Deno.writeTextFile(
    `${dataDirectory}/cluster/postmaster.pid`,
    `${Deno.pid}\n${dataDirectory}/cluster\n1\n1\n`,
  );
  await using server = await startPostgres({ dataDirectory });
  assert.equal(await select(server.url(), "1"), 1);
});

function processesOfSession(session: number): number[] {
  const pids = [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter(Number.isInteger);
  return pids.filter((pid) => {
    try {
      const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
      return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[3]) === session;
    } catch {
      return false;
    }
  });
}

Deno.test({
  name: "root's data directory may stand below a folder that only root may enter",
  ignore: Deno.uid() !== 0,
  async fn() {
    const closed = await Deno.makeTempDir();
    const dataDirectory = `${closed}/data`;
    let kept: string | undefined;
    try {
      {
        await using server = await startPostgres({ dataDirectory });
        kept = await Deno.realPath(dataDirectory);
        await withConnection(server.url(), (sql) => sql`create table kept ()`);
      }
      await using server = await startPostgres({ dataDirectory });
      assert.equal(await select(server.url(), "to_regclass('kept') is not null"), true);
    } finally {
      for (const path of [closed, kept]) if (path !== undefined) await Deno.remove(path, { recursive: true });
    }
  },
});
