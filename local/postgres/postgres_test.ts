import assert from "node:assert/strict";
import { withConnection } from "./database.ts";
import { holdPorts } from "../ports.ts";
import { startPostgres } from "./postgres.ts";
import { killWithChildren, parentOf } from "../processes/process-table.ts";
import { exists, homeOf, select } from "../testing/servers.ts";

// These are about our own server, whatever the developer uses for the rest.
Deno.env.delete("DATABASE_URL");

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
    message: `Port ${server.port} of 127.0.0.1, for Postgres, is taken by another program`,
  });
  assert.equal(await select(server.url(), "1"), 1);
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
      {
        await using server = await startPostgres({ dataDirectory });
        assert.equal(await select(server.url(), "to_regclass('kept') is not null"), true);
      }
      // Its data was removed where it lies, and the link to it is left.
      await Deno.remove(kept, { recursive: true });
      await using server = await startPostgres({ dataDirectory });
      kept = await Deno.realPath(dataDirectory);
      assert.equal(await select(server.url(), "to_regclass('kept') is null"), true);
    } finally {
      for (const path of [closed, kept]) if (path !== undefined) await Deno.remove(path, { recursive: true });
    }
  },
});
