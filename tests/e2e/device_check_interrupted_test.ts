/** A check that ended half-way, between Apple's bit and the credits, is made good by the next. */
import assert from "node:assert/strict";
import { freezeClock } from "../database/support/frozen-clock.ts";
import { eventually } from "./eventually.ts";
import {
  alreadyClaimed,
  bitsOf,
  check,
  granted,
  intentMilliseconds,
  laneMilliseconds,
  newNetwork,
  pending,
  request,
  unanswered,
} from "./support/device-checks.ts";
import { startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";

// So that each test has networks of its own, whose limits the others do not touch.
const backend = shared(() => startBackend({ trustClientAddress: true }));
// A lane of ten seconds shall outlive a restart of the functions, however long that takes.
Deno.test.beforeAll(async () => void await freezeClock(backend.database));

Deno.test("a bit whose setting was never answered is known again by the account's intent, and by no other's", async () => {
  const network = newNetwork();
  const device = "phone of a lost answer";
  const [guest, other] = await Promise.all([backend.signIn(), backend.signIn()]);
  const { control } = backend.stack.simulators.deviceCheck;
  // Always, since the runtime repeats by itself a request whose connection closes.
  await control.rules({ device, operation: "update", effect: "answer_lost", times: null });
  assert.deepEqual((await check(guest, device, network)).initial_grant, unanswered);
  assert.deepEqual(await bitsOf(backend, device), { bit0: true, bit1: false }, "Apple has set it");
  assert.deepEqual((await check(guest, device, network)).initial_grant, pending("busy", 30));
  await backend.database.advance(intentMilliseconds);
  assert.deepEqual((await check(other, device, network)).initial_grant, alreadyClaimed);
  assert.deepEqual((await check(guest, device, network)).initial_grant, granted);
  assert.deepEqual((await check(guest, device, network)).initial_grant, alreadyClaimed);
  assert.equal(await backend.balanceOf(guest), 10);
});

Deno.test("who had Apple refuse to set the bit is not granted at the sight of somebody else's", async () => {
  const network = newNetwork();
  const [honest, guest] = await Promise.all([backend.signIn(), backend.signIn()]);
  assert.deepEqual((await check(honest, "phone with its bit set", network)).initial_grant, granted);
  const { control } = backend.stack.simulators.deviceCheck;
  await control.rules({ device: "phone that is refused", operation: "update", effect: "refused" });
  assert.deepEqual(
    (await check(guest, "phone that is refused", network)).initial_grant,
    pending("apple_unavailable", 360),
  );
  await eventually("the lane is left", async () => {
    const lanes = await backend.database.sql`select from devices.lanes where network = ${network}`;
    return lanes.length === 0 || undefined;
  });
  assert.deepEqual((await check(guest, "phone with its bit set", network)).initial_grant, alreadyClaimed);
  assert.equal(await backend.balanceOf(guest), 0);
});

Deno.test("a crash between the bit and the credits is made good by the next check", async () => {
  const network = newNetwork();
  const device = "phone of a crash";
  const guest = await backend.signIn();
  const { control } = backend.stack.simulators.deviceCheck;
  await control.rules({ device, operation: "update", effect: "slow", milliseconds: 60_000 });
  const interrupted = request(guest, device, network);
  await eventually("the intent is written, and Apple has the update", async () => {
    const { rules } = await control.report();
    return rules.every((rule) => rule.device !== device) || undefined;
  });
  await backend.stack.functions.kill();
  await interrupted;
  await backend.stack.functions.start();
  await control.elapse(60_000);
  await eventually("Apple has set the bit", async () => (await bitsOf(backend, device))?.bit0 || undefined);
  assert.equal(await backend.balanceOf(guest), 0);

  await backend.database.advance(intentMilliseconds);
  assert.deepEqual((await check(guest, device, network)).initial_grant, granted);
  assert.deepEqual((await check(guest, device, network)).initial_grant, alreadyClaimed);
  await backend.proveLedger();
});

Deno.test("a crash before the bit leaves the lane closed for ten seconds, and the device with its credits", async () => {
  const network = newNetwork();
  const device = "phone of an early crash";
  const guest = await backend.signIn();
  const { control } = backend.stack.simulators.deviceCheck;
  await control.rules(
    // The first query is answered, the second, inside the lane, waits.
    { device, operation: "query", effect: "slow", milliseconds: 0 },
    { device, operation: "query", effect: "slow", milliseconds: 60_000 },
  );
  const interrupted = request(guest, device, network);
  await eventually("the lane is taken, and Apple is asked again", async () => {
    const { rules } = await control.report();
    return rules.every((rule) => rule.device !== device) || undefined;
  });
  await backend.stack.functions.kill();
  await interrupted;
  await backend.stack.functions.start();

  assert.deepEqual((await check(guest, device, network)).initial_grant, pending("busy", 10));
  await backend.database.advance(laneMilliseconds);
  assert.deepEqual((await check(guest, device, network)).initial_grant, granted);
});
