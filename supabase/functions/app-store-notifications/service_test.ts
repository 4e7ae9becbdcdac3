import assert from "node:assert/strict";
import { serveWithAppStore } from "../_shared/testing/app-store/server.ts";
import {
  notificationPayload,
  testAppStore,
  transactionPayload,
} from "../_shared/testing/app-store/signed-data.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { testServer } from "../_shared/testing/server.ts";
import endpoint from "./index.ts";
import { receiveNotification } from "./service.ts";

const store = await testAppStore();

/** The endpoint before a database that does this with what it is told. */
async function serve(answer: unknown = { data: { effect: "handled" } }) {
  const { server, calls } = await serveWithAppStore(endpoint.operations, store, {
    app_store_notifications: () => answer,
  });
  const send = (body: string) =>
    server.send({ method: "POST", path: "app-store-notifications", as: "nobody", body });
  return { calls, send };
}

async function signedNotification(changes: Record<string, unknown> = {}) {
  const signedTransactionInfo = await store.sign(transactionPayload());
  return await store.sign(notificationPayload({ data: { signedTransactionInfo }, ...changes }));
}

Deno.test("what Apple signed is one call, whose answer is 200 whatever was done with it, without other credentials", async () => {
  for (const effect of ["handled", "stored", "replayed"] as const) {
    for (const type of ["ONE_TIME_CHARGE", "REFUND", "TEST", "NOT_YET_KNOWN"]) {
      const { calls, send } = await serve({ data: { effect } });
      const signedPayload = await signedNotification({ notificationType: type });
      const answer = await send(JSON.stringify({ signedPayload, newField: 1 }));
      assert.deepEqual([answer.status, await answer.json()], [200, { received: true }]);
      assert.equal(calls.length, 1);
      const notification = calls[0]?.args["p_notification"] as Record<string, Record<string, unknown>>;
      assert.equal(notification["type"], type);
      assert.equal(notification["transaction"]?.["transaction_id"], "2000000900000001");
    }
  }
});

Deno.test("what nobody signed, somebody else signed, or is another app's, is 401 and not stored", async () => {
  const stranger = await testAppStore();
  const bodies = [
    "",
    "{}",
    "[]",
    "null",
    "not json",
    JSON.stringify({ signedPayload: 1 }),
    JSON.stringify({ signedPayload: "a.b.c" }),
    JSON.stringify({ signedPayload: await stranger.sign(notificationPayload()) }),
    JSON.stringify({
      signedPayload: await store.sign(notificationPayload({ data: { bundleId: "com.example.x" } })),
    }),
    // Signed by Apple around something that is not.
    JSON.stringify({
      signedPayload: await store.sign(
        notificationPayload({ data: { signedTransactionInfo: await stranger.sign(transactionPayload()) } }),
      ),
    }),
  ];
  for (const body of bodies) {
    const { calls, send } = await serve();
    const answer = await send(body);
    assert.deepEqual([answer.status, (await answer.json()).error.code], [401, "ERR_4005"], body.slice(0, 40));
    assert.deepEqual(calls, []);
  }
});

Deno.test("whoever proves nothing is a stranger: beyond 300 in a minute of a network, they are told to wait", async () => {
  const { send } = await serve();
  const statuses = new Set<number>();
  for (let count = 0; count < 301; count++) statuses.add((await send("{}")).status);
  assert.deepEqual([...statuses], [401, 429]);
  const signedPayload = await signedNotification();
  assert.equal(
    (await send(JSON.stringify({ signedPayload }))).status,
    200,
    "Apple is not stopped by strangers",
  );
});

Deno.test("what Xcode signed on somebody's machine is nobody's word elsewhere", async () => {
  for (const environment of ["Xcode", "LocalTesting"]) {
    const signedPayload = await store.sign(notificationPayload({ data: { environment } }));
    const context = testContext("signed", { database: fakeDatabase({}).database });
    const config = { ...context.config, appStore: store.configuration };
    const body = new TextEncoder().encode(JSON.stringify({ signedPayload }));
    await assert.rejects(
      receiveNotification({ body, headers: new Headers(), query: undefined }, { ...context, config }),
      { code: "ERR_4005", cause: "wrong_environment" },
    );
  }
});

Deno.test("a database that is away, or an app that nobody named, makes Apple send it again", async () => {
  const body = JSON.stringify({ signedPayload: await signedNotification() });
  const { send } = await serve(new Response("", { status: 503 }));
  assert.equal((await send(body)).status, 503);
  const nameless = await testServer(endpoint.operations);
  const answer = await nameless.send({ method: "POST", path: "app-store-notifications", as: "nobody", body });
  assert.equal(answer.status, 503);
});
