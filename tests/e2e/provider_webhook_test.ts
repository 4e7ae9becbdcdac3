/**
 * Webhooks made by hand, against the running backend: who knows a URL, a signature or an account that is not theirs
 * changes nothing.
 */
import assert from "node:assert/strict";
import { eventually } from "./eventually.ts";
import { type Answer, errorOf } from "./support/answer.ts";
import { startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import {
  type Delivery,
  deliveryOf,
  makeUntold,
  send,
  sign,
  type Signing,
  type Untold,
} from "./support/fal-webhook.ts";
import { ended, priceOfKling, videoStatus } from "./support/videos.ts";

const backend = shared(startBackend);

async function untold(prompt: string): Promise<Untold> {
  const guest = await backend.signIn(priceOfKling);
  return await makeUntold(backend, guest, prompt);
}

/** The success of a request, signed as fal signs. */
async function delivery(video: Untold, signing: Partial<Signing> = {}, videoUrl?: string): Promise<Delivery> {
  return await deliveryOf(backend, video, signing, videoUrl);
}

async function strangersKey(): Promise<JsonWebKey> {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  assert("privateKey" in pair);
  return await crypto.subtle.exportKey("jwk", pair.privateKey);
}

async function deliver(delivery: Delivery, method = "POST"): Promise<Answer> {
  return await send(backend, delivery, method);
}

/** All that a webhook could change. */
async function everything(): Promise<unknown> {
  const { sql } = backend.database;
  return {
    jobs: await sql`select * from videos.jobs order by id`,
    submissions: await sql`select * from videos.submissions order by id`,
    events: await sql`select * from videos.provider_events order by event_id`,
    tasks: await sql`select * from queue.tasks order by id`,
    transfers: await sql`select * from credits.transfers order by id`,
  };
}

type Forgery = (real: Delivery, about: { video: Untold; other: Untold }) => Delivery | Promise<Delivery>;

const withParameter = (delivery: Delivery, name: string, value: string | null): Delivery => {
  const url = new URL(delivery.url);
  if (value === null) url.searchParams.delete(name);
  else url.searchParams.set(name, value);
  return { ...delivery, url };
};
const withHeader = (delivery: Delivery, name: string, value: string): Delivery => ({
  ...delivery,
  headers: { ...delivery.headers, [name]: value },
});
/** Another character of the same alphabet, in the middle, where every bit counts. */
const altered = (text: string) => {
  const middle = Math.floor(text.length / 2);
  return text.slice(0, middle) + (text[middle] === "a" ? "b" : "a") + text.slice(middle + 1);
};
const minutes = (count: number) => Math.floor(Date.now() / 1000) + count * 60;

const forgeries: Record<string, Forgery> = {
  "with an altered token": (real) =>
    withParameter(real, "token", altered(real.url.searchParams.get("token") ?? "")),
  "with an empty token": (real) => withParameter(real, "token", ""),
  "with the token of another submission": (real, { other }) =>
    withParameter(real, "token", other.url.searchParams.get("token")),
  "with its token, for another submission": (real, { other }) =>
    withParameter(real, "submission_id", other.url.searchParams.get("submission_id")),
  "with its token, for another owner": (real) => withParameter(real, "owner", crypto.randomUUID()),
  "with its token, for another provider": (real) => withParameter(real, "provider", "runway"),
  "with an altered signature": (real) =>
    withHeader(real, "x-fal-webhook-signature", altered(real.headers["x-fal-webhook-signature"] ?? "")),
  "with an empty signature": (real) => withHeader(real, "x-fal-webhook-signature", ""),
  "without a signature": ({ headers: { "x-fal-webhook-signature": _, ...headers }, ...real }) => ({
    ...real,
    headers,
  }),
  "with a stranger's signature": async (_, { video }) => await delivery(video, { key: await strangersKey() }),
  "with an altered body": (real) => ({ ...real, body: real.body.replace('"OK"', '"ERROR"') }),
  "with another request's id in its header": (real, { other }) =>
    withHeader(real, "x-fal-webhook-request-id", other.requestId),
  "signed six minutes ago": (_, { video }) => delivery(video, { timestamp: minutes(-6) }),
  "signed six minutes ahead": (_, { video }) => delivery(video, { timestamp: minutes(6) }),
  "signed six minutes ago, with a fresh timestamp in its header": async (_, { video }) =>
    withHeader(await delivery(video, { timestamp: minutes(-6) }), "x-fal-webhook-timestamp", `${minutes(0)}`),
  "for another account, rightly signed by fal": (_, { video }) =>
    delivery(video, { accountId: crypto.randomUUID() }),
  "for another account, with our account in its header": async (_, { video }) =>
    withHeader(
      await delivery(video, { accountId: crypto.randomUUID() }),
      "x-fal-webhook-user-id",
      backend.keys.falAccountId,
    ),
  "whose body, rightly signed, is no event": async (_, { video }) => ({
    url: video.url,
    body: "[]",
    headers: await sign(backend, "[]", { requestId: video.requestId }),
  }),
};

Deno.test("a forged webhook is refused by 401 and changes nothing, and the genuine one still counts after it", async (t) => {
  const [video, other] = await Promise.all([untold("Told by hand"), untold("Never told")]);
  const genuine = await delivery(video);
  const before = await everything();
  for (const [name, forge] of Object.entries(forgeries)) {
    await t.step(name, async () => {
      const answer = await deliver(await forge(genuine, { video, other }));
      assert.equal(answer.status, 401);
      assert.deepEqual(errorOf(answer, "ERR_4005").details, {}, "nothing tells what was wrong");
      assert.deepEqual(await everything(), before);
    });
  }
  await t.step("without a token, or by GET, it is no request at all", async () => {
    errorOf(await deliver(withParameter(genuine, "token", null)), "ERR_4008");
    errorOf(await deliver(genuine, "GET"), "ERR_4014");
    assert.deepEqual(await everything(), before);
  });

  const answer = await deliver(genuine);
  assert.deepEqual([answer.status, answer.body], [200, { received: true }]);
  assert.equal((await ended(backend, video.guest, video.jobId)).status, "completed");
  assert.equal((await videoStatus(other.guest, other.jobId)).status, "processing");
  await backend.proveLedger();
});

Deno.test("a webhook that is played again is answered 200 and changes nothing", async () => {
  const video = await untold("Told twice");
  const genuine = await delivery(video);
  await deliver(genuine);
  await ended(backend, video.guest, video.jobId);
  const before = await everything();
  // As it was, and signed anew, as fal's own repeats are.
  for (const again of [genuine, await delivery(video, { timestamp: minutes(1) })]) {
    const answer = await deliver(again);
    assert.deepEqual([answer.status, answer.body], [200, { received: true }]);
    assert.deepEqual(await everything(), before);
  }
});

Deno.test("a genuine event of another request is stored, and moves neither job", async () => {
  const [video, other] = await Promise.all([untold("Told the wrong story"), untold("The other story")]);
  const { body, headers } = await delivery(other);
  const answer = await deliver({ url: video.url, body, headers });
  assert.equal(answer.status, 200);
  const events = await backend.database.sql<{ effect: string }[]>`
    select effect from videos.provider_events where request_id = ${other.requestId}`;
  assert.deepEqual(events.map(({ effect }) => effect), ["ignored"]);
  for (const { guest, jobId } of [video, other]) {
    assert.equal((await videoStatus(guest, jobId)).status, "processing");
  }
});

Deno.test("a result on a host that is not the provider's is never fetched", async () => {
  let asked = 0;
  const stranger = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    asked++;
    return new Response("here");
  });
  await using _stranger = { [Symbol.asyncDispose]: () => stranger.shutdown() };
  const { mediaUrl } = backend.stack.simulators.fal;
  const here = `127.0.0.1:${stranger.addr.port}`;
  for (const url of [`http://${here}/video.mp4`, mediaUrl.replace("127.0.0.1", "localhost") + "/video.mp4"]) {
    const video = await untold(`A video at ${url}`);
    assert.equal((await deliver(await delivery(video, {}, url))).status, 200);
    await eventually("the operator is told", async () => {
      const [alert] = await backend.database.sql`
        select from ops.open_alerts as a where a.subject = ${`fal ${new URL(url).host}`}`;
      return alert;
    });
    assert.equal((await videoStatus(video.guest, video.jobId)).status, "processing");
  }
  const url = `${mediaUrl.replace("//", `//${here}@`)}/video.mp4`;
  const video = await untold(`A video at ${url}`);
  assert.equal((await deliver(await delivery(video, {}, url))).status, 200);
  const job = await ended(backend, video.guest, video.jobId);
  assert.deepEqual([job.error?.code, job.error?.details], ["ERR_5003", { reason: "invalid_result" }]);
  assert.equal(await backend.balanceOf(video.guest), priceOfKling);
  assert.equal(asked, 0);
  await backend.proveLedger();
});
