/** Whoever proves nothing: what they may cost, and what they may not. */
import assert from "node:assert/strict";
import * as z from "zod/mini";
import type { Declaration } from "./operation.ts";
import { AppError } from "../errors/app-error.ts";
import { create, errorOf, post, read } from "../testing/operations.ts";
import { type Sent, testServer } from "../testing/server.ts";

const network = { "CF-Connecting-IP": "192.0.2.7" };

const strangers: Record<string, Sent> = {
  "without credentials": { as: "nobody" },
  "with a forged token": { token: "e30.e30.e30" },
  "with a method that is not there": { method: "DELETE" },
  "below the endpoint": { path: "example/below" },
};

Deno.test("of a network's refused strangers 300 a minute are told why, and the others to wait", async () => {
  for (const [who, sent] of Object.entries(strangers)) {
    const server = await testServer([read({ auth: "user" })]);
    const send = (headers: Record<string, string> = network) => server.send({ ...sent, headers });
    for (let count = 0; count < 300; count++) assert.notEqual((await send()).status, 429, `${who} ${count}`);
    server.clock.advance(10_000);
    const refused = await send();
    assert.equal(refused.headers.get("ratelimit"), '"unauthenticated";r=0;t=50');
    assert.equal(refused.headers.get("retry-after"), "50");
    const { code, details } = await errorOf(refused);
    assert.deepEqual([code, details], ["ERR_4004", { policy: "unauthenticated", retry_after: 50 }], who);

    assert.notEqual((await send({ "CF-Connecting-IP": "192.0.2.8" })).status, 429, "another network");
    assert.equal((await server.send({ headers: network })).status, 200, "a user of the same network");
    server.clock.advance(50_000);
    assert.notEqual((await send()).status, 429, "a minute later");
    await server.settled();
    assert.deepEqual(server.recorded, []);
  }
});

Deno.test("a fault of ours before anybody is known is logged, and not written into the database", async () => {
  const accident = new Error("a bug");
  const signed: Declaration = {
    ...read(),
    method: "POST",
    auth: "signed",
    query: z.strictObject({ token: z.string() }),
    rawBody: { maxBytes: 10 },
    admit: () => Promise.reject(accident),
  };
  const server = await testServer([signed]);
  const response = await server.send({ method: "POST", path: "example?token=t", as: "nobody", body: "x" });
  assert.equal((await errorOf(response)).code, "ERR_6003");
  await server.settled();
  assert.deepEqual(server.recorded, []);
  assert.deepEqual(server.lines.map(({ level, error }) => [level, error === undefined]), [[
    "critical",
    false,
  ]]);
});

function pieces(
  pull: (count: number) => Uint8Array | Error,
): { body: ReadableStream<Uint8Array>; taken(): number } {
  let taken = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = pull(taken++);
      if (piece instanceof Error) controller.error(piece);
      else controller.enqueue(piece);
    },
  }, { highWaterMark: 0 });
  return { body, taken: () => taken };
}

Deno.test("a signed body is read once the URL has proved something, and not before", async () => {
  for (const isAdmitted of [false, true]) {
    let takenBefore = -1;
    const { body, taken } = pieces(() => new Uint8Array(1024));
    const signed: Declaration = {
      ...read(),
      method: "POST",
      auth: "signed",
      query: z.strictObject({ token: z.string() }),
      rawBody: { maxBytes: 10 },
      admit: () => {
        takenBefore = taken();
        return isAdmitted ? Promise.resolve() : Promise.reject(new AppError("ERR_4005"));
      },
    };
    const server = await testServer([signed]);
    const response = await server.send({ method: "POST", path: "example?token=t", as: "nobody", body });
    assert.equal((await errorOf(response)).code, isAdmitted ? "ERR_4013" : "ERR_4005");
    assert.equal(takenBefore, 0);
  }
});

Deno.test("a body that breaks off is its sender's affair, whatever the endpoint does with bodies", async () => {
  const signed = { auth: "signed", rawBody: { maxBytes: 1_000_000 } } as const;
  const operations: Record<string, Declaration> = {
    "that is JSON": create(),
    "that is signed": { ...read(), method: "POST", ...signed },
    "that nobody asked for": { ...read(), method: "POST" },
  };
  for (const [which, operation] of Object.entries(operations)) {
    for (const breaksAt of [0, 1, 3]) {
      const { body } = pieces((count) =>
        count === breaksAt ? new TypeError("error reading a body from connection") : new Uint8Array(10)
      );
      const server = await testServer([operation]);
      const headers = { ...post.headers, "Content-Type": "application/json" };
      const response = await server.send({ method: "POST", headers, body });
      assert.equal((await errorOf(response)).code, "ERR_4008", which);
      await server.settled();
      assert.deepEqual(server.recorded, [], which);
      assert.deepEqual(server.lines.map(({ level }) => level), ["info"], which);
    }
  }
});
