import assert from "node:assert/strict";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { fakeDataApi } from "../_shared/testing/data-api.ts";
import { testServer } from "../_shared/testing/server.ts";
import endpoint from "./index.ts";

const clientId = "com.example.kinora";
const { publicKey, privateKey } = await generateKeyPair("RS256", { extractable: true });
const keys = { keys: [{ ...await exportJWK(publicKey), kid: "one", use: "sig", alg: "RS256" }] };
const environment = { APP_STORE_BUNDLE_ID: clientId };

/** The endpoint before a database, and before an Apple that answers with its keys as `apple` says. */
async function serve(
  { answer = { data: { effect: "noted" } }, apple = () => Response.json(keys), changes = {} }: {
    answer?: unknown;
    apple?: () => Response | Promise<Response>;
    changes?: Record<string, string>;
  } = {},
) {
  const dataApi = fakeDataApi({ apple_identity_notifications: () => answer });
  const asked: string[] = [];
  const server = await testServer(endpoint.operations, { ...environment, ...changes }, {
    fetch: async (input, init) => {
      const { url } = new Request(input);
      if (!url.endsWith("/auth/keys")) return await dataApi.fetch(input, init);
      asked.push(url);
      return await apple();
    },
  });
  const send = (body: unknown) =>
    server.send({
      method: "POST",
      path: "apple-identity-notifications",
      as: "nobody",
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  const sign = async (event: unknown, { audience = clientId, ageSeconds = 0, jti = "jti-1" } = {}) => {
    const events = typeof event === "string" ? event : JSON.stringify(event);
    return {
      payload: await new SignJWT({ events, jti }).setProtectedHeader({ alg: "RS256", kid: "one" })
        .setIssuer("https://appleid.apple.com").setAudience(audience)
        .setIssuedAt(Math.floor(server.clock.now() / 1000) - ageSeconds).sign(privateKey),
    };
  };
  return { ...dataApi, asked, send, sign };
}

const event = { type: "consent-revoked", sub: "001.a.1", event_time: 1_700_000_000_123 };

Deno.test("what Apple signed is one call, whatever its type, and its keys are asked for once", async () => {
  const { send, sign, calls, asked } = await serve();
  for (const type of ["consent-revoked", "account-delete", "email-disabled", "something-new"]) {
    const answer = await send(await sign({ ...event, type, is_private_email: "true" }));
    assert.deepEqual([answer.status, await answer.json()], [200, { received: true }]);
  }
  assert.deepEqual(calls.map(({ args }) => args["p_notification"]), [
    ...["consent-revoked", "account-delete", "email-disabled", "something-new"].map((type) => ({
      notification_id: "jti-1",
      type,
      subject: "001.a.1",
      event_at: "2023-11-14T22:13:20.123Z",
    })),
  ]);
  assert.deepEqual(asked, ["https://appleid.apple.com/auth/keys"]);
});

Deno.test("a time in seconds is the same time", async () => {
  const { send, sign, calls } = await serve();
  await send(await sign({ ...event, event_time: 1_700_000_000 }));
  const { event_at } = calls[0]?.args["p_notification"] as { event_at: string };
  assert.equal(event_at, "2023-11-14T22:13:20.000Z");
});

Deno.test("what is no event of ours, or a week old, is 401 and no call", async () => {
  const { send, sign, calls } = await serve();
  const week = 7 * 24 * 60 * 60;
  const bodies = [
    ...["", "{}", "null", "not json", '{"payload":{}}'],
    await sign(event, { audience: "com.example.other" }),
    await sign(event, { ageSeconds: week + 61 }),
    await sign(event, { ageSeconds: -120 }),
    await sign(event, { jti: "" }),
    await sign(event, { jti: "j".repeat(256) }),
    ...await Promise.all([
      ...["", "{", "null", "[]"],
      { ...event, type: "" },
      { ...event, type: "DROP TABLE" },
      { ...event, sub: "a b\u0000" },
      { ...event, sub: undefined },
      { ...event, event_time: "now" },
      { ...event, event_time: 1e300 },
      { ...event, event_time: -1 },
    ].map((each) => sign(each))),
  ];
  for (const body of bodies) {
    const answer = await send(body);
    assert.deepEqual(
      [answer.status, (await answer.json()).error.code],
      [401, "ERR_4005"],
      JSON.stringify(body),
    );
  }
  assert.deepEqual(calls, []);
  assert.equal((await send(await sign(event, { ageSeconds: week }))).status, 200);
});

Deno.test("other apps and services of ours are named, and then the app itself only where it is among them", async () => {
  const { send, sign } = await serve({ changes: { APPLE_CLIENT_IDS: "com.example.web, com.example.mac" } });
  const statuses = [];
  for (const audience of ["com.example.web", "com.example.mac", clientId]) {
    statuses.push((await send(await sign(event, { audience }))).status);
  }
  assert.deepEqual(statuses, [200, 200, 401]);
});

Deno.test("a database or keys that are away, or an app that nobody named, make Apple send it again", async () => {
  const away = await serve({ answer: new Response("", { status: 503 }) });
  assert.equal((await away.send(await away.sign(event))).status, 503);

  const faults: (() => Response | Promise<Response>)[] = [
    () => new Response(null, { status: 403 }),
    () => new Response("<html>It works!</html>"),
    () => Response.json({ keys: "none" }),
    () => Promise.reject(new TypeError("connection refused")),
  ];
  for (const fault of faults) {
    let apple = fault;
    const { send, sign, calls } = await serve({ apple: () => apple() });
    assert.equal((await send(await sign(event))).status, 503);
    assert.deepEqual(calls, []);
    apple = () => Response.json(keys);
    assert.equal((await send(await sign(event))).status, 200, "what failed is not remembered");
  }

  for (const changes of [{ APP_STORE_BUNDLE_ID: "" }, { APPLE_ID_URL: "http://appleid.example.com" }]) {
    const { send, sign, asked } = await serve({ changes });
    assert.equal((await send(await sign(event))).status, 503);
    assert.deepEqual(asked, []);
  }
});
