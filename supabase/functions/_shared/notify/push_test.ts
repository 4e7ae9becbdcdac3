import assert from "node:assert/strict";
import type { Arguments } from "../database/call.ts";
import { languages } from "../errors/languages.ts";
import { channelsOf, eventType, eventTypeNames } from "../events/catalogue.ts";
import { NeedsOperator, type Task } from "../queue/task.ts";
import { fakeDatabase } from "../testing/database.ts";
import { recordingLogger } from "../testing/log.ts";
import type { Push, PushAnswer } from "./apns.ts";
import { deliverPush, type PushedEvent, pushOf, pushPayload } from "./push.ts";

const eventId = "0197a3c1-5b2e-7c40-8f13-6d9be0a4c701";
const deliveryId = "0197a3c1-5b2e-7c40-8f13-6d9be0a4c702";
const devices = ["a", "b", "c"].map((digit, index) => ({
  token: digit.repeat(64),
  environment: "production" as const,
  registered_at: "2026-11-20T12:00:00.123456+00:00",
  apns_id: `00000000-0000-0000-0000-00000000000${index}`,
}));
const [first, second, third] = devices;

function event(type: string, data: Record<string, unknown>): PushedEvent {
  return { id: eventId, type, data, created_at: "2026-11-21T12:00:00.000Z" };
}

const completed = event("video.completed", { ...Object(eventType("video.completed").example()) });

function task(facts: unknown, payload: unknown = {}): Task {
  const common = { task_id: 7, kind: "deliver_push", subject: deliveryId, owner_id: null, attempt: 2 };
  return { ...common, payload, facts };
}

/** What a task does where Apple answers so, in the order of the devices. */
async function deliver(
  answers: readonly PushAnswer[] | null,
  {
    facts = { event: completed, language: "es", devices },
    payload = {},
    signal = new AbortController().signal,
  }: {
    facts?: unknown;
    payload?: unknown;
    signal?: AbortSignal;
  } = {},
) {
  const pushes: Push[] = [];
  const finished: Arguments<"finish_push">[] = [];
  const { database } = fakeDatabase({
    finish_push: (args) => {
      finished.push(args);
      return { outcome: null };
    },
  });
  const { log, lines } = recordingLogger(() => 0);
  const apns = answers === null ? null : {
    send: (push: Push): Promise<PushAnswer> => {
      pushes.push(push);
      const answer = answers[devices.findIndex(({ token }) => token === push.token)];
      return Promise.resolve(answer ?? { outcome: "sent", environment: push.environment });
    },
  };
  let failure: unknown = null;
  try {
    await deliverPush(task(facts, payload), { database, apns }, { log, signal });
  } catch (error) {
    failure = error;
  }
  return { pushes, finished: finished[0], failure, lines };
}

Deno.test("a payload has words of each language, what a tap opens, and no more than Apple takes, whatever the event holds", () => {
  const canary = "canary";
  for (const name of eventTypeNames.filter((name) => channelsOf(name).includes("push"))) {
    const example: Record<string, unknown> = { ...Object(eventType(name).example()) };
    const said = languages.map((language) => {
      const payload = JSON.parse(
        pushPayload(event(name, { ...example, prompt: canary, note: canary }), language),
      );
      assert.deepEqual(Object.keys(payload).sort(), ["aps", "data", "id", "type"]);
      assert.deepEqual([payload.id, payload.type], [eventId, name]);
      const { job_id, transaction_id } = example;
      assert.deepEqual(payload.data, job_id === undefined ? { transaction_id } : { job_id });
      return `${payload.aps.alert.title}: ${payload.aps.alert.body}`;
    });
    assert.equal(new Set(said).size, languages.length, name);
    assert.doesNotMatch(said.join(), /canary|[{}]|undefined/);
    for (
      const long of ["x".repeat(10_000), "𝒳".repeat(10_000), "\u0001".repeat(10_000), "\ud800".repeat(10_000)]
    ) {
      for (const language of languages) {
        const data = Object.fromEntries(
          Object.entries(example).map(([key, value]) => [key, key.endsWith("_id") ? value : long]),
        );
        const bytes = new TextEncoder().encode(pushPayload(event(name, data), language)).length;
        assert(bytes <= 4_096, `${name}: ${bytes} bytes`);
      }
    }
  }
  const unknown = JSON.parse(pushPayload(event("video.invented", {}), "en"));
  assert.match(unknown.aps.alert.title, /^[A-Z]/);
});

Deno.test("a push is collapsed by job, and Apple keeps it as long as its type says", () => {
  assert(first);
  const job = completed.data.job_id;
  assert.equal(pushOf(completed, first, "en").collapseId, job);
  assert.equal(pushOf(event("purchase.credited", { transaction_id: "1" }), first, "en").collapseId, null);
  for (const name of eventTypeNames) {
    const { push } = eventType(name);
    if (push === undefined) continue;
    const { expiresAt, priority } = pushOf(event(name, {}), first, "en");
    assert.equal(expiresAt, Date.parse("2026-11-21T12:00:00Z") / 1000 + push.keepHours * 3_600);
    assert.equal(priority, push.priority);
  }
});

Deno.test("each device is sent to, in its user's language, but those that have it", async () => {
  const { pushes, finished } = await deliver([], { payload: { sent: [second?.apns_id] } });
  assert.deepEqual(
    pushes.map(({ token, apnsId }) => [token, apnsId]),
    [first, third].map((device) => [
      device?.token,
      device?.apns_id,
    ]),
  );
  assert.match(pushes[0]?.payload ?? "", /vídeo/);
  assert.deepEqual(finished, {
    p_task_id: 7,
    p_attempt: 2,
    p_delivery_id: deliveryId,
    p_answers: [first, third].map((device) => ({
      token: device?.token,
      registered_at: device?.registered_at,
      apns_id: device?.apns_id,
      outcome: "sent",
      environment: "production",
    })),
  });
});

Deno.test("where one is to be tried again the task goes on, not before Apple asks for it; else it ends with Apple's reason", async () => {
  const sent: PushAnswer = { outcome: "sent", environment: "sandbox" };
  const failed = (retryAfter: number | null): PushAnswer => ({
    outcome: "failed",
    reason: "Shutdown",
    retryAfter,
  });
  const gone: PushAnswer = { outcome: "gone", reason: "Unregistered", goneAt: 1_700_000_000_000 };
  const refused: PushAnswer = { outcome: "refused", reason: "DeviceTokenNotForTopic" };
  const cases: [PushAnswer[], Partial<Arguments<"finish_push">>][] = [
    [[sent, sent, sent], {}],
    [[sent, failed(null), gone], { p_error: "Shutdown" }],
    [[failed(3), failed(60), failed(null)], { p_error: "Shutdown", p_after_seconds: 60 }],
    [[gone, refused, refused], { p_reason: "Apple answered Unregistered" }],
  ];
  for (const [answers, expected] of cases) {
    const { finished } = await deliver(answers);
    const { p_error, p_after_seconds, p_reason } = finished ?? {};
    const told = Object.entries({ p_error, p_after_seconds, p_reason }).filter(([, value]) =>
      value !== undefined
    );
    assert.deepEqual(Object.fromEntries(told), expected);
  }
  const { finished } = await deliver([gone, sent]);
  assert(Array.isArray(finished?.p_answers));
  assert.equal(Object(finished.p_answers[0]).gone_at, "2023-11-14T22:13:20.000Z");
  assert.equal(Object(finished.p_answers[1]).environment, "sandbox");
});

Deno.test("a key that Apple does not take is for the operator, and the task waits for that", async () => {
  const refused: PushAnswer = { outcome: "unauthorized", reason: "InvalidProviderToken" };
  const { failure, finished } = await deliver([refused, refused, refused]);
  assert(failure instanceof NeedsOperator);
  assert.deepEqual([failure.alert.rule, failure.alert.subject], ["push_key_refused", "APNS_KEY_ID"]);
  assert.equal(finished, undefined);
});

Deno.test("where Apple takes a key for some of the devices, which have it is kept before the operator is told", async () => {
  const { failure, finished } = await deliver([
    { outcome: "sent", environment: "sandbox" },
    { outcome: "unauthorized", reason: "BadEnvironmentKeyInToken" },
    { outcome: "gone", reason: "Unregistered", goneAt: null },
  ]);
  assert(failure instanceof NeedsOperator);
  assert.deepEqual(failure.alert.details, { reason: "BadEnvironmentKeyInToken" });
  assert.equal(finished?.p_goes_on, true);
  assert(Array.isArray(finished.p_answers));
  assert.deepEqual(
    finished.p_answers.map((answer) => [Object(answer).apns_id, Object(answer).outcome]),
    [[first?.apns_id, "sent"], [second?.apns_id, "unauthorized"], [third?.apns_id, "gone"]],
  );
});

Deno.test("without a key, without a device and without an event the delivery ends, and says why", async () => {
  const off = await deliver(null);
  assert.deepEqual(off.finished?.p_answers, []);
  assert.match(off.finished?.p_reason ?? "", /APNS_KEY/);
  const nobody = await deliver([], { facts: { event: completed, language: null, devices: [] } });
  assert.deepEqual([nobody.finished?.p_answers, nobody.finished?.p_reason], [[], undefined]);
  const gone = await deliver([], { facts: null });
  assert.deepEqual([gone.finished?.p_answers, gone.pushes], [[], []]);
});

Deno.test("what the database could not tell of a push is no delivery that is gone: the task is tried again", async () => {
  const { database, calls } = fakeDatabase();
  const { log } = recordingLogger(() => 0);
  const { facts: _, ...claimed } = task(null);
  const { signal } = new AbortController();
  await assert.rejects(deliverPush(claimed, { database, apns: null }, { log, signal }));
  assert.deepEqual(calls, []);
});

Deno.test("an attempt that has lost its task says nothing of what it could not hear", async () => {
  const abort = new AbortController();
  abort.abort();
  const { finished } = await deliver([{ outcome: "failed", reason: "aborted", retryAfter: null }], {
    signal: abort.signal,
  });
  assert.equal(finished, undefined);
});

Deno.test("no token of a device is in the log", async () => {
  const { lines } = await deliver([{ outcome: "refused", reason: "BadTopic" }]);
  assert(lines.length > 0);
  for (const { token } of devices) assert(!JSON.stringify(lines).includes(token));
});
