import assert from "node:assert/strict";
import type { FalConfig } from "../../../platform/config.ts";
import { verifyFalWebhook } from "./webhook.ts";
import bareError from "./fixtures/webhook-bare-error.json" with { type: "json" };
import cancelled from "./fixtures/webhook-cancelled.json" with { type: "json" };
import contentPolicy from "./fixtures/webhook-content-policy.json" with { type: "json" };
import error from "./fixtures/webhook-error.json" with { type: "json" };
import ok from "./fixtures/webhook-ok.json" with { type: "json" };
import payloadError from "./fixtures/webhook-payload-error.json" with { type: "json" };

const now = Date.parse("2026-11-20T12:00:00.000Z");
const seconds = now / 1000;
const minute = 60_000;
const hour = 60 * minute;
const account = "user_1";

async function keyPair() {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  assert("privateKey" in pair);
  const { kty, crv, x } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  return { privateKey: pair.privateKey, jwk: { kty, crv, x } };
}
type KeyPair = Awaited<ReturnType<typeof keyPair>>;

interface Signed {
  requestId?: string;
  account?: string;
  timestamp?: string;
  body?: unknown;
}

async function sign(key: KeyPair, signed: Signed = {}): Promise<{ body: Uint8Array; headers: Headers }> {
  const { requestId = ok.request_id, account: signer = account, timestamp = String(seconds) } = signed;
  const body = new TextEncoder().encode(JSON.stringify(signed.body ?? ok));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
  const hex = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const message = new TextEncoder().encode(`${requestId}\n${signer}\n${timestamp}\n${hex(digest)}`);
  const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", key.privateKey, message));
  const headers = new Headers({
    "X-Fal-Webhook-Request-Id": requestId,
    "X-Fal-Webhook-User-Id": signer,
    "X-Fal-Webhook-Timestamp": timestamp,
    "X-Fal-Webhook-Signature": hex(signature),
  });
  return { body, headers };
}

/** fal with these keys, which may change, and how often it was asked for them. */
function fakeFal(keys: unknown[]) {
  const config: FalConfig = {
    ...{
      key: "k",
      accountId: account,
      queueUrl: "https://queue.fal.run",
      apiUrl: "https://api.fal.ai/v1",
      resultHosts: [],
    },
    jwksUrl: "https://a.example.com/jwks.json",
  };
  const fal = { keys, asked: 0, isDown: false };
  const fetch: typeof globalThis.fetch = (_input, init) => {
    fal.asked += 1;
    assert.equal(new Headers(init?.headers).get("authorization"), null);
    return fal.isDown
      ? Promise.reject(new TypeError("fetch failed"))
      : Promise.resolve(Response.json({ keys: fal.keys }));
  };
  const verify = ({ body, headers }: { body: Uint8Array; headers: Headers }, at = now) =>
    verifyFalWebhook({ config, fetch }, body, headers, at);
  return { fal, verify };
}

const ours = await keyPair();
const stranger = await keyPair();

Deno.test("a webhook that fal signed for our account is believed, whichever of its keys it used", async () => {
  const { verify } = fakeFal([stranger.jwk, { kty: "RSA" }, "nonsense", {
    ...ours.jwk,
    kid: "2",
    use: "sig",
  }]);
  assert.deepEqual(await verify(await sign(ours)), {
    valid: true,
    event: {
      eventId: `${ok.request_id}:OK`,
      requestId: ok.request_id,
      state: { state: "succeeded", videoUrl: ok.payload.video.url, thumbnailUrl: null },
    },
  });
});

Deno.test("a webhook is refused unless everything about it is right", async () => {
  const { verify } = fakeFal([ours.jwk]);
  const genuine = await sign(ours);
  const altered = (change: (headers: Headers) => void) => {
    const headers = new Headers(genuine.headers);
    change(headers);
    return { body: genuine.body, headers };
  };
  const spaced = new TextEncoder().encode(JSON.stringify(ok, null, 1));
  const forgeries: Record<string, { body: Uint8Array; headers: Headers }> = {
    "another key": await sign(stranger),
    "another body": { ...genuine, body: new TextEncoder().encode(JSON.stringify(error)) },
    "the same body, written otherwise": { ...genuine, body: spaced },
    "another request id": altered((headers) => headers.set("x-fal-webhook-request-id", "other")),
    "another timestamp": altered((headers) => headers.set("x-fal-webhook-timestamp", String(seconds + 1))),
    "a genuine one of another account": await sign(ours, { account: "user_2" }),
    "one of another account, made ours": await (async () => {
      const other = await sign(ours, { account: "user_2" });
      other.headers.set("x-fal-webhook-user-id", account);
      return other;
    })(),
    "a timestamp too old": await sign(ours, { timestamp: String(seconds - 301) }),
    "a timestamp too new": await sign(ours, { timestamp: String(seconds + 301) }),
    "a timestamp that is no number": await sign(ours, { timestamp: "2026-11-20" }),
    "a signature that is cut": altered((headers) => headers.set("x-fal-webhook-signature", "ab")),
    "a signature that is not hex": altered((headers) =>
      headers.set("x-fal-webhook-signature", "g".repeat(128))
    ),
    "a body that is no event": await sign(ours, { body: ["hello"] }),
  };
  for (const name of ["request-id", "user-id", "timestamp", "signature"]) {
    forgeries[`no ${name}`] = altered((headers) => headers.delete(`x-fal-webhook-${name}`));
  }
  for (const [name, forgery] of Object.entries(forgeries)) {
    assert.equal((await verify(forgery)).valid, false, name);
  }
  assert.equal((await verify(genuine)).valid, true);
});

Deno.test("a timestamp may be 5 minutes off either way", async () => {
  const { verify } = fakeFal([ours.jwk]);
  for (const offset of [-300, 300]) {
    assert.equal((await verify(await sign(ours, { timestamp: String(seconds + offset) }))).valid, true);
  }
});

Deno.test("every delivery of an event has its id, and its failure another", async () => {
  const { verify } = fakeFal([ours.jwk]);
  const idOf = async (signed: Signed) => {
    const verdict = await verify(await sign(ours, signed));
    assert(verdict.valid);
    return verdict.event.eventId;
  };
  const retried = { body: { ...ok, gateway_request_id: "another" }, timestamp: String(seconds + 60) };
  assert.equal(await idOf({}), await idOf(retried));
  assert.notEqual(await idOf({}), await idOf({ body: error }));
});

Deno.test("an event tells how the generation ended, or that fal has to be asked", async () => {
  const { verify } = fakeFal([ours.jwk]);
  const stateOf = async (body: unknown) => {
    const verdict = await verify(await sign(ours, { body }));
    assert(verdict.valid);
    const { state } = verdict.event;
    return state.state === "failed" ? `${state.failure.code} ${state.failure.details.reason}` : state.state;
  };
  assert.equal(await stateOf(ok), "succeeded");
  assert.equal(await stateOf({ ...ok, payload: { seed: 1 } }), "ERR_5003 invalid_result");
  assert.equal(await stateOf(error), "ERR_5002 undefined");
  assert.equal(await stateOf(contentPolicy), "ERR_4003 provider_policy");
  assert.equal(await stateOf(cancelled), "cancelled");
  assert.equal(
    await stateOf({ ...error, payload: null, error: "Invalid status code: 500" }),
    "ERR_5002 undefined",
  );
  assert.equal(await stateOf(payloadError), "unreachable");
  assert.equal(await stateOf(bareError), "unreachable");
  assert.equal(await stateOf({ ...ok, payload: undefined }), "unreachable");
  assert.equal(await stateOf({ ...ok, status: "PAUSED" }), "unreachable");
});

Deno.test("fal's keys are kept for an hour, then asked for again", async () => {
  const { fal, verify } = fakeFal([ours.jwk]);
  const at = async (time: number) =>
    (await verify(await sign(ours, { timestamp: String(Math.floor(time / 1000)) }), time)).valid;
  assert.equal(await at(now), true);
  assert.equal(await at(now + hour), true);
  assert.equal(fal.asked, 1);
  fal.keys = [stranger.jwk];
  assert.equal(await at(now + hour + 1), false, "a key that fal withdrew");
  assert.equal(fal.asked, 2);
});

Deno.test("a new key of fal's is believed at once, yet forgeries make us ask once a minute at most", async () => {
  const { fal, verify } = fakeFal([ours.jwk]);
  const at = async (key: KeyPair, time: number) =>
    (await verify(await sign(key, { timestamp: String(Math.floor(time / 1000)) }), time)).valid;
  assert.equal(await at(ours, now), true);
  fal.keys = [ours.jwk, stranger.jwk];
  assert.equal(await at(stranger, now + minute), true, "rotated");
  assert.equal(fal.asked, 2);
  const forger = await keyPair();
  for (const later of [1, 20_000, minute - 1]) assert.equal(await at(forger, now + minute + later), false);
  assert.equal(fal.asked, 2);
  assert.equal(await at(forger, now + 2 * minute), false);
  assert.equal(fal.asked, 3);
});

Deno.test("webhooks that come together ask for the keys once", async () => {
  const { fal, verify } = fakeFal([ours.jwk]);
  const signed = await sign(ours);
  const verdicts = await Promise.all(Array.from({ length: 5 }, () => verify(signed)));
  assert.deepEqual(verdicts.map(({ valid }) => valid), Array(5).fill(true));
  assert.equal(fal.asked, 1);
});

Deno.test("without fal's keys nothing is believed, and a minute later they are asked for again", async () => {
  const { fal, verify } = fakeFal([ours.jwk]);
  fal.isDown = true;
  assert.equal((await verify(await sign(ours))).valid, false);
  fal.isDown = false;
  const later = now + minute;
  assert.equal((await verify(await sign(ours, { timestamp: String(later / 1000) }), later)).valid, true);
});
