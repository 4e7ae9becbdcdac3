/** One device in many hands at once, with nothing between it and its credits but the lane of its network and Apple's bit. */
import assert from "node:assert/strict";
import type * as z from "zod";
import { deviceToken } from "../../local/simulators/device-check.ts";
import { DeviceCheckResponse } from "../../supabase/functions/device-check/schema.ts";
import { bodyOf, errorOf } from "./support/answer.ts";
import { type Backend, type Guest, startBackend } from "./support/backend.ts";

let backend: Backend;
Deno.test.beforeAll(async () => {
  backend = await startBackend({ trustClientAddress: true });
  // The limits would refuse most of it before there is anything to race for.
  await backend.database
    .sql`update guard.policies set max_hits = 300, window_seconds = 1 where name like 'device%'`;
});
Deno.test.afterAll(() => backend[Symbol.asyncDispose]());

/** `unavailable`: the crowd was more than the database took in time. */
type Grant = z.output<typeof DeviceCheckResponse>["initial_grant"]["status"] | "unavailable";

interface Race {
  device: string;
  guests: readonly Guest[];
  /** Of which each guest checks from every one, at once. */
  networks: readonly string[];
  /** Between the query that finds the device fresh and the update that counts. */
  milliseconds: number;
}

/** With a token of its own, and nothing else that would tie it to another check of the device. */
async function check(guest: Guest, device: string, network: string): Promise<Grant> {
  const answer = await guest.call("device-check", {
    body: { device_token: deviceToken(device) },
    headers: { "cf-connecting-ip": network },
  });
  if (answer.status === 503) {
    errorOf(answer, "ERR_6001");
    return "unavailable";
  }
  return bodyOf(answer, 200, DeviceCheckResponse).initial_grant.status;
}

/** Has everybody check the device at once, and gives what they were told, and how many found it fresh. */
async function race({ device, guests, networks, milliseconds }: Race) {
  const { control } = backend.stack.simulators.deviceCheck;
  await control.rules({ device, operation: "update", effect: "slow", milliseconds, times: null });
  const grants = await Promise.all(
    networks.flatMap((network) => guests.map((guest) => check(guest, device, network))),
  );
  const requests = (await control.report()).requests.filter((request) => request.device === device);
  return { grants, fresh: requests.findIndex(({ operation }) => operation === "update") };
}

/** What everybody is told once the race is over, one after the other, and what they have together. */
async function settle(guests: readonly Guest[], device: string, network: string) {
  const grants: Grant[] = [];
  for (const guest of guests) grants.push(await check(guest, device, network));
  const balances = await Promise.all(guests.map((guest) => backend.balanceOf(guest)));
  return { grants, balance: balances.reduce((sum, balance) => sum + balance, 0) };
}

const count = (grants: readonly Grant[], status: Grant) => grants.filter((grant) => grant === status).length;

const signIn = (guests: number) => Promise.all(Array.from({ length: guests }, () => backend.signIn()));

Deno.test("of 200 checks of one device at once, by 50 accounts from one network, exactly one is granted", async () => {
  const device = "a phone in fifty hands";
  const network = "198.51.100.1";
  const guests = await signIn(50);
  const { grants } = await race({ device, guests, networks: Array(4).fill(network), milliseconds: 50 });
  const later = await settle(guests, device, network);
  // Whoever lost the answer to their grant in the crowd is told later.
  assert.deepEqual([grants.length, later.balance], [200, 10]);
  assert(count([...grants, ...later.grants], "granted") <= 1);
  await backend.proveLedger();
});

Deno.test("however many found the device fresh, one is granted and the others are left pending", async () => {
  const device = "a phone that is slow to change";
  const network = "198.51.100.2";
  const guests = await signIn(20);
  // Within our patience of 4 seconds.
  const { grants, fresh } = await race({ device, guests, networks: [network], milliseconds: 3_000 });
  assert(fresh >= 10, `only ${fresh} found it fresh`);
  assert.equal(count(grants, "granted"), 1);
  const later = await settle(guests, device, network);
  assert.deepEqual([count(later.grants, "already_claimed"), later.balance], [guests.length, 10]);
});

Deno.test("one device at once from five networks is granted at most once for each, and never after that", async () => {
  const device = "a phone in five networks";
  const networks = Array.from({ length: 5 }, (_, index) => `203.0.113.${index}`);
  const guests = await signIn(4);
  const { grants, fresh } = await race({ device, guests, networks, milliseconds: 3_000 });
  const granted = count(grants, "granted");
  assert(fresh >= networks.length, `only ${fresh} found it fresh`);
  assert(granted >= 1 && granted <= networks.length, `${granted} grants`);
  const later = await settle(guests, device, "203.0.113.99");
  assert.deepEqual([count(later.grants, "already_claimed"), later.balance], [guests.length, 10 * granted]);
});
