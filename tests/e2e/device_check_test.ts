/** A device's credits against the simulated Apple: once for a device, never unverified, and never lost. */
import assert from "node:assert/strict";
import { type DeviceCheckRule, deviceToken } from "../../local/simulators/device-check/device-check.ts";
import { deviceCheck } from "../../supabase/functions/_shared/devices/device-check.ts";
import { freezeClock } from "../database/support/frozen-clock.ts";
import { errorOf } from "./support/answer.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import {
  alreadyClaimed,
  bitsOf,
  check,
  granted,
  laneMilliseconds,
  newNetwork,
  pending,
  request,
} from "./support/device-checks.ts";
import { shared } from "../shared.ts";

// So that each test has networks of its own, whose limits the others do not touch.
const backend = shared(() => startBackend({ trustClientAddress: true }));

Deno.test.beforeAll(async () => void await freezeClock(backend.database));

const day = 86_400_000;

/** As the database has it. */
async function tokenOf({ id }: Guest): Promise<string | undefined> {
  const [row] = await backend.database.sql<{ token: string }[]>`
    select u.app_account_token as token from accounts.users as u where u.id = ${id}`;
  return row?.token;
}

Deno.test("a device gets its credits once: at its first check, and never for a later one or another account", async () => {
  const network = newNetwork();
  const [guest, other] = await Promise.all([backend.signIn(), backend.signIn()]);
  const checked = await check(guest, "phone", network);
  assert.deepEqual(checked, {
    user_id: guest.id,
    app_account_token: await tokenOf(guest),
    credits_remaining: 10,
    is_new: true,
    initial_grant: granted,
  });
  assert.deepEqual(await check(guest, "phone", network), {
    user_id: guest.id,
    app_account_token: await tokenOf(guest),
    credits_remaining: 10,
    is_new: false,
    initial_grant: alreadyClaimed,
  });
  // The app installed anew signs in anew; also from another network, and on another day.
  assert.deepEqual((await check(other, "phone", newNetwork())).initial_grant, alreadyClaimed);
  await backend.database.advance(day);
  const reinstalled = await check(await backend.signIn(), "phone", network);
  assert.deepEqual([reinstalled.is_new, reinstalled.credits_remaining], [true, 0]);
  assert.deepEqual(reinstalled.initial_grant, alreadyClaimed);
  assert.deepEqual(await bitsOf(backend, "phone"), { bit0: true, bit1: false });
  await backend.proveLedger();
});

Deno.test("an account gets a device's credits once, also with a second device", async () => {
  const network = newNetwork();
  const guest = await backend.signIn();
  await check(guest, "first phone", network);
  assert.deepEqual((await check(guest, "second phone", network)).initial_grant, alreadyClaimed);
  assert.equal(await backend.balanceOf(guest), 10);
  assert.equal(
    await bitsOf(backend, "second phone"),
    undefined,
    "the second phone's credits are still there for another",
  );
});

for (
  const [what, rules] of [
    ["is down", [{ effect: "down", times: null }]],
    ["is overloaded", [{ effect: "rate_limited", times: null }]],
    ["fails", [{ effect: "server_error", times: null }]],
    ["does not know our key", [{ effect: "unauthorized" }]],
    ["answers nonsense", [{ effect: "garbage" }]],
    // Both times that it is asked, longer than our patience of 4 seconds.
    ["is too slow", [{ operation: "query", effect: "slow", milliseconds: 60_000, times: 2 }]],
    ["is down when the bit is to be set", [{ operation: "update", effect: "down", times: null }]],
    ["is overloaded when the bit is to be set", [{ operation: "update", effect: "rate_limited" }]],
    ["refuses to set the bit", [{ operation: "update", effect: "refused" }]],
  ] satisfies [string, DeviceCheckRule[]][]
) {
  Deno.test(`while Apple ${what} the account works, nothing is granted, and the next check settles it`, async () => {
    const device = `phone while Apple ${what}`;
    const network = newNetwork();
    await backend.stack.simulators.deviceCheck.control.rules(...rules.map((rule) => ({ device, ...rule })));
    const guest = await backend.signIn();
    const { initial_grant, credits_remaining } = await check(guest, device, network);
    assert.deepEqual([initial_grant.status, credits_remaining], ["pending", 0]);
    assert.equal(initial_grant.reason, "apple_unavailable");
    assert([30, 360].includes(initial_grant.retry_after ?? 0));
    assert.equal(await bitsOf(backend, device), undefined);
    assert.equal((await guest.call("models")).status, 200);

    await backend.stack.simulators.deviceCheck.control.reset();
    // The lane of the network stays closed while an update may still be on its way.
    await backend.database.advance(laneMilliseconds);
    const settled = await check(guest, device, network);
    assert.deepEqual([settled.initial_grant, settled.credits_remaining], [granted, 10]);
    assert.deepEqual((await check(guest, device, network)).initial_grant, alreadyClaimed);
    assert.equal(await backend.balanceOf(guest), 10);
    await backend.proveLedger();
  });
}

for (
  const [what, rule] of [
    ["failed once", { effect: "server_error" }],
    ["was away for a moment", { effect: "down" }],
    // Longer than our patience of 4 seconds.
    ["was too slow once", { effect: "slow", milliseconds: 60_000 }],
  ] satisfies [string, DeviceCheckRule][]
) {
  Deno.test(`an Apple that ${what} is asked again in the same check`, async () => {
    const device = `phone of an Apple that ${what}`;
    await backend.stack.simulators.deviceCheck.control.rules({ device, ...rule });
    const guest = await backend.signIn();
    assert.deepEqual((await check(guest, device, newNetwork())).initial_grant, granted);
  });
}

Deno.test("a token that Apple refuses is refused, and grants nothing", async () => {
  const network = newNetwork();
  const guest = await backend.signIn();
  const body = { device_token: btoa("not a token of a device") };
  const refused = await guest.call("device-check", { body, headers: { "cf-connecting-ip": network } });
  assert.equal(refused.status, 403);
  errorOf(refused, "ERR_4015");
  assert.equal(await backend.balanceOf(guest), 0);
  // The account stays, and a real token is still good for the credits.
  const real = await check(guest, "phone of a second try", network);
  assert.deepEqual([real.is_new, real.initial_grant], [false, granted]);
});

Deno.test("the device's other bit, which is somebody else's, stays as it is", async () => {
  const { keys, stack } = backend;
  const apple = deviceCheck({
    config: {
      teamId: keys.appleTeamId,
      deviceCheck: {
        url: stack.simulators.deviceCheck.url,
        keyId: keys.deviceCheckKeyId,
        privateKey: keys.deviceCheckPrivateKey,
      },
    },
    fetch,
  });
  const marked = await apple.update(deviceToken("marked phone"), { bit0: false, bit1: true });
  assert.equal(marked.outcome, "updated");
  const guest = await backend.signIn();
  assert.deepEqual((await check(guest, "marked phone", newNetwork())).initial_grant, granted);
  assert.deepEqual(await bitsOf(backend, "marked phone"), { bit0: true, bit1: true });
});

Deno.test("of five accounts that check one device at once from one network, one is granted", async () => {
  const network = newNetwork();
  const device = "shared phone";
  const guests = await Promise.all(Array.from({ length: 5 }, () => backend.signIn()));
  const checks = await Promise.all(guests.map((guest) => check(guest, device, network)));
  const grants = checks.map(({ initial_grant }) => initial_grant);
  assert.equal(grants.filter(({ status }) => status === "granted").length, 1, JSON.stringify(grants));
  // Whoever was left pending learns it at the next check.
  for (const [index, guest] of guests.entries()) {
    if (grants[index]?.status !== "pending") continue;
    assert.deepEqual((await check(guest, device, network)).initial_grant, alreadyClaimed);
  }
  const balances = await Promise.all(guests.map((guest) => backend.balanceOf(guest)));
  assert.equal(balances.reduce((sum, balance) => sum + balance, 0), 10);
  await backend.proveLedger();
});

Deno.test("of five checks of one account at once, one is granted, and one made the account", async () => {
  const network = newNetwork();
  const guest = await backend.signIn();
  const checks = await Promise.all(Array.from({ length: 5 }, () => check(guest, "eager phone", network)));
  assert.equal(checks.filter(({ initial_grant }) => initial_grant.status === "granted").length, 1);
  assert.equal(checks.filter(({ is_new }) => is_new).length, 1);
  assert.equal(await backend.balanceOf(guest), 10);
  await backend.proveLedger();
});

Deno.test("a network gets five grants a day; the sixth device keeps its bit, and its credits for the next day", async () => {
  const network = newNetwork();
  for (let number = 1; number <= 5; number++) {
    const guest = await backend.signIn();
    assert.deepEqual((await check(guest, `phone ${number} of six`, network)).initial_grant, granted);
  }
  const sixth = await backend.signIn();
  assert.deepEqual(
    (await check(sixth, "phone 6 of six", network)).initial_grant,
    pending("network_limit", day / 1000),
  );
  assert.equal(await bitsOf(backend, "phone 6 of six"), undefined);
  assert.deepEqual(
    (await check(await backend.signIn(), "phone elsewhere", newNetwork())).initial_grant,
    granted,
  );
  await backend.database.advance(day);
  assert.deepEqual((await check(sixth, "phone 6 of six", network)).initial_grant, granted);
});

Deno.test("an account whose grant is open checks ten times an hour, from whatever network, and is told when to come again", async () => {
  const owner = await backend.signIn();
  // Whose grant is settled starts as often as they like.
  for (let count = 0; count < 15; count++) await check(owner, "restless phone", newNetwork());
  const guest = await backend.signIn();
  for (let count = 0; count < 10; count++) await check(guest, "restless phone", newNetwork());
  const refused = await request(guest, "restless phone", newNetwork());
  assert.equal(refused.status, 429);
  assert.equal(errorOf(refused, "ERR_4004").details.policy, "device_check");
  assert(Number(refused.headers.get("retry-after")) > 3_500);
});
