import assert from "node:assert/strict";
import * as z from "zod/mini";
import { AppError } from "./app-error.ts";
import type { Answer, Context, Keyed, Limit, Report, Runtime, SignedInput } from "./context.ts";
import type { Declaration } from "./operation.ts";
import { testServer } from "./testing/server.ts";
import { publishableKey, secretKey, userId } from "./testing/tokens.ts";

/** A GET that anybody may call, with what a test is about in place of the defaults. */
function read(overrides: Partial<Declaration> = {}): Declaration {
  return {
    method: "GET",
    summary: "Reads a thing",
    auth: "public",
    response: { 200: z.strictObject({ ok: z.boolean() }), 304: null },
    errors: [],
    service: () => Promise.resolve({ status: 200, body: { ok: true } }),
    ...overrides,
  };
}

const CreateRequest = z.strictObject({
  prompt: z.string().check(z.trim(), z.minLength(1), z.maxLength(20)),
  settings: z.optional(
    z.strictObject({ seconds: z._default(z.int(), 4), tags: z._default(z.array(z.string()), []) }),
  ),
});

/** A keyed POST of a user, whose answer shows what the service was given. */
function create(overrides: Partial<Declaration> = {}): Declaration {
  return {
    method: "POST",
    summary: "Creates a thing",
    auth: "user",
    policies: ["writes"],
    idempotencyKey: "required",
    request: CreateRequest,
    response: { 202: z.looseObject({}) },
    errors: ["ERR_4001"],
    service: (input: z.output<typeof CreateRequest>, context: Context<"user"> & Keyed) =>
      Promise.resolve({ status: 202, body: { input, ...context.idempotency } }),
    ...overrides,
  };
}

const headers = { "Idempotency-Key": "key-1" };
const post = { method: "POST", headers, json: { prompt: "a red fox" } };

function failing(error: unknown): Pick<Declaration, "service"> {
  return { service: () => Promise.reject(error) };
}

/** An operation whose service hands its port's runtime to the test's function. */
function withRuntime(act: (runtime: Runtime) => unknown): Pick<Declaration, "ports" | "service"> {
  return {
    ports: { runtime: (runtime) => runtime },
    service: async (_input: unknown, { runtime }: { runtime: Runtime }) => {
      await act(runtime);
      return { status: 200, body: { ok: true } };
    },
  };
}

async function errorOf(response: Response) {
  return (await response.json()).error;
}

const standardHeaders = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'",
  "referrer-policy": "no-referrer",
  "strict-transport-security": "max-age=63072000",
  "x-content-type-options": "nosniff",
  "access-control-allow-origin": "*",
  "content-language": "en",
  "vary": "Accept-Language",
};

Deno.test("every answer carries the contract's headers, whatever it answers", async () => {
  const server = await testServer([
    read({ service: () => Promise.resolve({ status: 200, body: { ok: true }, headers: { ETag: '"1"' } }) }),
    create(failing(new Error("a bug"))),
    { ...read(), method: "DELETE", response: { 204: null }, service: () => Promise.resolve({ status: 204 }) },
  ]);
  const answers: [number, Promise<Response>][] = [
    [200, server.send()],
    [304, server.send({ headers: { "If-None-Match": '"1"' } })],
    [204, server.send({ method: "DELETE" })],
    [204, server.send({ method: "OPTIONS", as: "nobody" })],
    [400, server.send({ path: "example?unknown=1" })],
    [401, server.send({ headers: { apikey: "wrong" } })],
    [404, server.send({ path: "example/more" })],
    [405, server.send({ method: "PUT" })],
    [500, server.send(post)],
    [200, server.send({ method: "HEAD" })],
  ];
  for (const [status, answer] of answers) {
    const response = await answer;
    assert.equal(response.status, status);
    for (const [name, value] of Object.entries(standardHeaders)) {
      assert.equal(response.headers.get(name), value, `${name} of ${status}`);
    }
    assert.match(response.headers.get("x-request-id") ?? "", /^[0-9a-f-]{36}$/);
    for (
      const name of ["RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id", "Idempotency-Replayed"]
    ) {
      assert(response.headers.get("access-control-expose-headers")?.split(", ").includes(name), name);
    }
    assert.equal(
      response.headers.get("content-type"),
      [204, 304].includes(status) ? null : "application/json",
    );
  }
});

Deno.test("a request id in the contract's form is kept, and another is replaced", async () => {
  const server = await testServer([read()]);
  for (const own of ["abcd1234", "A.b_c-1234", "x".repeat(64)]) {
    const response = await server.send({ headers: { "X-Request-Id": own } });
    assert.equal(response.headers.get("x-request-id"), own);
  }
  for (const other of ["short", "x".repeat(65), "with space", "<script>alert"]) {
    const response = await server.send({ headers: { "X-Request-Id": other } });
    assert.notEqual(response.headers.get("x-request-id"), other);
  }
  const response = await server.send({
    headers: { "X-Request-Id": "same-in-body" },
    path: "example?unknown=1",
  });
  assert.equal((await errorOf(response)).request_id, "same-in-body");
});

Deno.test("a method that is not declared is ERR_4014, before anybody asks who calls", async () => {
  const server = await testServer([read({ auth: "user" }), create()]);
  const response = await server.send({ method: "PATCH", as: "nobody" });
  assert.equal(response.status, 405);
  assert.equal((await errorOf(response)).code, "ERR_4014");
  assert.equal(response.headers.get("allow"), "GET, POST, HEAD, OPTIONS");
  const onlyPost = await testServer([create()]);
  const head = await onlyPost.send({ method: "HEAD" });
  assert.deepEqual([head.status, head.headers.get("allow")], [405, "POST, OPTIONS"]);
});

Deno.test("HEAD is GET without the body", async () => {
  const server = await testServer([read()]);
  const response = await server.send({ method: "HEAD" });
  assert.deepEqual([response.status, await response.text()], [200, ""]);
  assert.equal(response.headers.get("content-type"), "application/json");
});

Deno.test("a browser's preflight is answered without credentials", async () => {
  const server = await testServer([read({ auth: "user" }), create()]);
  const response = await server.send({ method: "OPTIONS", as: "nobody" });
  assert.equal(response.headers.get("access-control-allow-methods"), "GET, POST, HEAD, OPTIONS");
  const allowed = response.headers.get("access-control-allow-headers")?.split(", ") ?? [];
  for (
    const name of [
      "apikey",
      "authorization",
      "content-type",
      "idempotency-key",
      "x-client-info",
      "x-request-id",
    ]
  ) {
    assert(allowed.includes(name), name);
  }
});

Deno.test("with a list of origins, only those are let in, and caches are told", async () => {
  const server = await testServer([read()], {
    CORS_ALLOW_ORIGIN: "https://a.example.com,https://b.example.com",
  });
  const cases: [string, string | null][] = [
    ["https://b.example.com", "https://b.example.com"],
    ["https://c.example.com", null],
    ["null", null],
  ];
  for (const [origin, allowed] of cases) {
    const response = await server.send({ headers: { Origin: origin } });
    assert.equal(response.headers.get("access-control-allow-origin"), allowed);
    assert.equal(response.headers.get("vary"), "Accept-Language, Origin");
  }
});

Deno.test("only the endpoint's own path is served", async () => {
  const server = await testServer([read()]);
  assert.equal((await errorOf(await server.send({ path: "example/admin" }))).code, "ERR_4007");
  assert.equal((await server.send({ path: "example/" })).status, 200);
});

Deno.test("the caller is asked for before the body, and the body before the key", async () => {
  const server = await testServer([create()]);
  const asNobody = await server.send({ method: "POST", as: "nobody", body: "not json" });
  assert.equal((await errorOf(asNobody)).code, "ERR_4005");
  const noJson = await server.send({ method: "POST", body: "not json" });
  assert.equal((await errorOf(noJson)).code, "ERR_4018");
  const invalid = await server.send({ method: "POST", json: {} });
  assert.equal((await errorOf(invalid)).code, "ERR_4008");
  const keyless = await server.send({ method: "POST", json: { prompt: "x" } });
  assert.equal((await errorOf(keyless)).code, "ERR_4010");
});

Deno.test("a service gets the validated body, the bare key and a fingerprint of what was validated", async () => {
  const server = await testServer([create()]);
  const first = await (await server.send({ ...post, json: { prompt: " a ", settings: { tags: ["x"] } } }))
    .json();
  assert.deepEqual(first.input, { prompt: "a", settings: { seconds: 4, tags: ["x"] } });
  assert.equal(first.key, "key-1");
  const same = await (await server.send({
    ...post,
    headers: { "Idempotency-Key": '"key-1"', "content-type": "application/json; charset=utf-8" },
    body: '{"settings":{"tags":["x"],"seconds":4},\n "prompt":"\\u0061"}',
    json: undefined,
  })).json();
  assert.deepEqual(same, first);
  const other = await (await server.send({ ...post, json: { prompt: "b" } })).json();
  assert.notEqual(other.fingerprint, first.fingerprint);
});

Deno.test("all field errors are told at once, with unknown fields, in English", async () => {
  const server = await testServer([create()]);
  const response = await server.send({
    ...post,
    headers: { ...headers, "Accept-Language": "tr" },
    json: { prompt: "", user_id: userId, settings: { seconds: "4", tags: [1], extra: true } },
  });
  assert.equal(response.status, 400);
  const { code, message, details } = await errorOf(response);
  assert.equal(code, "ERR_4008");
  assert.match(message, /^İstek geçerli değil/);
  assert.deepEqual(
    details.fields.toSorted((a: { path: string }, b: { path: string }) => a.path < b.path ? -1 : 1),
    [
      { path: "prompt", message: "Too small: expected string to have >=1 characters" },
      { path: "settings.extra", message: "Unknown field" },
      { path: "settings.seconds", message: "Invalid input: expected number, received string" },
      { path: "settings.tags[0]", message: "Invalid input: expected string, received number" },
      { path: "user_id", message: "Unknown field" },
    ],
  );
});

Deno.test("names that reach into prototypes are unknown fields like others", async () => {
  const server = await testServer([create()]);
  const body = '{"prompt":"x","__proto__":{"isAdmin":true},"constructor":{"prototype":{}}}';
  const response = await server.send({
    ...post,
    json: undefined,
    body,
    headers: { ...headers, "content-type": "application/json" },
  });
  const { fields } = (await errorOf(response)).details;
  assert.deepEqual(fields.map((field: { path: string }) => field.path), ["__proto__", "constructor"]);
  assert.equal(Reflect.get({}, "isAdmin"), undefined);
});

Deno.test("a body of a thousand unknown fields is answered with the first hundred", async () => {
  const server = await testServer([create()]);
  const json = Object.fromEntries(
    Array.from({ length: 1000 }, (_, index) => [`${"f".repeat(200)}${index}`, 1]),
  );
  const response = await server.send({ ...post, json });
  const { fields } = (await errorOf(response)).details;
  assert.equal(fields.length, 100);
  for (const { path } of fields) assert(path.length <= 200);
});

Deno.test("a body larger than 256 kB is ERR_4013 with the limit", async () => {
  const server = await testServer([create()]);
  const response = await server.send({ ...post, json: { prompt: "x".repeat(256 * 1024) } });
  const { code, details } = await errorOf(response);
  assert.deepEqual([response.status, code, details], [413, "ERR_4013", { limit_bytes: 262144 }]);
});

Deno.test("parameters are validated like bodies: unknown, repeated and missing ones are told", async () => {
  const query = z.strictObject({ job_id: z.uuid(), limit: z._default(z.coerce.number().check(z.int()), 20) });
  const server = await testServer([
    read({
      query,
      response: { 200: z.looseObject({}) },
      service: (input: object) => Promise.resolve({ status: 200, body: input }),
    }),
  ]);
  const answer = await server.send({ path: `example?job_id=${userId}&forceFunctionRegion=eu-west-1` });
  assert.deepEqual(await answer.json(), { job_id: userId, limit: 20 });
  const cases: [string, string[]][] = [
    ["", ["job_id"]],
    ["?job_id=1&limit=x&user_id=2", ["job_id", "limit", "user_id"]],
    [`?job_id=${userId}&job_id=${userId}`, ["job_id"]],
    [`?job_id=${userId}&__proto__=1`, ["__proto__"]],
  ];
  for (const [search, paths] of cases) {
    const { code, details } = await errorOf(await server.send({ path: `example${search}` }));
    assert.equal(code, "ERR_4008");
    assert.deepEqual(details.fields.map((field: { path: string }) => field.path), paths, search);
  }
  const none = await testServer([read()]);
  assert.equal((await errorOf(await none.send({ path: "example?limit=1" }))).code, "ERR_4008");
});

Deno.test("the service of a signed request gets the very bytes, up to its own limit", async () => {
  const server = await testServer([{
    method: "POST",
    summary: "Takes an event",
    auth: "signed",
    query: z.strictObject({ provider: z.string() }),
    rawBody: { maximumBytes: 4 },
    response: { 200: z.looseObject({}) },
    errors: [],
    service: ({ body, headers, query }: SignedInput<{ provider: string }>): Promise<Answer<unknown>> =>
      Promise.resolve({
        status: 200,
        body: { bytes: [...body], signature: headers.get("x-signature"), query },
      }),
  }]);
  const sent = {
    method: "POST",
    as: "nobody",
    path: "example?provider=fal",
    headers: { "X-Signature": "s" },
  } as const;
  const response = await server.send({ ...sent, body: new Uint8Array([0, 255, 10, 13]) });
  assert.deepEqual(await response.json(), {
    bytes: [0, 255, 10, 13],
    signature: "s",
    query: { provider: "fal" },
  });
  const tooLarge = await server.send({ ...sent, body: new Uint8Array(5) });
  assert.deepEqual((await errorOf(tooLarge)).details, { limit_bytes: 4 });
});

Deno.test("a body that nobody asked for is not looked at", async () => {
  const server = await testServer([{ ...read(), method: "POST", auth: "service" }]);
  const response = await server.send({ method: "POST", as: "service", body: "x".repeat(300_000) });
  assert.equal(response.status, 200);
});

Deno.test("a service knows its caller, the network and the language", async () => {
  const server = await testServer([
    read({
      auth: "user",
      response: { 200: z.looseObject({}) },
      service: (_input: undefined, { caller, network, language, now }: Context<"user">) =>
        Promise.resolve({ status: 200, body: { caller, network, language, now: now() } }),
    }),
  ]);
  const response = await server.send({
    headers: { "Accept-Language": "es-MX", "CF-Connecting-IP": "2001:db8::1" },
  });
  assert.deepEqual(await response.json(), {
    caller: { kind: "user", userId, isAnonymous: true, assuranceLevel: "aal1" },
    network: "2001:db8::/64",
    language: "es",
    now: server.clock.now(),
  });
  assert.equal(response.headers.get("content-language"), "es");
  const forged = await server.send({
    headers: { "X-Forwarded-For": "192.0.2.1", "CF-Connecting-IP": "192.0.2.1, 192.0.2.2" },
  });
  assert.equal((await forged.json()).network, null);
});

Deno.test("the header's language comes before the user's own, which comes before English", async () => {
  const report: Report = { language: "es" };
  const server = await testServer([
    read({
      errors: ["ERR_4001"],
      ...withRuntime((runtime) => {
        runtime.report(report);
        throw new AppError("ERR_4001", { details: { required: 4, available: 1 } });
      }),
    }),
  ]);
  const cases: [Record<string, string>, string, RegExp][] = [
    [{}, "es", /^No tienes créditos/],
    [{ "Accept-Language": "*" }, "es", /^No tienes créditos/],
    [{ "Accept-Language": "de" }, "es", /^No tienes créditos/],
    [{ "Accept-Language": "de, tr;q=0.1" }, "tr", /^Krediniz yetersiz/],
  ];
  for (const [headers, language, message] of cases) {
    const response = await server.send({ headers });
    assert.equal(response.headers.get("content-language"), language);
    const error = await errorOf(response);
    assert.match(error.message, message);
    assert.deepEqual([error.code, error.details], ["ERR_4001", { required: 4, available: 1 }]);
  }
});

Deno.test("a service can speak the language of its answer, once the user's own is known", async () => {
  const service = (_input: undefined, context: Context & { runtime: Runtime }) => {
    const before = context.answerLanguage();
    context.runtime.report({ language: "tr" });
    context.runtime.report({ language: "de", limits: null, replayed: null });
    return Promise.resolve({ status: 200, body: { before, after: context.answerLanguage() } });
  };
  const server = await testServer([
    read({ ports: { runtime: (runtime) => runtime }, response: { 200: z.looseObject({}) }, service }),
  ]);
  const response = await server.send();
  assert.deepEqual(await response.json(), { before: "en", after: "tr" });
  assert.equal(response.headers.get("content-language"), "tr");
  const asked = await server.send({ headers: { "Accept-Language": "es" } });
  assert.deepEqual(await asked.json(), { before: "es", after: "es" });
});

Deno.test("what nobody expected is ERR_6003 and tells the client nothing", async () => {
  const secret = 'relation "credits.accounts" does not exist';
  for (
    const thrown of [
      new Error(secret),
      secret,
      { message: secret },
      undefined,
      new AppError("ERR_6003", { cause: secret }),
    ]
  ) {
    const server = await testServer([read(failing(thrown))]);
    const response = await server.send();
    const text = await response.text();
    assert.equal(response.status, 500);
    assert.deepEqual(JSON.parse(text).error.details, {});
    assert.equal(JSON.parse(text).error.code, "ERR_6003");
    assert(!text.includes("credits.accounts") && !text.includes(".ts"));
    assert.equal(server.lines.length, 1);
    assert.equal(server.lines[0]?.level, "critical");
    if (thrown !== undefined) {
      assert(JSON.stringify(server.lines[0]).includes("credits.accounts"), "the log is told");
    }
  }
});

Deno.test("an answer that breaks its declaration fails a test, and is sent and reported when deployed", async () => {
  const breaches: Partial<Declaration>[] = [
    { service: () => Promise.resolve({ status: 200, body: { ok: "yes" } }) },
    { service: () => Promise.resolve({ status: 200, body: { ok: true, more: 1 } }) },
    { service: () => Promise.resolve({ status: 200 }) },
    { service: () => Promise.resolve({ status: 201, body: { ok: true } }) },
    { ...failing(new AppError("ERR_4001", { details: { required: 4, available: 1 } })) },
  ];
  for (const breach of breaches) {
    const tested = await testServer([read(breach)]);
    assert.equal((await tested.send()).status, 500);
    const deployed = await testServer([read(breach)], { ENVIRONMENT: "production" });
    assert([200, 201, 402].includes((await deployed.send()).status));
    assert.equal(deployed.lines.filter(({ level }) => level === "critical").length, 1);
    await deployed.settled();
    assert.deepEqual(
      deployed.recorded.map(({ p_code, p_endpoint }) => [p_code, p_endpoint]),
      [["ERR_6003", "example"]],
    );
  }
});

Deno.test("an unchanged entity is 304, by any of its tags, and keeps its headers", async () => {
  const cacheControl = "private, max-age=60";
  const server = await testServer([
    read({
      cacheControl,
      service: () => Promise.resolve({ status: 200, body: { ok: true }, headers: { ETag: '"abc"' } }),
    }),
  ]);
  for (const known of ['"abc"', 'W/"abc"', '"x", "abc"', "*"]) {
    const response = await server.send({ headers: { "If-None-Match": known } });
    assert.deepEqual([response.status, response.body], [304, null], known);
    assert.equal(response.headers.get("etag"), '"abc"');
    assert.equal(response.headers.get("cache-control"), cacheControl);
  }
  const weak = await testServer([
    read({
      service: () => Promise.resolve({ status: 200, body: { ok: true }, headers: { ETag: 'W/"abc"' } }),
    }),
  ]);
  assert.equal((await weak.send({ headers: { "If-None-Match": '"abc"' } })).status, 304);
  const changed = await server.send({ headers: { "If-None-Match": '"x", abc' } });
  assert.equal(changed.status, 200);
  assert.equal(changed.headers.get("cache-control"), cacheControl);
  const refused = await server.send({ path: "example?unknown=1" });
  assert.equal(refused.headers.get("cache-control"), "no-store", "errors are never cached");
});

const limit: Limit = {
  policy: "writes",
  allowed: true,
  current: 20,
  limit: 60,
  window: 60,
  remaining: 40,
  reset: 1,
};

Deno.test("limits and replays that a procedure reports are told in headers", async () => {
  const server = await testServer([
    read({ ...withRuntime((runtime) => runtime.report({ limits: [limit], replayed: true })) }),
  ]);
  const response = await server.send();
  assert.equal(response.headers.get("ratelimit-policy"), '"writes";q=60;w=60');
  assert.equal(response.headers.get("ratelimit"), '"writes";r=40;t=1');
  assert.equal(response.headers.get("idempotency-replayed"), "true");
  const plain = await testServer([read()]);
  for (const name of ["ratelimit", "ratelimit-policy", "idempotency-replayed", "retry-after"]) {
    assert.equal((await plain.send()).headers.get(name), null);
  }
});

/** A database that refuses while it is told to, and counts how often it is asked. */
function limitedDatabase() {
  const database = { asked: 0, refuses: true };
  const act = (runtime: Runtime) => {
    runtime.beforeCall();
    database.asked += 1;
    if (!database.refuses) return;
    runtime.report({ limits: [{ ...limit, allowed: false, remaining: 0, reset: 30 }] });
    throw new AppError("ERR_4004", { details: { policy: "writes", retry_after: 30 } });
  };
  return { database, act };
}

Deno.test("an isolate remembers a refusal until its reset, and does not ask the database again", async () => {
  const { database, act } = limitedDatabase();
  const server = await testServer([read({ auth: "user", policies: ["writes"], ...withRuntime(act) })]);
  const first = await server.send();
  assert.deepEqual([first.status, first.headers.get("retry-after")], [429, "30"]);
  server.clock.advance(10_000);
  const second = await server.send({ headers: { "Accept-Language": "tr" } });
  assert.equal(second.headers.get("retry-after"), "20");
  assert.equal(second.headers.get("ratelimit"), '"writes";r=0;t=20');
  const error = await errorOf(second);
  assert.deepEqual(error.details, { policy: "writes", retry_after: 20 });
  assert.equal(error.message, "Çok fazla istek gönderdiniz. Lütfen 20 sn sonra yeniden deneyin.");
  assert.equal(database.asked, 1);
  assert.deepEqual(server.lines.map((line) => line.data_api_calls), [1, 0]);

  const somebodyElse = await server.issuer.sign({ sub: crypto.randomUUID() });
  await server.send({ token: somebodyElse });
  await server.send({ headers: { "CF-Connecting-IP": "192.0.2.9" } });
  assert.equal(database.asked, 3, "another user, or another network, is asked for");

  database.refuses = false;
  server.clock.advance(20_000);
  assert.equal((await server.send()).status, 200);
});

Deno.test("on a keyed endpoint only the very same request is refused from memory", async () => {
  const { database, act } = limitedDatabase();
  const server = await testServer([
    create({ response: { 200: z.looseObject({}) }, ...withRuntime(act) }),
  ]);
  await server.send(post);
  await server.send(post);
  assert.equal(database.asked, 1);
  await server.send({ ...post, headers: { "Idempotency-Key": "key-2" } });
  assert.equal(database.asked, 2, "another key may be a replay");
  const reused = await server.send({ ...post, json: { prompt: "a blue fox" } });
  assert.equal(database.asked, 3, "the same key with another request is ERR_4011, not ERR_4004");
  assert.equal(reused.status, 429);
});

Deno.test("who was admitted is not stopped half-way because another request of theirs is refused", async () => {
  const { act } = limitedDatabase();
  const { promise: entered, resolve: enter } = Promise.withResolvers<void>();
  const { promise: refused, resolve: refuse } = Promise.withResolvers<void>();
  let requests = 0;
  const server = await testServer([
    read({
      auth: "user",
      policies: ["writes"],
      ...withRuntime(async (runtime) => {
        requests += 1;
        if (requests > 1) return act(runtime);
        runtime.beforeCall();
        enter();
        await refused;
        runtime.beforeCall();
      }),
    }),
  ]);
  const first = server.send();
  await entered;
  assert.equal((await server.send()).status, 429);
  refuse();
  assert.equal((await first).status, 200);
});

Deno.test("a request leaves one line, which says what it was and cost, and nothing of its content", async () => {
  const server = await testServer([
    create({
      ...withRuntime(({ beforeCall, report }) => {
        beforeCall();
        beforeCall();
        report({ replayed: true });
        server.clock.advance(12);
      }),
      response: { 200: z.looseObject({}) },
    }),
  ]);
  await server.send({ ...post, headers: { ...headers, "X-Request-Id": "request-1" } });
  assert.deepEqual(server.lines.slice(), [{
    timestamp: "2026-11-20T12:00:00.012Z",
    level: "info",
    event: "request",
    request_id: "request-1",
    method: "POST",
    endpoint: "example",
    status: 200,
    duration_ms: 12,
    user_id: userId,
    data_api_calls: 2,
    replayed: true,
  }]);
  const token = await server.issuer.sign({ email: "jane@example.com", exp: 1 });
  await server.send({ ...post, token });
  const written = JSON.stringify(server.lines);
  for (const canary of ["a red fox", "jane@example.com", token, publishableKey, secretKey]) {
    assert(!written.includes(canary), canary);
  }
  assert.deepEqual([server.lines.length, server.lines[1]?.code, server.lines[1]?.level], [
    2,
    "ERR_4005",
    "info",
  ]);
  assert.match(String(server.lines[1]?.reason), /expired/);
});

Deno.test("work begins after the answer, also after an error, and its calls are not the answer's", async () => {
  for (const error of [null, new AppError("ERR_6001")]) {
    const events: string[] = [];
    const server = await testServer([
      read({
        ports: { runtime: (runtime) => runtime },
        service: (_input: undefined, context: Context & { runtime: Runtime }) => {
          context.waitUntil(() => {
            context.runtime.beforeCall();
            events.push(`work after ${server.lines.length} line`);
            return Promise.resolve();
          });
          events.push("service");
          return error === null
            ? Promise.resolve({ status: 200, body: { ok: true } })
            : Promise.reject(error);
        },
      }),
    ]);
    await server.send();
    await server.settled();
    assert.deepEqual(events, ["service", "work after 1 line"]);
    assert.deepEqual(server.lines.map(({ event, data_api_calls }) => [event, data_api_calls]), [
      ["request", 0],
    ]);
  }
});

Deno.test("work goes on when the caller has gone, and after the answer", async () => {
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
  const done: string[] = [];
  const server = await testServer([
    read({
      service: async (_input: undefined, context: Context) => {
        await finished;
        done.push("service");
        context.waitUntil(() => finished.then(() => done.push("background")));
        context.waitUntil(() => Promise.reject(new Error("provider is away")));
        return { status: 200, body: { ok: true } };
      },
    }),
  ]);
  void server.send({ as: "nobody" });
  finish();
  await server.settled();
  assert.deepEqual(done, ["service", "background"]);
  const failure = server.lines.find(({ event }) => event === "background_work_failed");
  assert.equal(failure?.level, "error");
  assert(JSON.stringify(failure).includes("provider is away"));
  assert.deepEqual(
    server.recorded.map(({ p_code, p_context }) => [p_code, p_context.error.message]),
    [["ERR_6003", "provider is away"]],
  );
});

Deno.test("a fault of ours or a provider's is recorded after the answer, and the caller's own is not", async () => {
  const cause = new Error("asked by jane@example.com");
  for (
    const [thrown, code] of [
      [cause, "ERR_6003"],
      [new AppError("ERR_6001", { cause }), "ERR_6001"],
      [new AppError("ERR_5002", { cause }), "ERR_5002"],
      [new AppError("ERR_6004", { details: { feature: "generation" }, cause }), "ERR_6004"],
      [new AppError("ERR_4007", { cause }), null],
    ] as const
  ) {
    const server = await testServer([
      read({ auth: "user", errors: ["ERR_5002", "ERR_6004", "ERR_4007"], ...failing(thrown) }),
    ]);
    const response = await server.send({ headers: { "X-Request-Id": "request-1" } });
    assert.equal((await errorOf(response)).code, code ?? "ERR_4007");
    assert.equal(server.lines[0]?.data_api_calls, 0);
    await server.settled();
    assert.equal(server.recorded.length, code === null ? 0 : 1);
    if (code === null) continue;
    assert(server.recorded[0] !== undefined);
    const { p_context, ...told } = server.recorded[0];
    assert.deepEqual(told, {
      p_code: code,
      p_endpoint: "example",
      p_user_id: userId,
      p_request_id: "request-1",
      p_count: 1,
    });
    assert.equal(p_context.error.message, "asked by [redacted]");
  }
});
