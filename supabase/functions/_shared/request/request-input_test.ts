import assert from "node:assert/strict";
import * as z from "zod/mini";
import { AppError } from "../errors/app-error.ts";
import type { Answer, Context, Report, Runtime, SignedInput } from "../endpoint/context.ts";
import { create, errorOf, headers, post, read, withRuntime } from "../testing/operations.ts";
import { testServer } from "../testing/server.ts";
import { sessionId, userId } from "../testing/tokens.ts";

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
      { path: "prompt", message: "Must have at least 1 characters" },
      { path: "settings.extra", message: "Unknown field" },
      { path: "settings.seconds", message: "Must be a number" },
      { path: "settings.tags[0]", message: "Must be a text" },
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
    rawBody: { maxBytes: 4 },
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

Deno.test("a body that nobody asked for is refused, unless it is empty or {}", async () => {
  const query = z.strictObject({ job_id: z.optional(z.uuid()) });
  for (const method of ["POST", "PATCH", "DELETE"] as const) {
    for (const operation of [read({ method }), read({ method, query })]) {
      const server = await testServer([operation]);
      // pg_net posts `{}`, with whatever type its caller gives it.
      for (const body of [undefined, "", "{}", " {\n} "]) {
        const sent = body === undefined ? { method } : { method, body };
        assert.equal((await server.send(sent)).status, 200, `${method} ${body}`);
      }
      const refused: Record<string, string[]> = {
        [JSON.stringify({ user_id: userId })]: ["user_id"],
        [JSON.stringify({ job_id: userId, "": 1 })]: ["job_id", ""],
        '{"__proto__": {}}': ["__proto__"],
        '{"user_id": null}': ["user_id"],
        "null": [""],
        "[]": [""],
        '"{}"': [""],
        "0": [""],
        "{": [""],
        "{}{}": [""],
        "user_id=1": [""],
        " ": [""],
      };
      for (const [body, paths] of Object.entries(refused)) {
        for (const headers of [{}, { "content-type": "application/json" }]) {
          const { code, details } = await errorOf(await server.send({ method, body, headers }));
          assert.equal(code, "ERR_4008", `${method} ${body}`);
          assert.deepEqual(details.fields.map((field: { path: string }) => field.path), paths, body);
        }
      }
      const tooLarge = await server.send({ method, body: "x".repeat(300_000) });
      assert.deepEqual([tooLarge.status, (await errorOf(tooLarge)).code], [413, "ERR_4013"]);
    }
  }
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
    caller: { kind: "user", userId, sessionId, isAnonymous: true, assuranceLevel: "aal1" },
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

Deno.test("where a body may be left out, nothing and an empty object of any type are as good, and all else is read", async () => {
  const operation = create({
    bodyIsOptional: true,
    request: z.strictObject({ code: z.optional(z.string()) }),
  });
  const server = await testServer([operation]);
  const send = async (body: string | undefined, type?: string) => {
    const given = { ...headers, ...(type === undefined ? {} : { "content-type": type }) };
    const response = await server.send({
      ...post,
      json: undefined,
      headers: given,
      ...(body === undefined ? {} : { body }),
    });
    return response.ok ? (await response.json()).input : (await errorOf(response)).code;
  };
  for (const type of [undefined, "text/plain", "application/json", "application/x-www-form-urlencoded"]) {
    assert.deepEqual(await send(undefined, type), {}, `nothing as ${type}`);
    assert.deepEqual(await send("{}", type), {}, `an empty object as ${type}`);
  }
  const code = '{"code":"a"}';
  assert.deepEqual(await send(code, "application/json"), { code: "a" });
  for (const type of [undefined, "text/plain"]) assert.equal(await send(code, type), "ERR_4018");
  for (const body of ["[]", "null", "{", '{"other":1}', '{"code":1}']) {
    assert.equal(await send(body, "application/json"), "ERR_4008", body);
  }
});
