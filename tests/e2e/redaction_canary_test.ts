/**
 * People, secrets and prompts are in no log, whatever is sent and whatever fails: each canary goes through every endpoint (in
 * the quick tests, through an eighth of them), in every place of a request, while the services outside babble, procedures break and the database is away; then all that was
 * written is searched.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeJwt, importJWK, SignJWT } from "jose";
import postgres from "postgres";
import * as z from "zod/mini";
import { withConnection } from "../../local/postgres/database.ts";
import { type Stack, startStack } from "../../local/stack.ts";
import { advanceClock, makeClockSettable } from "../../local/testing/settable-clock.ts";
import { defaults } from "../../supabase/functions/_shared/platform/config.ts";
import type { Endpoint } from "../../supabase/functions/_shared/endpoint/endpoint.ts";
import type { Declaration } from "../../supabase/functions/_shared/endpoint/operation.ts";
import { runs } from "../runs.ts";
import { eventually } from "./eventually.ts";
import { startBabblingService } from "./support/babbling-service.ts";
import { signIn } from "./support/backend.ts";
import { canaries, type Canary, leaksIn } from "./support/canaries.ts";
import { arbitraryOf } from "./support/json-schema-arbitrary.ts";
import { kling } from "./support/videos.ts";

interface Operation extends Declaration {
  readonly endpoint: string;
}

const functions = new URL("../../supabase/functions/", import.meta.url);

async function findOperations(): Promise<Operation[]> {
  const found: Operation[] = [];
  for await (const { name, isDirectory } of Deno.readDir(functions)) {
    if (!isDirectory || name.startsWith("_")) continue;
    const { default: { operations } }: { default: Endpoint } = await import(
      new URL(`${name}/index.ts`, functions).href
    );
    found.push(...operations.map((operation) => ({ ...operation, endpoint: name })));
  }
  return found;
}

interface Sent {
  path: string;
  method: string;
  headers: Record<string, string>;
  body?: string;
}

/** What some fields must hold for a request to go all its way. */
const known: Record<string, unknown> = {
  model_id: kling,
  prompt: "A fox in the snow",
  device_token: btoa("a token"),
};

/** A body that the operation takes, without what may be left out, and the fields that it may have. */
function exampleOf({ request }: Declaration): { example: Record<string, unknown>; fields: string[] } {
  if (!request) return { example: {}, fields: [] };
  const { properties = {}, required = [], ...schema } = z.toJSONSchema(request, { io: "input" });
  const needed = Object.fromEntries(Object.entries(properties).filter(([name]) => required.includes(name)));
  const [sample] = fc.sample(arbitraryOf({ ...schema, properties: needed, required }), {
    numRuns: 1,
    seed: 1,
  });
  const example = z.record(z.string(), z.unknown()).parse(sample);
  for (const name of required) if (Object.hasOwn(known, name)) example[name] = known[name];
  return { example, fields: Object.keys(properties) };
}

/** Requests that have the canary in each place where a request can have anything. */
function requestsWith({ value }: Canary, operation: Operation): Sent[] {
  const { endpoint, method, request, rawBody, query } = operation;
  const { example, fields } = exampleOf(operation);
  const json = { "content-type": "application/json" };
  const keyed = { ...json, "idempotency-key": crypto.randomUUID() };
  const encoded = encodeURIComponent(value);
  const bodies = request || rawBody
    ? [
      value,
      JSON.stringify(value),
      `{"prompt": "${value}`,
      ...fields.map((name) => JSON.stringify({ ...example, [name]: value })),
      JSON.stringify({ ...example, [value]: value, device_id: value, email: value }),
    ]
    : [];
  const parameters = ["unknown", ...Object.keys(query?.def.shape ?? {})];
  const whole = {
    method,
    ...(request ? { headers: keyed, body: JSON.stringify(example) } : { headers: {} }),
  };
  return [
    ...parameters.map((name) => ({ ...whole, path: `${endpoint}?${name}=${encoded}` })),
    { ...whole, path: `${endpoint}?${encoded}=1` },
    { ...whole, path: `${endpoint}/${encoded}` },
    { ...whole, method: "PUT", path: endpoint },
    ...[
      { authorization: `Bearer ${value}` },
      { authorization: value },
      { apikey: value },
      { "content-type": value },
      {
        "idempotency-key": value,
        "accept-language": value,
        "user-agent": value,
        "x-device-id": value,
        "x-request-id": value,
        "if-none-match": value,
        cookie: `session=${value}`,
        origin: value,
      },
    ].map((headers) => ({ ...whole, path: endpoint, headers: { ...whole.headers, ...headers } })),
    ...bodies.map((body) => ({
      path: endpoint,
      method,
      headers: { ...keyed, "idempotency-key": crypto.randomUUID() },
      body,
    })),
  ];
}

/** Guests, admins and machines by whom the requests are sent: for each operation somebody else. */
async function callersOf(
  stack: Stack,
  sql: postgres.Sql,
  operations: readonly Operation[],
  signingKey: JsonWebKey & { kid: string },
): Promise<Map<Operation, Record<string, string>>> {
  const callers = new Map<Operation, Record<string, string>>();
  for (const operation of operations) {
    const { id, token } = await signIn(stack);
    await sql`select credits.add_credits(${id}, 1000000, 'for a test')`;
    const apikey = stack.publishableKey;
    switch (operation.auth) {
      case "user":
        callers.set(operation, { apikey, authorization: `Bearer ${token}` });
        break;
      case "admin": {
        await sql`update accounts.users set is_admin = true where id = ${id}`;
        const admin = await new SignJWT({ ...decodeJwt(token), is_anonymous: false, aal: "aal2" })
          .setProtectedHeader({ alg: "ES256", typ: "JWT", kid: signingKey.kid })
          .sign(await importJWK(signingKey, "ES256"));
        callers.set(operation, { apikey, authorization: `Bearer ${admin}` });
        break;
      }
      case "service":
      case "worker":
        callers.set(operation, { apikey: stack.secretKey });
        break;
      default:
        callers.set(operation, {});
    }
  }
  return callers;
}

/** Makes every procedure that the functions call fail, with all that it was given in the error; gives what mends them. */
async function breakProcedures(sql: postgres.Sql): Promise<() => Promise<void>> {
  const procedures = await sql<
    { name: string; parameters: string; names: string | null; definition: string }[]
  >`
    select p.proname as name, pg_get_function_arguments(p.oid) as parameters,
      array_to_string(p.proargnames[1:p.pronargs], ', ') as names, pg_get_functiondef(p.oid) as definition
    from pg_proc as p
    where p.pronamespace = 'api'::regnamespace and has_function_privilege('service_role', p.oid, 'execute')
      and p.proname <> 'record_error'`;
  assert(procedures.length > 0);
  for (const { name, parameters, names } of procedures) {
    // In the words of Postgres, where it is given text in place of something else.
    await sql.unsafe(`
      create or replace function api.${name}(${parameters}) returns jsonb
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
  const operations = await findOperations();
  const { signingKey } = JSON.parse(await Deno.readTextFile(`${dataDirectory}/keys.json`));
  const callers = await callersOf(stack, sql, operations, signingKey);
  const share = runs(8, 1);
  const send = async () => {
    for (const [place, operation] of operations.entries()) {
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
    await work(stack, sql);
    assert(outside.answered() > 100 / share, "the services outside were asked");
    written["Postgres' log"] = await postgresLog();
  });

  await test.step("procedures break, and quote what they were given", async () => {
    // Postgres itself tells what we have it raise, so its log is not searched from here on.
    const mend = await breakProcedures(sql);
    await send();
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

    // What was searched is what was written.
    const log = written["the functions' log"];
    for (const { endpoint } of operations) assert(log.includes(`"endpoint":"${endpoint}"`), endpoint);
    for (const event of ["submission", "device_check", "background_work_failed", "request"]) {
      assert(log.includes(`"event":"${event}"`), event);
    }
    const planted = `${log}${canaries.map(({ value }) => value).join(" ")}`;
    assert.equal(leaksIn(planted).length, canaries.length);
  });
});
