/**
 * People, secrets and prompts are in no log, whatever is sent and whatever fails: each canary goes through every endpoint (in
 * the quick tests, through a twelfth of them), in every place of a request, while the services outside babble, procedures break and the database is away; then all that was
 * written is searched.
 */
import assert from "node:assert/strict";
import postgres from "postgres";
import { withConnection } from "../../local/postgres/database.ts";
import { type Stack, startStack } from "../../local/stack.ts";
import { advanceClock, makeClockSettable } from "../../local/testing/settable-clock.ts";
import { defaults } from "../../supabase/functions/_shared/platform/config.ts";
import { allOperations } from "../operations.ts";
import { runs } from "../runs.ts";
import { eventually } from "./eventually.ts";
import { startBabblingService } from "./support/babbling-service.ts";
import { canaries, leaksIn } from "./support/canaries.ts";
import { kling } from "./support/videos.ts";
import { signIn } from "./support/backend.ts";
import { bringPictures } from "./support/canary-pictures.ts";
import { callersOf, requestsWith } from "./support/canary-requests.ts";

/** Makes every procedure that the functions call fail, with all that it was given in the error; gives what mends them. */
async function breakProcedures(sql: postgres.Sql): Promise<() => Promise<void>> {
  const procedures = await sql<
    { name: string; parameters: string; names: string | null; result: string; definition: string }[]
  >`
    select p.proname as name, pg_get_function_arguments(p.oid) as parameters,
      pg_get_function_result(p.oid) as result,
      array_to_string(p.proargnames[1:p.pronargs], ', ') as names, pg_get_functiondef(p.oid) as definition
    from pg_proc as p
    where p.pronamespace = 'api'::regnamespace and has_function_privilege('service_role', p.oid, 'execute')
      and p.proname <> 'record_error'`;
  assert(procedures.length > 0);
  for (const { name, parameters, names, result } of procedures) {
    // In the words of Postgres, where it is given text in place of something else.
    await sql.unsafe(`
      create or replace function api.${name}(${parameters}) returns ${result}
      language plpgsql volatile security definer set search_path = '' as $$
      begin
        raise exception using errcode = 'invalid_text_representation',
          message = format('invalid input syntax for type uuid: "%s"', row(${names ?? ""})::text),
          detail = row(${names ?? ""})::text, hint = row(${names ?? ""})::text;
      end $$`);
  }
  return async () => {
    for (const { definition } of procedures) await sql.unsafe(definition);
  };
}

/** Works until every job has ended, and what is left of their tasks has been tried. */
async function work(stack: Stack, sql: postgres.Sql): Promise<void> {
  // The bounds of a job are 15 minutes each.
  for (let minutes = 0; minutes < 32; minutes += 1) {
    await stack.tick();
    await eventually("the workers have done what they took", async () => {
      const [row] = await sql<{ done: boolean }[]>`
        select not exists (
          select from queue.tasks as t
          where t.leased_until > core.now() or (t.run_at <= core.now() and t.failed_at is null)
        ) as done`;
      if (row?.done) return true;
      await stack.tick();
      return undefined;
    });
    const [jobs] = await sql<{ running: number }[]>`
      select count(*)::int as running from videos.jobs where completed_at is null`;
    if (jobs?.running === 0) return;
    await advanceClock(sql, 60_000);
  }
}

Deno.test("no canary is in any log, whatever is sent and whatever fails", async (test) => {
  const dataDirectory = await Deno.makeTempDir();
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => Deno.remove(dataDirectory, { recursive: true }));
  // Postgres runs under an account of its own where we are root, and must get in.
  await Deno.chmod(dataDirectory, 0o711);
  const outside = cleanup.use(startBabblingService());
  const services = Object.keys(defaults).filter((name) => name.endsWith("_URL"));
  const stack = cleanup.use(
    await startStack({
      dataDirectory,
      tickMilliseconds: Infinity,
      environment: {
        ...Object.fromEntries(services.map((name) => [name, outside.url])),
        FAL_RESULT_HOSTS: outside.host,
        LOG_LEVEL: "debug",
      },
    }),
  );
  let sql = connect();
  cleanup.defer(() => sql.end());
  function connect(): postgres.Sql {
    return postgres(stack.databaseUrl, { max: 4, onnotice: () => {} });
  }
  async function restartDatabase(whileAway?: () => Promise<void>): Promise<void> {
    await sql.end();
    await stack.database.stop();
    await whileAway?.();
    await stack.database.start();
    sql = connect();
  }

  // The server's log, as the platform keeps one.
  const superuserUrl = new URL(stack.databaseUrl);
  superuserUrl.username = "postgres";
  await withConnection(superuserUrl.href, (sql) => sql`alter system set logging_collector = on`);
  await restartDatabase();
  await makeClockSettable(sql);
  // Every request is to go all its way.
  await sql`update guard.policies set max_hits = 300, window_seconds = 1`;
  await sql`update videos.providers set failures_to_open = 1000000, max_in_flight = 1000000, daily_cap_cents = null`;
  await sql`
    insert into videos.model_providers (model_id, preference, provider, provider_model, cost_cents)
    values (${kling}, 2, 'replicate', 'kwaivgi/kling-v2.5-turbo-pro', 1), (${kling}, 3, 'runway', 'gen4.5', 1)
    on conflict do nothing`;
  const { signingKey } = JSON.parse(await Deno.readTextFile(`${dataDirectory}/keys.json`));
  const callers = await callersOf(stack, sql, signingKey);
  // There are more canaries than this, so that each endpoint has one.
  const share = runs(12, 1);
  const send = async () => {
    for (const [place, operation] of allOperations.entries()) {
      for (const [index, canary] of canaries.entries()) {
        if ((place + index) % share !== 0) continue;
        await Promise.all(
          requestsWith(canary, operation).map(async ({ path, method, headers, body }) => {
            const answer = await fetch(`${stack.url}/functions/v1/${path}`, {
              method,
              headers: { ...callers.get(operation), ...headers },
              ...(body === undefined ? {} : { body }),
            });
            await answer.body?.cancel();
          }),
        );
      }
    }
  };
  const [model] = await sql<
    { id: string }[]
  >`select m.id from videos.models as m where m.requires_image limit 1`;
  const { id: photographer, token } = await signIn(stack);
  await sql`select credits.add_credits(${photographer}, 1000000, 'for a test')`;
  const tokens: string[] = [];
  const bring = async () => {
    const headers = { apikey: stack.publishableKey, authorization: `Bearer ${token}` };
    await stack.simulators.web.control.rules({
      effect: "redirect",
      location: "https://b.example.net/x",
      times: 1,
    });
    for (const [index, canary] of canaries.entries()) {
      if (index % runs(3, 1) !== 0) continue;
      tokens.push(...await bringPictures(stack, headers, canary, model?.id ?? ""));
    }
  };
  const postgresLog = async () => {
    const [row] = await sql<
      { folder: string }[]
    >`select current_setting('data_directory') || '/log' as folder`;
    const texts: string[] = [];
    for await (const { name } of Deno.readDir(row?.folder ?? "")) {
      texts.push(await Deno.readTextFile(`${row?.folder}/${name}`));
    }
    return texts.join("\n");
  };
  const written: Record<string, string> = {};

  await test.step("the services outside babble", async () => {
    await send();
    await bring();
    await work(stack, sql);
    assert(outside.answered() > 100 / share, "the services outside were asked");
    written["Postgres' log"] = await postgresLog();
  });

  await test.step("procedures break, and quote what they were given", async () => {
    // Postgres itself tells what we have it raise, so its log is not searched from here on.
    const mend = await breakProcedures(sql);
    await send();
    await bring();
    await mend();
  });

  await test.step("the database is away", () => restartDatabase(send));

  await test.step("none of it is written anywhere", async () => {
    written["the functions' log"] = await Deno.readTextFile(stack.logs.functions);
    const tables = await sql<{ name: string; text: string }[]>`
      select 'ops.error_log' as name, coalesce(string_agg(e::text, E'\n'), '') as text from ops.error_log as e
      union all
      select 'outcomes of keys', coalesce(string_agg(k.outcome::text, E'\n'), '') from guard.idempotency_keys as k
      union all
      select 'causes of submissions', coalesce(string_agg(s.cause, E'\n'), '') from videos.submissions as s`;
    for (const { name, text } of tables) {
      assert(text.length > 0, name);
      written[name] = text;
    }

    const leaks = Object.entries(written).flatMap(([where, text]) =>
      leaksIn(text).map((leak) => ({ where, ...leak }))
    );
    assert.deepEqual(leaks, []);
    assert(tokens.length > 5, "pictures were brought");
    for (const [where, text] of Object.entries(written)) {
      for (const token of tokens) assert(!text.includes(token), `${where} has the token of an upload's URL`);
      const url = /\/object\/(?:upload\/)?sign\/[^\s"]*token=(?!\[redacted\])[^\s"]{10}/.exec(text);
      assert.equal(url, null, `${where} has a signed URL: ${url?.[0]}`);
    }

    // What was searched is what was written.
    const log = written["the functions' log"];
    for (const { name } of allOperations) assert(log.includes(`"endpoint":"${name}"`), name);
    for (const event of ["submission", "device_check", "background_work_failed", "request", "image"]) {
      assert(log.includes(`"event":"${event}"`), event);
    }
    const planted = `${log}${canaries.map(({ value }) => value).join(" ")}`;
    assert.equal(leaksIn(planted).length, canaries.length);
  });
});
