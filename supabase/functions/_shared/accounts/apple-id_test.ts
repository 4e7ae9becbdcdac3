import assert from "node:assert/strict";
import { exportPKCS8, generateKeyPair, jwtVerify } from "jose";
import { settableClock } from "../testing/clock.ts";
import { type AppleId, appleId } from "./apple-id.ts";

const pair = await generateKeyPair("ES256", { extractable: true });
const privateKey = await exportPKCS8(pair.privateKey);

/** An adapter whose requests are answered in turn, and the forms that it sent. */
function fakeApple(...answers: (() => Response | Promise<Response>)[]) {
  const clock = settableClock();
  const sent: { url: string; redirect: string; form: Record<string, string> }[] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const request = new Request(input, init);
    const form = Object.fromEntries(await request.formData()) as Record<string, string>;
    sent.push({ url: request.url, redirect: request.redirect, form });
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    assert(answer);
    return await answer();
  };
  const config = {
    url: "https://appleid.apple.com",
    teamId: "TEAM123456",
    clientId: "com.example.kinora",
    keyId: "KEY1234567",
    privateKey,
  };
  return { clock, sent, apple: appleId({ config, fetch, now: clock.now }) };
}

const calls: Record<string, (apple: AppleId) => Promise<unknown>> = {
  exchange: (apple) => apple.exchange("c1"),
  revoke: (apple) => apple.revoke("r1"),
};

const tokens = () => Response.json({ access_token: "a1", refresh_token: "r1", token_type: "Bearer" });
const nothing = () => new Response(null, { status: 200 });
const refusal = (error: string, status = 400) => () => Response.json({ error }, { status });

Deno.test("a code is exchanged, and what it stood for revoked, with a secret that our key signed", async () => {
  const { apple, sent, clock } = fakeApple(tokens, nothing);
  assert.deepEqual(await apple.exchange("c&1"), { refreshToken: "r1" });
  assert.deepEqual(await apple.revoke("r/1"), { revoked: true });
  const [exchanged, revoked] = sent;
  assert(exchanged && revoked);
  const { client_secret = "", ...form } = exchanged.form;
  assert.deepEqual([exchanged.url, exchanged.redirect], ["https://appleid.apple.com/auth/token", "manual"]);
  assert.deepEqual(form, { client_id: "com.example.kinora", grant_type: "authorization_code", code: "c&1" });
  assert.equal(revoked.url, "https://appleid.apple.com/auth/revoke");
  assert.deepEqual(revoked.form, {
    client_id: "com.example.kinora",
    client_secret,
    token: "r/1",
    token_type_hint: "refresh_token",
  });
  const { payload, protectedHeader } = await jwtVerify(client_secret, pair.publicKey, {
    currentDate: new Date(clock.now()),
  });
  const issuedAt = clock.now() / 1000 - 60;
  assert.deepEqual(payload, {
    iss: "TEAM123456",
    sub: "com.example.kinora",
    aud: "https://appleid.apple.com",
    iat: issuedAt,
    exp: issuedAt + 1_800,
  });
  assert.deepEqual(protectedHeader, { alg: "ES256", kid: "KEY1234567" });
});

Deno.test("a client secret is made anew before it ends, and once Apple does not take it", async () => {
  const { apple, sent, clock } = fakeApple(nothing, nothing, nothing, refusal("invalid_client"), nothing);
  const secretOf = async () => {
    await apple.revoke("r1");
    return sent.at(-1)?.form.client_secret;
  };
  const first = await secretOf();
  clock.advance(24 * 60_000);
  assert.equal(await secretOf(), first);
  clock.advance(2 * 60_000);
  const second = await secretOf();
  assert.notEqual(second, first);
  assert.equal(await secretOf(), second, "Apple does not take it");
  clock.advance(1_000);
  assert.notEqual(await secretOf(), second);
});

const failures: Record<string, [() => Response | Promise<Response>, object]> = {
  "a code or token that is none": [
    refusal("invalid_grant"),
    { failure: "refused", cause: "Apple answered 400: invalid_grant" },
  ],
  "our key": [refusal("invalid_client"), {
    failure: "unauthorized",
    cause: "Apple answered 400: invalid_client",
  }],
  "our key, by its status": [
    refusal("invalid_client", 401),
    { failure: "unauthorized", cause: "Apple answered 401: invalid_client" },
  ],
  "a client that may not": [
    refusal("unauthorized_client"),
    { failure: "unauthorized", cause: "Apple answered 400: unauthorized_client" },
  ],
  "too many requests": [
    () => new Response(null, { status: 429, headers: { "retry-after": "7" } }),
    { failure: "rate_limited", cause: "Apple answered 429", retryAfter: 7 },
  ],
  "itself": [() => new Response("<html>", { status: 503 }), {
    failure: "unavailable",
    cause: "Apple answered 503",
  }],
  "a gateway's word, which is not Apple's": [() => new Response("Bad Request", { status: 400 }), {
    failure: "unavailable",
    cause: "Apple answered 400",
  }],
  "an error that repeats what was sent": [
    refusal("The code c0123.0.mrtz.secret is not known"),
    { failure: "unavailable", cause: "Apple answered 400" },
  ],
  "elsewhere": [() => new Response(null, { status: 302, headers: { location: "https://example.com" } }), {
    failure: "unavailable",
    cause: "Apple answered 302",
  }],
  "nothing": [() => Promise.reject(new TypeError("reset by https://appleid.apple.com/auth/token")), {
    failure: "unavailable",
    cause: "reset by (address)",
  }],
  "what means nothing": [() => new Response("<html>It works!</html>"), {
    failure: "unavailable",
    cause: "Apple answered 200 with a text that is not known",
  }],
  "too much": [() => new Response("a".repeat(70_000)), {
    failure: "unavailable",
    cause: "The answer is longer than 65536 bytes",
  }],
};

for (const [what, [answer, expected]] of Object.entries(failures)) {
  Deno.test(`an answer about ${what} is told from others, and tells nothing of what was sent`, async () => {
    for (const [name, call] of Object.entries(calls)) {
      assert.deepEqual(await call(fakeApple(answer).apple), expected, name);
    }
  });
}

Deno.test("an exchange without a token that can be revoked is no exchange", async () => {
  for (
    const body of [{}, { refresh_token: "" }, { refresh_token: 1 }, { access_token: "a1" }, [], null, "r1"]
  ) {
    const { apple } = fakeApple(() => Response.json(body));
    assert.deepEqual(await apple.exchange("c1"), {
      failure: "unavailable",
      cause: "Apple answered 200 with a text that is not known",
    });
  }
});
