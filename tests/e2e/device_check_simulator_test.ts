import assert from "node:assert/strict";
import { SignJWT } from "jose";
import { createPrivateKey } from "node:crypto";
import { holdPorts } from "../../local/ports.ts";
import {
  type DeviceCheckOptions,
  type DeviceCheckRule,
  deviceToken,
  newDeviceCheckKey,
  startDeviceCheckSimulator,
} from "../../local/simulators/device-check/device-check.ts";
import { deviceCheck } from "../../supabase/functions/_shared/devices/device-check.ts";
import { settableClock } from "../../supabase/functions/_shared/testing/clock.ts";

const key = await newDeviceCheckKey();
const team = { teamId: "TEAM123456", keyId: "KEY1234567" };
const fresh = { outcome: "bits", known: false, bit0: false, bit1: false };

interface Credentials {
  teamId?: string;
  keyId?: string;
  privateKey?: string;
}

async function startApple(options: Partial<DeviceCheckOptions> = {}) {
  const simulator = await startDeviceCheckSimulator({ ...team, publicKey: key.publicKey, ...options });
  const adapter = ({ teamId, keyId, privateKey }: Credentials = {}) =>
    deviceCheck({
      config: {
        teamId: teamId ?? team.teamId,
        deviceCheck: {
          url: simulator.url,
          keyId: keyId ?? team.keyId,
          privateKey: privateKey ?? key.privateKey,
        },
      },
      fetch,
      now: options.now ?? Date.now,
    });
  return {
    ...{ simulator, adapter, apple: adapter() },
    [Symbol.asyncDispose]: () => simulator[Symbol.asyncDispose](),
  };
}

Deno.test("a device is fresh until its bits are set, and then keeps them whatever token it comes with", async () => {
  for (const neverSetText of ["Failed to find bit state", "Bit State Not Found"] as const) {
    await using service = await startApple({ neverSetText });
    const { apple, simulator } = service;
    const token = deviceToken("phone");
    assert.deepEqual(await apple.query(token), fresh);
    assert.deepEqual(await apple.update(token, { bit0: true, bit1: false }), { outcome: "updated" });
    const claimed = { outcome: "bits", known: true, bit0: true, bit1: false };
    assert.deepEqual(await apple.query(token), claimed);
    assert.deepEqual(await apple.query(deviceToken("phone")), claimed);
    assert.deepEqual(await apple.query(deviceToken("another phone")), fresh);
    const { devices, requests } = await simulator.control.report();
    assert.match(devices.phone?.last_update_time ?? "", /^\d{4}-\d{2}$/);
    assert.equal(new Set(requests.map(({ transactionId }) => transactionId)).size, requests.length);
  }
});

Deno.test("a device token serves for 5 minutes from its first use", async () => {
  const clock = settableClock();
  await using service = await startApple({ now: clock.now });
  const { apple } = service;
  const token = deviceToken("phone");
  clock.advance(60 * 60_000);
  assert.equal((await apple.query(token)).outcome, "bits", "unused for an hour");
  clock.advance(5 * 60_000);
  assert.equal((await apple.update(token, { bit0: true, bit1: true })).outcome, "updated");
  clock.advance(1);
  assert.equal((await apple.query(token)).outcome, "refused");
  assert.equal((await apple.update(token, { bit0: false, bit1: false })).outcome, "not_updated");
  assert.equal((await apple.query(deviceToken("phone"))).outcome, "bits");
});

Deno.test("what is no device token is refused", async () => {
  await using service = await startApple();
  for (const token of ["", "dG9rZW4=", "%", btoa("{}")]) {
    assert.equal((await service.apple.query(token)).outcome, "refused", token);
  }
});

Deno.test("only a token signed with our key, for our team and of this hour, is authorised", async () => {
  await using service = await startApple();
  const { adapter, simulator } = service;
  const stranger = await newDeviceCheckKey();
  for (const wrong of [{ teamId: "OTHER" }, { keyId: "OTHER" }, { privateKey: stranger.privateKey }]) {
    const outcome = await adapter(wrong).query(deviceToken("phone"));
    assert.deepEqual(outcome, {
      outcome: "unavailable",
      cause: "Apple answered 401: authorization token",
    });
  }
  const statusOf = async (authorization: string) => {
    const response = await fetch(`${simulator.url}/v1/validate_device_token`, {
      method: "POST",
      headers: { authorization },
      body: JSON.stringify({
        ...{ device_token: deviceToken("phone"), transaction_id: "1", timestamp: Date.now() },
      }),
    });
    await response.body?.cancel();
    return response.status;
  };
  const signed = (issuedAt: number) =>
    new SignJWT().setProtectedHeader({ alg: "ES256", kid: team.keyId }).setIssuer(team.teamId)
      .setIssuedAt(Math.floor(issuedAt / 1000)).sign(createPrivateKey(key.privateKey));
  const now = Date.now();
  assert.equal(await statusOf(`Bearer ${await signed(now)}`), 200);
  assert.equal(await statusOf(await signed(now)), 401, "without its scheme");
  assert.equal(await statusOf(`Bearer ${await signed(now - 2 * 60 * 60_000)}`), 401, "two hours old");
  assert.equal(await statusOf(`Bearer ${await signed(now + 10 * 60_000)}`), 401, "of the future");
  assert.equal(await statusOf(""), 401);
});

Deno.test("whatever goes wrong at Apple, a device is neither fresh nor claimed", async () => {
  await using service = await startApple();
  const { apple, simulator } = service;
  const cases: [DeviceCheckRule["effect"], string][] = [
    ["down", "unavailable"],
    ["answer_lost", "unavailable"],
    ["rate_limited", "unavailable"],
    ["server_error", "unavailable"],
    ["unauthorized", "unavailable"],
    ["garbage", "unavailable"],
    ["refused", "refused"],
  ];
  for (const [effect, expected] of cases) {
    await simulator.control.reset();
    await simulator.control.rules({ effect, operation: "query", times: null });
    assert.equal((await apple.query(deviceToken("phone"))).outcome, expected, effect);
  }
});

Deno.test("one failure is made good by asking again, and a rule is for its device and call alone", async () => {
  await using service = await startApple();
  const { apple, simulator } = service;
  await simulator.control.rules({ effect: "server_error", operation: "query", device: "phone" });
  await simulator.control.rules({ effect: "server_error", operation: "update", times: null });
  assert.deepEqual(await apple.query(deviceToken("another phone")), fresh);
  assert.deepEqual(await apple.query(deviceToken("phone")), fresh);
  const { requests } = await simulator.control.report();
  assert.deepEqual(requests.map(({ device, status }) => [device, status]), [
    ["another phone", 200],
    ["phone", 500],
    ["phone", 200],
  ]);
});

Deno.test("an update is said not to be made only where it has not counted, and made only where it has", async () => {
  await using service = await startApple();
  const { apple, simulator } = service;
  const cases: [DeviceCheckRule["effect"], string, boolean][] = [
    ["answer_lost", "unknown", true],
    ["late_error", "unknown", true],
    ["down", "unknown", false],
    ["server_error", "unknown", false],
    ["garbage", "unknown", false],
    ["rate_limited", "not_updated", false],
    ["unauthorized", "not_updated", false],
    ["refused", "not_updated", false],
    ["token_expires", "not_updated", false],
  ];
  for (const [effect, outcome, counts] of cases) {
    const device = `phone of ${effect}`;
    await simulator.control.rules({
      ...{ effect, device, operation: "update", milliseconds: 0, times: null },
    });
    const update = await apple.update(deviceToken(device), { bit0: true, bit1: false });
    assert.equal(update.outcome, outcome, effect);
    const { devices } = await simulator.control.report();
    assert.equal(devices[device]?.bit0 ?? false, counts, effect);
  }
});

Deno.test("an update that Apple applies late is not seen until then", async () => {
  await using service = await startApple();
  const { apple, simulator } = service;
  await simulator.control.rules({ effect: "late_update", milliseconds: 60_000 });
  assert.equal((await apple.update(deviceToken("phone"), { bit0: true, bit1: true })).outcome, "updated");
  assert.deepEqual(await apple.query(deviceToken("phone")), fresh);
  await simulator.control.elapse(60_000);
  const bits = await apple.query(deviceToken("phone"));
  assert(bits.outcome === "bits" && bits.bit1);
});

Deno.test("a slow answer is waited for, unless the caller's time is up", async () => {
  await using service = await startApple();
  const { apple, simulator } = service;
  await simulator.control.rules({ effect: "slow", milliseconds: 50 });
  assert.deepEqual(await apple.query(deviceToken("phone")), fresh);
  await simulator.control.rules({ effect: "slow", milliseconds: 60_000, times: null });
  const outcome = await apple.query(deviceToken("phone"), { signal: AbortSignal.timeout(50) });
  assert.equal(outcome.outcome, "unavailable");
});

Deno.test("bits, rules and used tokens survive a restart", async () => {
  const folder = await Deno.makeTempDir({ prefix: "kinora-device-check-" });
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => Deno.remove(folder, { recursive: true }));
  const clock = settableClock();
  const options = { stateFile: `${folder}/device-check.json`, now: clock.now };
  const token = deviceToken("phone");

  const port = cleanup.use(holdPorts()).take();
  const first = cleanup.use(await startApple({ ...options, port }));
  await first.simulator.control.rules({ effect: "refused", device: "banned phone", times: null });
  assert.equal((await first.apple.update(token, { bit0: true, bit1: false })).outcome, "updated");
  await first[Symbol.asyncDispose]();

  const second = cleanup.use(await startApple({ ...options, port }));
  assert.equal(second.simulator.url, first.simulator.url);
  const bits = await second.apple.query(token);
  assert(bits.outcome === "bits" && bits.bit0);
  assert.equal((await second.apple.query(deviceToken("banned phone"))).outcome, "refused");
  clock.advance(5 * 60_000 + 1);
  assert.equal((await second.apple.query(token)).outcome, "refused");
});
