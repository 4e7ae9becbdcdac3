import assert from "node:assert/strict";
import { exportPKCS8, generateKeyPair, jwtVerify } from "jose";
import { settableClock } from "../testing/clock.ts";
import { deviceCheck, type UpdateOutcome } from "./device-check.ts";

const pair = await generateKeyPair("ES256", { extractable: true });
const privateKey = await exportPKCS8(pair.privateKey);

interface Sent {
  url: string;
  authorization: string;
  body: Record<string, unknown>;
}

/** An adapter whose requests are answered in turn, and what it sent. */
function fakeApple(...answers: (() => Response | Promise<Response>)[]) {
  const clock = settableClock();
  const sent: Sent[] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const request = new Request(input, init);
    sent.push({
      url: request.url,
      authorization: request.headers.get("authorization") ?? "",
      body: await request.json(),
    });
    const answer = answers.shift();
    assert(answer, "an answer");
    return await answer();
  };
  const config = {
    teamId: "TEAM123456",
    deviceCheck: { url: "https://api.devicecheck.apple.com", keyId: "KEY1234567", privateKey },
  };
  return { clock, sent, answers, apple: deviceCheck({ config, fetch, now: clock.now }) };
}

const text = (body: string, status = 200) => () => new Response(body, { status });
const state = (bit0: boolean, bit1: boolean) => () =>
  Response.json({ bit0, bit1, last_update_time: "2026-11" });
const broken = () => Promise.reject(new TypeError("fetch failed"));

Deno.test("a query is what Apple asks for, signed with our key", async () => {
  const { apple, sent, clock } = fakeApple(state(true, false));
  assert.deepEqual(await apple.query("dG9rZW4="), { outcome: "bits", known: true, bit0: true, bit1: false });
  const [request] = sent;
  assert(request);
  assert.equal(request.url, "https://api.devicecheck.apple.com/v1/query_two_bits");
  const { transaction_id, ...body } = request.body;
  assert.deepEqual(body, { device_token: "dG9rZW4=", timestamp: clock.now() });
  assert.match(String(transaction_id), /^[0-9a-f-]{36}$/);
  const { payload, protectedHeader } = await jwtVerify(
    request.authorization.replace(/^Bearer /, ""),
    pair.publicKey,
    { currentDate: new Date(clock.now()) },
  );
  assert.deepEqual(payload, { iss: "TEAM123456", iat: clock.now() / 1000 - 60 });
  assert.deepEqual(protectedHeader, { alg: "ES256", kid: "KEY1234567" });
});

Deno.test("an update sends both bits", async () => {
  const { apple, sent } = fakeApple(text(""));
  assert.deepEqual(await apple.update("dG9rZW4=", { bit0: true, bit1: false }), { outcome: "updated" });
  assert.equal(sent[0]?.url, "https://api.devicecheck.apple.com/v1/update_two_bits");
  const { bit0, bit1 } = sent[0]?.body ?? {};
  assert.deepEqual([bit0, bit1], [true, false]);
});

Deno.test("a device whose bits were never set is fresh, in either of Apple's words", async () => {
  const texts = [
    "Failed to find bit state",
    "Bit State Not Found",
    "bit state not found\n",
    "FAILED TO FIND BIT STATE",
  ];
  for (const each of texts) {
    const { apple } = fakeApple(text(each));
    const fresh = { outcome: "bits", known: false, bit0: false, bit1: false };
    assert.deepEqual(await apple.query("dG9rZW4="), fresh, each);
  }
});

Deno.test("a token that Apple refuses is refused, and our own fault is not the device's", async () => {
  const cases = [
    ["Missing or incorrectly formatted device token payload", "refused"],
    ["Bad Device Token", "refused"],
    ["Missing or badly formatted authorization token", "unavailable"],
    ["Missing or incorrectly formatted bits", "unavailable"],
    ["Missing or incorrectly formatted time stamp", "unavailable"],
  ] as const;
  for (const [words, expected] of cases) {
    const query = fakeApple(text(words, 400));
    assert.equal((await query.apple.query("x")).outcome, expected, words);
    assert.equal(query.sent.length, 1, "asked once");
  }
});

Deno.test("what Apple does not say clearly is neither fresh nor claimed", async () => {
  const answers: Record<string, () => Response | Promise<Response>> = {
    "an unknown text": text("It works!"),
    "an empty body": text(""),
    "JSON without bits": text("{}"),
    "bits that are no booleans": text('{"bit0":1,"bit1":0}'),
    "a text that only contains Apple's": text("<p>Failed to find bit state</p>"),
    "our key is not known": text("Unable to verify authorization token", 401),
    "too many requests": text("Too Many Requests", 429),
    "a redirect": () => new Response(null, { status: 302, headers: { location: "https://elsewhere" } }),
    "a body too long": text("x".repeat(16 * 1024 + 1)),
  };
  for (const [name, answer] of Object.entries(answers)) {
    const { apple } = fakeApple(answer, answer);
    assert.equal((await apple.query("x")).outcome, "unavailable", name);
  }
});

Deno.test("an update that was not made is told from one of which nobody knows", async () => {
  const noConnection = () => Promise.reject(new TypeError("fetch failed: client error (Connect)"));
  const cases: [string, () => Response | Promise<Response>, UpdateOutcome["outcome"]][] = [
    ["no body", text(""), "updated"],
    ["a refused token", text("Missing or incorrectly formatted device token payload", 400), "not_updated"],
    ["refused bits", text("Missing or incorrectly formatted bits", 400), "not_updated"],
    ["an unknown key", text("Unable to verify authorization token", 401), "not_updated"],
    ["no such call", text("Not Found", 404), "not_updated"],
    ["too many requests", text("Too Many Requests", 429), "not_updated"],
    ["no connection", noConnection, "not_updated"],
    ["a request too slow", text("", 408), "unknown"],
    ["a page", text("\n<html>It works!</html>"), "unknown"],
    ["a redirect", () => new Response(null, { status: 302, headers: { location: "https://x" } }), "unknown"],
    ["an error", text("", 500), "unknown"],
    ["overloaded", text("", 503), "unknown"],
    ["a closed connection", broken, "unknown"],
    ["a body too long", text("x".repeat(16 * 1024 + 1)), "unknown"],
  ];
  for (const [name, answer, expected] of cases) {
    const { apple, sent } = fakeApple(answer);
    assert.equal((await apple.update("x", { bit0: true, bit1: true })).outcome, expected, name);
    assert.equal(sent.length, 1, name);
  }
});

Deno.test("an update whose time is up is not sent, and one that runs out of time is one of which nobody knows", async () => {
  const late = fakeApple();
  const outcome = await late.apple.update("x", { bit0: true, bit1: false }, { signal: AbortSignal.abort() });
  assert.equal(outcome.outcome, "not_updated");
  assert.equal(late.sent.length, 0);

  const controller = new AbortController();
  const { apple, sent } = fakeApple(() => {
    controller.abort();
    return broken();
  });
  const running = await apple.update("x", { bit0: true, bit1: false }, { signal: controller.signal });
  assert.equal(running.outcome, "unknown");
  assert.equal(sent.length, 1);
});

Deno.test("what is told of Apple's answer is what it is about, and never its text", async () => {
  const told: [string, number, string][] = [
    ["Missing or incorrectly formatted device token payload", 400, "Apple answered 400: device token"],
    ["Unable to verify authorization token", 401, "Apple answered 401: authorization token"],
    ["Missing or incorrectly formatted bits", 400, "Apple answered 400: bits"],
    ["The token dG9rZW4= of jane@example.com", 400, "Apple answered 400"],
    ["dG9rZW4=", 403, "Apple answered 403"],
  ];
  for (const [body, status, cause] of told) {
    const answer = await fakeApple(text(body, status)).apple.query("dG9rZW4=");
    assert("cause" in answer);
    assert.equal(answer.cause, cause);
  }
});

Deno.test("a query that Apple did not answer is sent once more, as the same transaction", async () => {
  for (const failure of [broken, text("", 500)]) {
    const { apple, sent } = fakeApple(failure, state(false, true));
    assert.deepEqual(await apple.query("x"), { outcome: "bits", known: true, bit0: false, bit1: true });
    assert.equal(sent[0]?.body.transaction_id, sent[1]?.body.transaction_id);
  }
  const { apple, sent } = fakeApple(broken, broken);
  assert.equal((await apple.query("x")).outcome, "unavailable");
  assert.equal(sent.length, 2);
});

Deno.test("a query whose time is up is not sent again", async () => {
  const { apple, sent } = fakeApple(broken);
  const outcome = await apple.query("x", { signal: AbortSignal.abort() });
  assert.equal(outcome.outcome, "unavailable");
  assert(sent.length <= 1);
});

Deno.test("our token is signed anew after 25 minutes, or when Apple does not take it", async () => {
  const { apple, sent, clock, answers } = fakeApple();
  const ask = async (answer: () => Response) => {
    answers.push(answer);
    await apple.query("x");
    return sent.at(-1)?.authorization;
  };
  const first = await ask(state(false, false));
  clock.advance(25 * 60_000 - 1);
  assert.equal(await ask(state(false, false)), first);
  clock.advance(1);
  const second = await ask(text("Unable to verify authorization token", 401));
  assert.notEqual(second, first);
  clock.advance(1_000);
  assert.notEqual(await ask(state(false, false)), second);
});

Deno.test("a key that cannot sign makes Apple unavailable", async () => {
  const config = {
    teamId: "T",
    deviceCheck: { url: "https://a.example.com", keyId: "K", privateKey: "no key" },
  };
  const apple = deviceCheck({ config, fetch: () => Promise.reject(new Error("never sent")) });
  assert.equal((await apple.query("x")).outcome, "unavailable");
  assert.equal((await apple.update("x", { bit0: true, bit1: false })).outcome, "not_updated");
});
