import assert from "node:assert/strict";
import * as z from "zod/mini";
import { AppError } from "../errors/app-error.ts";
import { testConfig } from "../testing/config.ts";
import { withoutPauses } from "../testing/pauses.ts";
import { testRuntime } from "../testing/runtime.ts";
import { testContext } from "../testing/context.ts";
import { projectUrl, secretKey as testKey, sessionId, userId } from "../testing/tokens.ts";
import { actor, admin, database, fields, keyed, SchemaNotExposed, secretKey } from "./call.ts";

const limit = {
  policy: "reads",
  allowed: true,
  current: 1,
  limit: 120,
  window: 60,
  remaining: 119,
  reset: 1,
};

/** Calls a procedure whose requests are answered in turn, the last answer again and again. */
function caller(...answers: (() => Response | Promise<Response>)[]) {
  const requests: { request: Request; signal: unknown }[] = [];
  const runtime = testRuntime((input, init) => {
    requests.push({ request: new Request(input, init), signal: init?.signal });
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    return Promise.resolve(answer?.() ?? Response.error());
  });
  const call = () =>
    database(runtime).call("models", { p_user_id: userId, p_session_id: sessionId }, z.unknown());
  return { runtime, requests, call };
}

const json = (body: unknown, status = 200) => () => Response.json(body, { status });
const failure = (code: string | undefined, status: number) =>
  json({ code, message: 'relation "credits.accounts"', details: null, hint: null }, status);
const page = (status: number) => () =>
  new Response("<html>nginx</html>", { status, headers: { "content-type": "text/html" } });

async function failureOf(...answers: (() => Response | Promise<Response>)[]): Promise<AppError> {
  const error: unknown = await caller(...answers).call().catch((error) => error);
  assert(error instanceof AppError, String(error));
  return error;
}

Deno.test("a procedure is called by its name, with the secret key alone, and answers with its data", async () => {
  const { call, requests } = caller(json({ data: { version: 1, models: [] } }));
  assert.deepEqual(await call(), { version: 1, models: [] });
  const { request, signal } = requests[0] ?? {};
  assert(request);
  assert.deepEqual([request.method, request.url], ["POST", `${projectUrl}/rest/v1/rpc/models`]);
  assert.deepEqual(await request.json(), { p_user_id: userId, p_session_id: sessionId });
  assert.equal(request.headers.get("apikey"), testKey);
  assert.equal(request.headers.get("authorization"), null);
  assert(signal instanceof AbortSignal, "it does not wait for ever");
});

Deno.test("data may be anything, also nothing", async () => {
  for (const data of [null, 0, "", false, []]) assert.deepEqual(await caller(json({ data })).call(), data);
});

const Model = z.object({ id: z.int(), name: z.optional(z.string()) });
const answers: [string, unknown, boolean][] = [
  ["as the schema says", { id: 1, name: "Veo" }, true],
  ["without what may be left out", { id: 1 }, true],
  ["without a member", {}, false],
  ["of another type", { id: "1" }, false],
  ["null", null, false],
  ["a list", [{ id: 1 }], false],
];

/** Calls a procedure that answers with this data for a model, and what was said of a breach. */
async function asked(data: unknown, breach: () => void) {
  const breaches: [string, string][] = [];
  const runtime = testRuntime(() => Promise.resolve(Response.json({ data })), {
    onBreach: (event, error) => {
      breaches.push([event, error.message]);
      assert(error.cause instanceof Error, "the schema says why");
      breach();
    },
  });
  const model = await database(runtime).call("models", { p_user_id: userId, p_session_id: sessionId }, Model);
  return { model, breaches };
}

Deno.test("data is of the schema's type and is checked: what does not fit throws where a breach throws", async () => {
  for (const [name, data, fits] of answers) {
    const thrown = new Error("a breach");
    const asking = asked(data, () => {
      throw thrown;
    });
    if (fits) assert.deepEqual((await asking).model, data, name);
    else await assert.rejects(asking, thrown, name);
  }
});

Deno.test("deployed, data that does not fit is told and returned as it is, because what it tells has happened", async () => {
  for (const [name, data, fits] of answers) {
    const { model, breaches } = await asked(data, () => {});
    assert.deepEqual(model, data, name);
    const told = ["data_breaks_contract", "models answered what its schema does not say"];
    assert.deepEqual(breaches, fits ? [] : [told], name);
  }
});

Deno.test("what a newer procedure tells beside what the schema says goes no further", async () => {
  const { model, breaches } = await asked({ id: 1, secret: "s" }, assert.fail);
  assert.deepEqual([model, breaches], [{ id: 1 }, []]);
});

Deno.test("a request's fields are arguments under their own names, with a prefix and their values as they are", () => {
  const request = { job_id: "j", prompt: "a fox", image_url: undefined, settings: { seconds: 4 } };
  assert.deepEqual(fields(request), {
    p_job_id: "j",
    p_prompt: "a fox",
    p_image_url: undefined,
    p_settings: { seconds: 4 },
  });
  assert.deepEqual(fields({}), {});
});

Deno.test("who acts is the token's user, and the key is the request's", () => {
  assert.deepEqual(actor(testContext("user", {})), { p_user_id: userId, p_session_id: sessionId });
  const context = testContext("admin", {});
  assert.deepEqual(admin(context), {
    p_admin_id: userId,
    p_session_id: sessionId,
    p_request_id: "test-request",
  });
  assert.deepEqual(keyed(context), { p_idempotency_key: "test-key", p_fingerprint: "0".repeat(64) });
});

Deno.test("an argument that is undefined is not sent, and null is", async () => {
  const { requests, runtime } = caller(json({ data: 1 }));
  const args = { p_limit: 1, p_status: undefined, p_after: null, p_user_id: userId, p_session_id: sessionId };
  await database(runtime).call("video_jobs", args, z.unknown());
  assert.deepEqual(await requests[0]?.request.json(), {
    p_limit: 1,
    p_after: null,
    p_user_id: userId,
    p_session_id: sessionId,
  });
});

/** Checked by the compiler, and never called. */
function _whatDoesNotCompile({ call }: ReturnType<typeof database>) {
  const job = { p_user_id: userId, p_session_id: sessionId, p_job_id: "j" };
  const data = z.unknown();
  void call("cancel_video", job, data);
  // @ts-expect-error: an argument is missing
  void call("cancel_video", { p_user_id: userId, p_session_id: sessionId }, data);
  // @ts-expect-error: the procedure does not take it
  void call("cancel_video", { ...job, p_reason: "why" }, data);
  const asked = { ...fields({ job_id: "j", reason: "why" }), ...actor(testContext("user", {})) };
  // @ts-expect-error: nor where it comes with a request's fields
  void call("cancel_video", asked, data);
  // @ts-expect-error: it is of another type
  void call("cancel_video", { ...job, p_job_id: 1 }, data);
  const undefinedJob: { p_job_id: string | undefined } = { p_job_id: undefined };
  // @ts-expect-error: nor is one that is undefined, which is not sent
  void call("cancel_video", { ...job, ...undefinedJob }, data);
  const maybe = { ...fields<{ job_id?: string }>({}), ...actor(testContext("user", {})) };
  // @ts-expect-error: a field that a request may leave out is no argument that a procedure must have
  void call("cancel_video", maybe, data);
  // @ts-expect-error: there is no such procedure
  void call("cancel_videos", job, data);
}

Deno.test("limits, replay and language are reported, of a refusal as of an answer", async () => {
  const meta = { limits: [limit], replayed: true, language: "tr" };
  const answered = caller(json({ data: 1, ...meta }));
  await answered.call();
  const refused = caller(json({ error: "ERR_4007", details: {}, ...meta }));
  await assert.rejects(refused.call());
  for (const { runtime } of [answered, refused]) {
    const [report] = runtime.reports;
    assert.deepEqual([report?.limits, report?.replayed, report?.language], [[limit], true, "tr"]);
  }
});

Deno.test("a refusal is thrown with its code and details", async () => {
  const error = await failureOf(json({ error: "ERR_4001", details: { required: 4, available: 1 } }));
  assert.deepEqual([error.code, error.details], ["ERR_4001", { required: 4, available: 1 }]);
});

Deno.test("an answer without an envelope, or with a code that is none, is an accident", async () => {
  const answers = [null, [], {}, "data", 1, { error: "ERR_9999" }, { error: "toString" }, { error: null }];
  for (const answer of answers) {
    await assert.rejects(
      caller(json(answer)).call(),
      (error: Error) => !(error instanceof AppError) && error.message.startsWith("models "),
      JSON.stringify(answer),
    );
  }
});

/** Of Postgres 17's appendix A and PostgREST 14's errors, those that pass. */
const passing = [
  ...["08000", "08003", "08006", "08001", "08004", "08007", "08P01"],
  ...["25006", "25P03", "25P04"],
  ...["40000", "40001", "40002", "40003", "40P01"],
  ...["53000", "53100", "53200", "53300", "53400"],
  ...["55006", "55P03"],
  ...["57000", "57014", "57P01", "57P02", "57P03", "57P04", "57P05"],
  ...["58000", "58030", "72000"],
  ...["PGRST000", "PGRST001", "PGRST002", "PGRST003", "PGRSTX00"],
];

/** And one or more of each other class, which do not. */
const lasting = [
  ...[
    "0A000",
    "21000",
    "22001",
    "22012",
    "22P02",
    "23502",
    "23505",
    "23514",
    "25001",
    "25P02",
    "26000",
    "28000",
  ],
  ...[
    "2F005",
    "34000",
    "3D000",
    "3F000",
    "42501",
    "42601",
    "42703",
    "42883",
    "42P01",
    "44000",
    "54000",
    "54001",
  ],
  ...[
    "55000",
    "55P02",
    "58P01",
    "F0000",
    "HV000",
    "P0000",
    "P0001",
    "P0002",
    "P0003",
    "P0004",
    "XX000",
    "XX001",
  ],
  ...["XX002", "PGRST100", "PGRST106", "PGRST116", "PGRST200", "PGRST202", "PGRST203", "PGRST300", "PT999"],
];

Deno.test("what no waiting would mend is ERR_6003, whatever its class", async () => {
  for (const code of lasting) assert.equal((await failureOf(failure(code, 400))).code, "ERR_6003", code);
});

Deno.test("a database that cannot be reached in time is ERR_6001", async () => {
  const answers: [string, () => Response | Promise<Response>][] = [
    ["no connection", () => Promise.reject(new TypeError("error sending request"))],
    ["no answer in time", () => Promise.reject(new DOMException("Signal timed out.", "TimeoutError"))],
    ...[502, 503, 504, 521, 540].map((status): [string, () => Response] => [`${status}`, page(status)]),
    ...[408, 425, 429].map((status): [string, () => Response] => [`${status}`, page(status)]),
    ...passing.map((code): [string, () => Response] => [code, failure(code, code === "25006" ? 405 : 500)]),
  ];
  for (const [name, answer] of answers) assert.equal((await failureOf(answer)).code, "ERR_6001", name);
});

Deno.test("what a procedure raises is ERR_6003: the log is told why, the client is not", async () => {
  const answers: [string | undefined, number][] = [
    ["P0001", 400],
    ["P0002", 400],
    ["23505", 409],
    ["42501", 403],
    ["PGRST202", 404],
    ["XX000", 500],
    [undefined, 403],
  ];
  for (const [code, status] of answers) {
    const error = await failureOf(failure(code, status));
    assert.deepEqual([error.code, error.details], ["ERR_6003", {}], code ?? "without a code");
    assert(error.cause instanceof Error);
    assert.match(error.cause.message, /^models: .* relation "credits.accounts"$/);
  }
  assert.equal((await failureOf(page(500))).code, "ERR_6003");
  assert.equal((await failureOf(page(200))).code, "ERR_6003");
});

Deno.test("a platform that does not expose `api` is told apart, and the log says what to do", async () => {
  const body = {
    code: "PGRST106",
    message: "Invalid schema: api",
    details: null,
    hint: "Only the following schemas are exposed: public, graphql_public",
  };
  const { code, cause } = await failureOf(json(body, 406));
  assert.equal(code, "ERR_6003");
  assert(cause instanceof SchemaNotExposed);
  assert.match(cause.message, /^models: PGRST106 .+ supabase config push$/);
});

Deno.test("the log is not told the values that Postgres quotes, nor its detail and hint, which may be a whole row", async () => {
  const quoted = 'a "red" fox';
  for (
    const [message, told] of [
      [`invalid input syntax for type uuid: "${quoted}"`, 'invalid input syntax for type uuid: "…"'],
      [`date/time field value out of range: "${quoted}" in "x"`, 'date/time field value out of range: "…"'],
      ['column "user_id" of relation "accounts.users"', 'column "user_id" of relation "accounts.users"'],
    ] as const
  ) {
    const answer = json({ code: "22P02", message, details: quoted, hint: quoted }, 400);
    const { cause } = await failureOf(answer);
    assert(cause instanceof Error);
    assert.deepEqual([cause.message, cause.cause], [`models: 22P02 ${told}`, undefined]);
  }
});

Deno.test("a transaction that lost a deadlock or a race runs again, twice at most, and each is counted", async () => {
  for (const code of ["40P01", "40001"]) {
    const lucky = caller(failure(code, 500), failure(code, 500), json({ data: 1 }));
    assert.equal(await lucky.call(), 1);
    assert.deepEqual([lucky.requests.length, lucky.runtime.calls()], [3, 3]);

    const unlucky = caller(failure(code, 500));
    await assert.rejects(unlucky.call(), { code: "ERR_6001" });
    assert.equal(unlucky.requests.length, 3);
  }
});

Deno.test("a single 401, which says that nothing was done, is asked again, and one that stays is ERR_6001", async () => {
  const unauthorized = failure("PGRST303", 401);
  const lucky = caller(unauthorized, unauthorized, json({ data: 1 }));
  const pauses = await withoutPauses(async () => assert.equal(await lucky.call(), 1));
  assert.deepEqual(pauses.filter((milliseconds) => milliseconds < 10_000), [250, 1_250]);
  assert.deepEqual([lucky.requests.length, lucky.runtime.calls()], [3, 1]);

  const unlucky = caller(unauthorized);
  await withoutPauses(() => assert.rejects(unlucky.call(), { code: "ERR_6001" }));
  assert.equal(unlucky.requests.length, 3);
});

Deno.test("nothing else is asked again: it may have been done", async () => {
  const away = () => Promise.reject(new TypeError("error sending request"));
  for (const answer of [away, page(503), failure("57P01", 500), failure("P0001", 400)]) {
    const { call, requests } = caller(answer);
    await assert.rejects(call());
    assert.equal(requests.length, 1);
  }
});

Deno.test("who is refused from memory does not reach the database", async () => {
  const refusal = new AppError("ERR_4004", { details: { policy: "reads", retry_after: 1 } });
  const runtime = testRuntime(() => assert.fail("The database was asked"), {
    beforeCall: () => {
      throw refusal;
    },
  });
  await assert.rejects(
    database(runtime).call("models", { p_user_id: userId, p_session_id: sessionId }, z.unknown()),
    refusal,
  );
});

Deno.test("the functions' own key is the default one, else any, and there must be one", () => {
  const config = testConfig();
  const keyOf = (secretKeys: Record<string, string>) =>
    secretKey(testRuntime(fetch, { config: { ...config, supabase: { ...config.supabase, secretKeys } } }));
  assert.equal(keyOf({ cron: "sb_secret_c", default: "sb_secret_d" }), "sb_secret_d");
  assert.equal(keyOf({ cron: "sb_secret_c" }), "sb_secret_c");
  assert.throws(() => keyOf({}), /SUPABASE_SECRET_KEYS/);
});
