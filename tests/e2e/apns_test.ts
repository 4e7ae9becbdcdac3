/** Apple's push service, simulated, and what talks to it: over HTTP/2, whatever Apple says. */
import assert from "node:assert/strict";
import {
  type ApnsRule,
  type ApnsSimulator,
  newPushToken,
  startApnsSimulator,
} from "../../local/simulators/apns/apns.ts";
import { newDeviceCheckKey } from "../../local/simulators/device-check/device-check.ts";
import {
  apnsService,
  type Push,
  type PushAnswer,
  type PushService,
} from "../../supabase/functions/_shared/notify/apns.ts";
import type { ApnsConfig } from "../../supabase/functions/_shared/platform/config.ts";

const key = await newDeviceCheckKey();
const account = { teamId: "TEAM123456", keyId: "KEY1234567" };
const topic = "com.example.kinora";
const signal = new AbortController().signal;

interface Setting extends AsyncDisposable {
  readonly simulator: ApnsSimulator;
  /** An isolate of its own, with the changes in its configuration. */
  service(changes?: Partial<ApnsConfig>, now?: () => number): PushService;
}

/** Apple, and whoever trusts its certificate. */
async function setting(): Promise<Setting> {
  await using cleanup = new AsyncDisposableStack();
  const simulator = cleanup.use(
    await startApnsSimulator({ ...account, publicKey: key.publicKey, topic }),
  );
  const running = cleanup.move();
  const clients: Deno.HttpClient[] = [];
  return {
    simulator,
    service(changes = {}, now = Date.now) {
      const client = Deno.createHttpClient({ caCerts: [simulator.authority] });
      clients.push(client);
      const urls = { production: simulator.productionUrl, sandbox: simulator.sandboxUrl };
      return apnsService({
        config: { ...account, privateKey: key.privateKey, topic, urls, ...changes },
        fetch: (input, init) => fetch(input, { ...init, client }),
        now,
      });
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.close();
      await running.disposeAsync();
    },
  };
}

function push(given: Partial<Push> = {}): Push {
  return {
    token: newPushToken(given.environment),
    environment: "production",
    apnsId: crypto.randomUUID(),
    collapseId: null,
    expiresAt: Math.floor(Date.now() / 1000) + 3600,
    priority: 10,
    payload: JSON.stringify({ aps: { alert: { title: "A title", body: "A body" } } }),
    ...given,
  };
}

function sendAll(service: PushService, pushes: readonly Push[]): Promise<PushAnswer[]> {
  return Promise.all(pushes.map((push) => service.send(push, signal)));
}

const sent = (environment: Push["environment"] = "production") => ({ outcome: "sent", environment });
const refused = (reason: string, status = 400, more = {}): ApnsRule => ({
  effect: "refused",
  status,
  reason,
  ...more,
});

Deno.test("a push goes with all that Apple asks for, and with nothing of the device's in its headers", async () => {
  await using apple = await setting();
  const job = crypto.randomUUID();
  const one = push({ collapseId: job, priority: 5 });
  const over = push({ expiresAt: 1_000 });
  assert.deepEqual(await sendAll(apple.service(), [one, over]), [sent(), sent()]);
  const { requests } = await apple.simulator.control.report();
  const of = (token: string) => requests.find((request) => request.token === token);
  assert.deepEqual(of(one.token)?.headers, {
    "apns-id": one.apnsId,
    "apns-topic": topic,
    "apns-push-type": "alert",
    "apns-priority": "5",
    "apns-expiration": String(one.expiresAt),
    "apns-collapse-id": job,
  });
  assert.equal(of(over.token)?.headers["apns-expiration"], "0", "what is over is tried, and not kept");
  assert.deepEqual(of(one.token)?.payload, JSON.parse(one.payload));
});

Deno.test("a batch goes by one connection and one provider token, from the first push on", async () => {
  await using apple = await setting();
  const service = apple.service();
  const pushes = Array.from({ length: 200 }, () => push());
  const answers = await sendAll(service, pushes);
  assert(answers.every(({ outcome }) => outcome === "sent"), JSON.stringify(answers));
  const after = await apple.simulator.control.report();
  assert.deepEqual(after.requests.map(({ token }) => token).sort(), pushes.map(({ token }) => token).sort());
  assert.equal(new Set(after.requests.map(({ connection }) => connection)).size, 1);
});

Deno.test("each of Apple's words leads to what is to be done", async () => {
  await using apple = await setting();
  const service = apple.service();
  const cases: [ApnsRule, PushAnswer][] = [
    [refused("Unregistered", 410, { timestamp: 1_700_000_000_000 }), {
      outcome: "gone",
      reason: "Unregistered",
      goneAt: 1_700_000_000_000,
    }],
    [refused("ExpiredToken", 410), { outcome: "gone", reason: "ExpiredToken", goneAt: null }],
    [refused("TooManyRequests", 429, { retryAfterSeconds: 30 }), {
      outcome: "failed",
      reason: "TooManyRequests",
      retryAfter: 30,
    }],
    [refused("TooManyProviderTokenUpdates", 429), {
      outcome: "failed",
      reason: "TooManyProviderTokenUpdates",
      retryAfter: null,
    }],
    [refused("InternalServerError", 500), {
      outcome: "failed",
      reason: "InternalServerError",
      retryAfter: null,
    }],
    [refused("ServiceUnavailable", 503), {
      outcome: "failed",
      reason: "ServiceUnavailable",
      retryAfter: null,
    }],
    [refused("Shutdown", 503), { outcome: "failed", reason: "Shutdown", retryAfter: null }],
    [refused("DeviceTokenNotForTopic"), { outcome: "refused", reason: "DeviceTokenNotForTopic" }],
    [refused("PayloadTooLarge", 413), { outcome: "refused", reason: "PayloadTooLarge" }],
    [refused("InvalidProviderToken", 403), { outcome: "unauthorized", reason: "InvalidProviderToken" }],
    [refused("TopicDisallowed"), { outcome: "unauthorized", reason: "TopicDisallowed" }],
    [refused("BadEnvironmentKeyInToken", 403), {
      outcome: "unauthorized",
      reason: "BadEnvironmentKeyInToken",
    }],
  ];
  for (const [rule, expected] of cases) {
    const one = push();
    await apple.simulator.control.rules({ ...rule, token: one.token });
    assert.deepEqual(await service.send(one, signal), expected);
  }
  // Who else answers may quote what it was sent.
  const quoted = push();
  await apple.simulator.control.rules({ ...refused(`No device ${quoted.token}`), token: quoted.token });
  assert.deepEqual(await service.send(quoted, signal), {
    outcome: "failed",
    reason: "Apple answered 400",
    retryAfter: null,
  });
  const developer = push({ environment: "sandbox" });
  await apple.simulator.control.rules({
    ...refused("BadEnvironmentKeyInToken", 403),
    token: developer.token,
  });
  assert.deepEqual(await service.send(developer, signal), {
    outcome: "refused",
    reason: "BadEnvironmentKeyInToken",
  });
});

Deno.test("a device in the other environment is found there, once; one that is in neither is gone", async () => {
  await using apple = await setting();
  const service = apple.service();
  for (const environment of ["production", "sandbox"] as const) {
    const other = environment === "production" ? "sandbox" : "production";
    const misplaced = push({ token: newPushToken(other), environment });
    assert.deepEqual(await service.send(misplaced, signal), sent(other));
    const nowhere = push({ token: "c".repeat(64), environment });
    assert.deepEqual(await service.send(nowhere, signal), {
      outcome: "gone",
      reason: "BadDeviceToken",
      goneAt: null,
    });
    const { requests } = await apple.simulator.control.report();
    for (const { token, apnsId } of [misplaced, nowhere]) {
      const tries = requests.filter((request) => request.token === token);
      assert.deepEqual(tries.map(({ environment }) => environment), [environment, other]);
      assert.deepEqual(tries.map(({ headers }) => headers["apns-id"]), [apnsId, apnsId]);
    }
    // What the other says counts, whatever it is.
    await apple.simulator.control.reset();
    const late = push({ token: newPushToken(other), environment });
    await apple.simulator.control.rules({
      ...refused("ServiceUnavailable", 503),
      token: late.token,
      environment: other,
    });
    assert.equal((await service.send(late, signal)).outcome, "failed");
    await apple.simulator.control.reset();
  }
});

Deno.test("a provider token that expires in the middle of a batch is made anew, once, and all of the batch arrives", async () => {
  await using apple = await setting();
  // Two tokens of one second would be one: nothing in them is random.
  let time = Date.now() - 10 * 60_000;
  const service = apple.service({}, () => time);
  await service.send(push(), signal);
  time = Date.now();
  const batch = Array.from({ length: 20 }, () => push());
  await apple.simulator.control.rules({ effect: "expired_provider_token", token: batch[7]?.token ?? "" });
  const answers = await sendAll(service, batch);
  // A second new token within 20 minutes would be TooManyProviderTokenUpdates.
  assert.deepEqual(answers, batch.map(() => sent()));
  const { requests } = await apple.simulator.control.report();
  assert(requests.some(({ reason }) => reason === "ExpiredProviderToken"));
  for (const { token } of batch) {
    assert.equal(requests.filter((request) => request.token === token && request.isSent).length, 1);
  }
});

Deno.test("a token is used again for 20 minutes and more, and never for an hour", async () => {
  let time = Date.now() - 3 * 3_600_000;
  const tokens: string[] = [];
  const service = apnsService({
    config: {
      ...account,
      privateKey: key.privateKey,
      topic,
      urls: { production: "https://localhost", sandbox: "https://localhost" },
    },
    fetch: (_input, init) => {
      tokens.push(new Headers(init?.headers).get("authorization") ?? "");
      return Promise.resolve(new Response());
    },
    now: () => time,
  });
  const changes: number[] = [];
  for (let minute = 0; minute < 180; minute++, time += 60_000) {
    await service.send(push(), signal);
    if (tokens.at(-1) !== tokens.at(-2)) changes.push(minute);
  }
  const [, ...lives] = changes.map((minute, index) => minute - (changes[index - 1] ?? 0));
  assert(lives.length > 0);
  for (const life of lives) assert(life > 20 && life < 60, `${life} minutes`);
});

Deno.test("an expired token that Apple goes on refusing is for the operator, after one more", async () => {
  await using apple = await setting();
  const service = apple.service({}, () => Date.now() - 2 * 3_600_000);
  const answer = await service.send(push(), signal);
  assert.deepEqual(answer, { outcome: "unauthorized", reason: "ExpiredProviderToken" });
  for (
    const changes of [
      { keyId: "ANOTHER123" },
      { teamId: "ANOTHER123" },
      { privateKey: (await newDeviceCheckKey()).privateKey },
      { topic: "com.example.other" },
    ]
  ) {
    assert.equal((await apple.service(changes).send(push(), signal)).outcome, "unauthorized");
  }
});

Deno.test("a connection that Apple ends, politely or not, costs no push: the next goes by another", async () => {
  await using apple = await setting();
  const service = apple.service();
  await service.send(push(), signal);
  for (let round = 0; round < 3; round++) {
    const last = push();
    await apple.simulator.control.rules({ effect: "goaway", token: last.token });
    const before = Array.from({ length: 10 }, () => push());
    const answers = await sendAll(service, [...before, last]);
    assert.deepEqual(answers, [...before, last].map(() => sent()));
    assert.deepEqual(await service.send(push(), signal), sent());
  }
  assert((await apple.simulator.control.report()).connections >= 2);
  const cut = push();
  await apple.simulator.control.rules({ effect: "down", token: cut.token, times: null });
  const answer = await service.send(cut, signal);
  assert.equal(answer.outcome, "failed");
  assert.deepEqual(await service.send(push(), signal), sent());
});

Deno.test("a push whose answer was lost is sent again under its id", async () => {
  await using apple = await setting();
  const service = apple.service();
  const one = push();
  await apple.simulator.control.rules({ effect: "answer_lost", token: one.token });
  let answer = await service.send(one, signal);
  // The runtime may have sent it again by itself.
  if (answer.outcome === "failed") answer = await service.send(one, signal);
  assert.deepEqual(answer, sent());
  const { requests } = await apple.simulator.control.report();
  assert.equal(requests.length, 2);
  assert.deepEqual(new Set(requests.map(({ headers }) => headers["apns-id"])), new Set([one.apnsId]));
});

Deno.test("the simulated Apple takes nothing that APNs would not take", async () => {
  await using apple = await setting();
  const service = apple.service();
  const cases: [Partial<Push>, string][] = [
    [{ apnsId: "not a uuid" }, "BadMessageId"],
    [{ collapseId: "x".repeat(65) }, "BadCollapseId"],
    [{ payload: "" }, "PayloadEmpty"],
    [{ payload: "{}" }, "BadPayload"],
    [{ payload: "no JSON" }, "BadPayload"],
    [{ payload: JSON.stringify({ aps: {}, text: "x".repeat(4_096) }) }, "PayloadTooLarge"],
  ];
  for (const [given, reason] of cases) {
    assert.deepEqual(await service.send(push(given), signal), { outcome: "refused", reason });
  }
});
