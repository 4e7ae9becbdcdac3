import assert from "node:assert/strict";
import * as z from "zod/mini";
import { AppError } from "../errors/app-error.ts";
import type { Context, Runtime } from "./context.ts";
import { create, errorOf, failing, headers, post, read, withRuntime } from "../testing/operations.ts";
import { testServer } from "../testing/server.ts";
import { publishableKey, secretKey, userId } from "../testing/tokens.ts";

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

Deno.test("what work counts after the answer is told, though no other request comes, and also where it fails", async () => {
  for (const error of [null, new Error("It broke")]) {
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const server = await testServer([
      read({
        service: (_input: undefined, context: Context) => {
          context.waitUntil(async () => {
            await begun;
            server.metrics.count("retries", { service: "fal" });
            if (error !== null) throw error;
          });
          return Promise.resolve({ status: 200, body: {} });
        },
      }),
    ]);
    await (await server.send({ headers })).body?.cancel();
    assert.equal(server.told.length, 1, "the answer does not wait for the work, nor does what is told of it");
    begin();
    await server.settled();
    assert.deepEqual(server.told.map((names) => names.includes("retries")), [false, true]);
  }
});
