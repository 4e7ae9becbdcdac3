import assert from "node:assert/strict";
import { AppError } from "../errors/app-error.ts";
import type { Context } from "./context.ts";
import type { Declaration } from "./operation.ts";
import { create, errorOf, failing, post, read, withRuntime } from "../testing/operations.ts";
import { testServer } from "../testing/server.ts";

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
    read(),
    create(failing(new Error("a bug"))),
    { ...read(), method: "DELETE", response: { 204: null }, service: () => Promise.resolve({ status: 204 }) },
  ]);
  const answers: [number, Promise<Response>][] = [
    [200, server.send()],
    [304, server.send({ headers: { "If-None-Match": "*" } })],
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

Deno.test("a caller's trace goes on in the answer and in each line of the log, and what is none is nowhere", async () => {
  const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const server = await testServer([
    read({
      service: (_: unknown, { log }: Context) => {
        log.info("in_service");
        return Promise.resolve({ status: 200, body: { ok: true } });
      },
    }),
  ]);
  const response = await server.send({ headers: { traceparent: `00-${trace}-00f067aa0ba902b7-01` } });
  const own = response.headers.get("traceparent") ?? "";
  assert.match(own, new RegExp(`^00-${trace}-[0-9a-f]{16}-01$`));
  assert(!own.includes("00f067aa0ba902b7"), "a part of its own");
  assert.deepEqual(server.lines.map(({ traceparent }) => traceparent), [own, own]);
  for (
    const none of [
      "",
      "canary",
      `00-${trace.toUpperCase()}-00f067aa0ba902b7-01`,
      `00-${"0".repeat(32)}-00f067aa0ba902b7-01`,
      `00-${trace}-${"0".repeat(16)}-01`,
      `ff-${trace}-00f067aa0ba902b7-01`,
      `00-${trace}-00f067aa0ba902b7-01-more`,
    ]
  ) {
    const { headers } = await server.send({ headers: { traceparent: none } });
    assert.equal(headers.get("traceparent"), null, none);
  }
  assert(server.lines.slice(2).every((line) => !("traceparent" in line)));
});

Deno.test("a request is counted once with its status and code, its time, and the isolate's first as a cold start", async () => {
  const server = await testServer([read(), create(failing(new Error("a bug")))]);
  await server.send();
  await server.send();
  await server.send({ ...post });
  await server.send({ as: "nobody", headers: { apikey: "wrong" } });
  await server.send({ method: "OPTIONS" });
  await server.settled();
  const rows = server.metrics.take();
  const counted = rows.filter(({ name }) => name === "requests").map((
    { labels, count },
  ) => [...Object.values(labels), count]);
  assert.deepEqual(counted, [
    ["example", "200", "none", 2],
    ["example", "500", "ERR_6003", 1],
    ["example", "401", "ERR_4005", 1],
    ["example", "204", "none", 1],
  ]);
  const [seconds] = rows.filter(({ name }) => name === "request_seconds");
  assert.deepEqual([seconds?.labels, seconds?.count], [{ endpoint: "example" }, 5]);
  const [cold] = rows.filter(({ name }) => name === "cold_starts");
  assert.deepEqual([cold?.labels, cold?.count], [{ endpoint: "example" }, 1]);
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
    // What a port finds, such as data that a procedure does not promise.
    withRuntime(({ onBreach }) => onBreach("data_breaks_contract", new Error("it is not there"))),
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
  const cacheControl = "private, max-age=60, stale-if-error=0";
  let ok = true;
  const server = await testServer([
    read({
      cache: { maxAgeSeconds: 60, staleIfErrorSeconds: 0 },
      service: () => Promise.resolve({ status: 200, body: { ok } }),
    }),
  ]);
  const etag = (await server.send()).headers.get("etag");
  for (const known of [`${etag}`, `W/${etag}`, `"x", ${etag}`, "*"]) {
    const response = await server.send({ headers: { "If-None-Match": known } });
    assert.deepEqual([response.status, response.body], [304, null], known);
    assert.equal(response.headers.get("etag"), etag);
    assert.equal(response.headers.get("cache-control"), cacheControl);
  }
  const unquoted = await server.send({ headers: { "If-None-Match": `"x", ${etag?.slice(1, -1)}` } });
  assert.equal(unquoted.status, 200);
  ok = false;
  server.clock.advance(60_000);
  const changed = await server.send({ headers: { "If-None-Match": `${etag}` } });
  assert.equal(changed.status, 200);
  assert.equal(changed.headers.get("cache-control"), cacheControl);
  const refused = await server.send({ path: "example?unknown=1" });
  assert.equal(refused.headers.get("cache-control"), "no-store", "errors are never cached");
});
