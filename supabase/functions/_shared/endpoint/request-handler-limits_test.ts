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

/** A keyed POST before a database that refuses while it is told to. */
async function keyedServer(policy = "writes") {
  const database = { asked: 0, refuses: false };
  const server = await testServer([
    create({
      response: { 200: z.looseObject({}) },
      ...withRuntime((runtime) => {
        runtime.beforeCall();
        database.asked += 1;
        if (database.refuses) throw new AppError("ERR_4004", { details: { policy, retry_after: 30 } });
      }),
    }),
  ]);
  const send = (key: string, prompt = "a red fox") =>
    server.send({ ...post, headers: { "Idempotency-Key": key }, json: { prompt } });
  return { database, server, send };
}

Deno.test("a refusal is the caller's at this operation: 200 fresh keys cost the database one question", async () => {
  const { database, send } = await keyedServer();
  database.refuses = true;
  for (let key = 0; key < 200; key++) {
    const response = await send(`fresh-key-${key}`, `fox ${key}`);
    assert.equal(response.status, 429);
    assert.deepEqual((await errorOf(response)).details, { policy: "writes", retry_after: 30 });
  }
  assert.equal(database.asked, 1);
});

Deno.test("a key that this isolate has answered is asked for while a refusal holds: its replay costs nothing", async () => {
  const { database, server, send } = await keyedServer();
  assert.equal((await send("answered")).status, 200);
  database.refuses = true;
  assert.equal((await send("refused")).status, 429);
  database.refuses = false;
  assert.equal((await send("answered")).status, 200);
  assert.equal(
    (await send("answered", "a blue fox")).status,
    200,
    "which request it was, the database knows",
  );
  assert.equal((await send("refused")).status, 429, "a key that was refused has no outcome");
  assert.equal((await send("unknown")).status, 429);
  const other = await server.issuer.sign({ sub: crypto.randomUUID() });
  const theirs = await server.send({ ...post, headers: { "Idempotency-Key": "answered" }, token: other });
  assert.equal(theirs.status, 200);
  assert.equal(database.asked, 5);
  server.clock.advance(30_000);
  assert.equal((await send("refused")).status, 200);
});

Deno.test("a business refusal is an answer, too, and what may be tried again is none", async () => {
  for (const [code, isAnswer] of [["ERR_4001", true], ["ERR_6001", false]] as const) {
    const outcomes: (AppError | null)[] = [
      new AppError(code, { details: { required: 1, available: 0 } }),
      new AppError("ERR_4004", { details: { policy: "writes", retry_after: 30 } }),
      null,
    ];
    const server = await testServer([
      create({
        response: { 200: z.looseObject({}) },
        ...withRuntime((runtime) => {
          runtime.beforeCall();
          const outcome = outcomes.shift();
          if (outcome) throw outcome;
        }),
      }),
    ]);
    const statuses: number[] = [];
    for (const key of ["first", "second", "first"]) {
      statuses.push((await server.send({ ...post, headers: { "Idempotency-Key": key } })).status);
    }
    assert.deepEqual(statuses.slice(1), [429, isAnswer ? 200 : 429], code);
  }
});

Deno.test("a limit that is met after some of several is not remembered, since fewer may be had", async () => {
  for (const [index, asked] of [[0, 1], [1, 2]] as const) {
    const database = { asked: 0 };
    const act = (runtime: Runtime) => {
      runtime.beforeCall();
      database.asked += 1;
      throw new AppError("ERR_4004", { details: { policy: "writes", retry_after: 30, index } });
    };
    const server = await testServer([read({ auth: "user", policies: ["writes"], ...withRuntime(act) })]);
    assert.equal((await errorOf(await server.send())).details.index, index);
    assert.equal((await server.send()).status, 429);
    assert.equal(database.asked, asked, `index ${index}`);
  }
});

Deno.test("a policy that asks how much is wanted is remembered for that much", async () => {
  const { database, send } = await keyedServer("admin_credits");
  database.refuses = true;
  await send("key-1", "9999");
  await send("key-2", "9999");
  assert.equal(database.asked, 1);
  database.refuses = false;
  assert.equal((await send("key-3", "1")).status, 200);
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
