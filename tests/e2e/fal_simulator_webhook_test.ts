import assert from "node:assert/strict";
import { holdPorts } from "../../local/ports.ts";
import { startFalSimulator } from "../../local/simulators/fal/fal.ts";
import { falProvider } from "../../supabase/functions/_shared/videos/providers/fal/fal.ts";
import { eventually } from "./eventually.ts";
import { type Delivery, ended, falConfig, type FalHarness, startFal, startReceiver } from "./fal-harness.ts";
import { elapseWhileAway } from "./support/simulator-state.ts";

const minute = 60_000;

const none = { queueMilliseconds: 0, runMilliseconds: 0 };

function delivered(fal: FalHarness, count: number): Promise<Delivery[]> {
  return eventually(`${count} deliveries`, () => {
    const { deliveries } = fal.receiver;
    return deliveries.length >= count ? deliveries : undefined;
  });
}

Deno.test("the end of a generation is told by a webhook that the adapter believes", async () => {
  await using fal = await startFal();
  const { requestId, poll } = await fal.submit();
  const [delivery] = await delivered(fal, 1);
  assert(delivery?.verdict.valid);
  assert.equal(delivery.verdict.event.requestId, requestId);
  assert.deepEqual(delivery.verdict.event.state, await poll());
});

Deno.test("a delivery that is altered on its way is not believed", async () => {
  await using fal = await startFal(none);
  await fal.submit();
  const [delivery] = await delivered(fal, 1);
  assert(delivery?.verdict.valid);
  const { body, headers } = delivery;
  const changed = (name: string, value: string) => {
    const copy = new Headers(headers);
    copy.set(name, value);
    return copy;
  };
  const otherVideo = new TextEncoder().encode(new TextDecoder().decode(body).replace("output", "0utput"));
  const verify = async (bytes: Uint8Array, head: Headers, now = Date.now()) =>
    (await fal.fal.verifyWebhook(bytes, head, now)).valid;
  assert.equal(await verify(body, headers), true);
  assert.equal(await verify(otherVideo, headers), false);
  assert.equal(await verify(body, changed("x-fal-webhook-request-id", crypto.randomUUID())), false);
  assert.equal(await verify(body, changed("x-fal-webhook-user-id", "someone")), false);
  assert.equal(await verify(body, headers, Date.now() + 6 * 60_000), false);
  for (const name of ["request-id", "user-id", "timestamp", "signature"]) {
    const copy = new Headers(headers);
    copy.delete(`x-fal-webhook-${name}`);
    assert.equal(await verify(body, copy), false, name);
  }
});

Deno.test("a receiver that fails is tried again until it takes the event", async () => {
  await using fal = await startFal(none);
  fal.receiver.answers.push(500, 503, 404);
  await fal.submit();
  const deliveries = await delivered(fal, 4);
  const ids = deliveries.map(({ verdict }) => verdict.valid ? verdict.event.eventId : null);
  assert.equal(new Set(ids).size, 1);
  const report = await eventually("it is delivered", async () => {
    const { deliveries } = await fal.simulator.control.report();
    return deliveries[0]?.state === "delivered" ? deliveries[0] : undefined;
  });
  assert.deepEqual([report.attempts, report.lastStatus], [4, 200]);
});

Deno.test("fal gives up on a redirect at once, and on a receiver that never answers well after 11 attempts", async () => {
  await using fal = await startFal({ ...none, webhookRetryMilliseconds: 1 });
  const givenUp = (count: number) =>
    eventually("it gives up", async () => {
      const { deliveries } = await fal.simulator.control.report();
      return deliveries.filter(({ state }) => state === "given_up")[count - 1];
    });
  fal.receiver.answers.push(302);
  await fal.submit();
  assert.equal((await givenUp(1)).attempts, 1);
  fal.receiver.answers.push(...Array(11).fill(500));
  await fal.submit();
  assert.equal((await givenUp(2)).attempts, 11);
});

Deno.test("a lost webhook leaves the outcome to a poll", async () => {
  await using fal = await startFal(none);
  await fal.simulator.control.rules({ webhook: "lost" });
  const { poll } = await fal.submit();
  assert.equal((await ended(poll)).state, "succeeded");
  assert.deepEqual((await fal.simulator.control.report()).deliveries, []);
});

Deno.test("a webhook can come twice, late, before the answer to its submission, or without its payload", async () => {
  await using fal = await startFal(none);
  const eventOf = (delivery: Delivery | undefined) => {
    assert(delivery?.verdict.valid);
    return delivery.verdict.event;
  };
  await fal.simulator.control.rules({ webhook: "duplicated" });
  await fal.submit();
  const [first, second] = await delivered(fal, 2);
  assert.deepEqual(eventOf(first), eventOf(second));

  await fal.simulator.control.rules({ webhook: "late", webhookMilliseconds: minute });
  const late = await fal.submit();
  assert.equal((await ended(late.poll)).state, "succeeded");
  assert.equal(fal.receiver.deliveries.length, 2, "not there yet");
  await fal.simulator.control.elapse(minute);
  assert.equal(eventOf((await delivered(fal, 3))[2]).requestId, late.requestId);

  await fal.simulator.control.rules({ webhook: "early" });
  const early = await fal.submit();
  assert.equal(eventOf(fal.receiver.deliveries[3]).requestId, early.requestId, "there before the answer");

  await fal.simulator.control.rules({ webhook: "without_payload" });
  const bare = await fal.submit();
  assert.equal(eventOf((await delivered(fal, 5))[4]).state.state, "unreachable");
  assert.equal((await bare.poll()).state, "succeeded");
});

Deno.test("a forged webhook, and a genuine one of another account, are not believed", async () => {
  await using fal = await startFal(none);
  await fal.simulator.control.rules({ webhook: "forged" }, { webhook: "other_account" });
  await fal.submit();
  await fal.submit();
  const verdicts = (await delivered(fal, 2)).map(({ verdict }) => verdict);
  assert.deepEqual(verdicts.map(({ valid }) => valid), [false, false]);
  assert.deepEqual(verdicts.map((verdict) => verdict.valid ? "" : verdict.reason).sort(), [
    "no key fits the signature",
    "the account is not ours",
  ]);
});

Deno.test("what was accepted and is still due survives a restart, with key, account and rules", async () => {
  const folder = await Deno.makeTempDir({ prefix: "kinora-fal-" });
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => Deno.remove(folder, { recursive: true }));
  const file = `${folder}/fal.json`;
  const options = { stateFile: file, queueMilliseconds: 0, runMilliseconds: minute };

  const held = cleanup.use(holdPorts());
  const ports = { port: held.take(), mediaPort: held.take() };
  const first = cleanup.use(await startFalSimulator({ ...options, ...ports }));
  const config = falConfig(first);
  const receiver = cleanup.use(startReceiver(() => config));
  const generation = {
    ...{ providerModel: "fal-ai/veo3/fast", prompt: "a kite", durationSeconds: 4, resolution: "720p" },
    ...{ aspectRatio: "16:9", imageUrl: null, videoUrl: null, fields: {}, webhookUrl: receiver.url },
  };
  await first.control.rules({ prompt: "later", times: null, outcome: "failed" });
  const outcome = await falProvider({ config, fetch }).submit(generation);
  assert(outcome.outcome === "accepted");
  await first[Symbol.asyncDispose]();
  assert.deepEqual(receiver.deliveries, []);
  await elapseWhileAway(file, minute);

  const second = cleanup.use(await startFalSimulator({ ...options, ...ports }));
  assert.deepEqual([second.url, second.key, second.accountId], [first.url, first.key, first.accountId]);
  const { verdict } = await eventually("the webhook that was due", () => receiver.deliveries[0]);
  assert(verdict.valid);
  assert.equal(verdict.event.requestId, outcome.requestId);
  const state = await falProvider({ config, fetch }).poll(
    outcome.requestId,
    outcome.references,
    "fal-ai/veo3/fast",
  );
  assert(state.state === "succeeded");
  assert.equal((await fetch(state.videoUrl, { method: "HEAD" })).status, 200);
  assert.equal((await second.control.report()).rules[0]?.prompt, "later");
});

Deno.test("a rule that does not exist is an error for whoever sets it", async () => {
  await using fal = await startFal();
  const response = await fetch(`${fal.simulator.url}/_control`, {
    method: "POST",
    body: JSON.stringify({ rules: [{ outcome: "exploded" }] }),
  });
  assert.equal(response.status, 400);
  assert.match(await response.text(), /outcome/);
});
