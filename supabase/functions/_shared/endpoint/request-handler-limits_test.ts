import assert from "node:assert/strict";
import * as z from "zod/mini";
import { AppError } from "../errors/app-error.ts";
import type { Limit, Runtime } from "./context.ts";
import { create, errorOf, post, read, withRuntime } from "../testing/operations.ts";
import { testServer } from "../testing/server.ts";

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
