/** The scheduler on this machine does what pg_cron and pg_net do on the hosted platform. */
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { startStack } from "../../local/stack.ts";
import { testDatabase } from "../database/harness.ts";
import { eventually } from "./eventually.ts";

Deno.test("a tick that finds tasks due calls the worker with its key; one that finds none does not", async () => {
  await using database = await testDatabase();
  await database.sql`create table public.due (tasks integer); insert into public.due values (0)`.simple();
  await database.sql`
    create or replace function queue.count_due() returns integer language sql set search_path = ''
    as 'select tasks from public.due'`.simple();

  const calls: { method: string; apikey: string | null; isWorker: boolean }[] = [];
  await using worker = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    calls.push(await request.json());
    return new Response();
  });
  const functions = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${functions}/process-jobs`);
    await Deno.writeTextFile(
      `${functions}/process-jobs/index.ts`,
      `export default { async fetch({ method, headers }) {
         const isWorker = headers.get("authorization") === "Bearer " + Deno.env.get("WORKER_KEY");
         const call = { method, apikey: headers.get("apikey"), isWorker };
         await (await fetch(Deno.env.get("WORKER"), { method: "POST", body: JSON.stringify(call) })).body?.cancel();
         return new Response(null, { status: 202 });
       } };`,
    );
    await using stack = await startStack({
      databaseUrl: database.url,
      functionsSource: { directory: pathToFileURL(`${functions}/`) },
      environment: { WORKER: `http://127.0.0.1:${worker.addr.port}` },
      tickMilliseconds: Infinity,
    });
    assert.equal(await stack.tick(), 0);
    assert.deepEqual(calls, []);
    await database.sql`update public.due set tasks = 3`;
    assert.equal(await stack.tick(), 3);
    assert.deepEqual(calls, [{ method: "POST", apikey: null, isWorker: true }]);
  } finally {
    await Deno.remove(functions, { recursive: true });
  }
});

Deno.test("the scheduler ticks by itself, also after a tick that failed", async () => {
  await using database = await testDatabase();
  await database.sql`create table public.ticks (id serial, broken boolean)`.simple();
  await database.sql`
    create or replace procedure core.tick() language plpgsql set search_path = '' as $$
    begin
      if (select count(*) from public.ticks) = 2 and not exists (select from public.ticks where broken) then
        raise exception 'broken once';
      end if;
      insert into public.ticks (broken) values (false);
    end $$`.simple();
  await using stack = await startStack({ databaseUrl: database.url, tickMilliseconds: 10 });
  const count = async () => (await database.sql`select count(*)::int as count from public.ticks`)[0]?.count;
  await eventually("it has ticked twice", async () => await count() >= 2 || undefined);
  await eventually("a tick has failed", async () => {
    const log = await Deno.readTextFile(stack.logs.functions).catch(() => "");
    return log.includes("broken once") || undefined;
  });
  await database.sql`insert into public.ticks (broken) values (true)`;
  await eventually("it ticks again", async () => await count() >= 5 || undefined);
});
