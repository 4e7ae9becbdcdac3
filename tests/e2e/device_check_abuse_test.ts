/** One device in many hands at once, with nothing between it and its credits but the lane of its network and Apple's bit. */
import assert from "node:assert/strict";
import { runs } from "../runs.ts";
import { eventually } from "./eventually.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { grantOf, type InitialGrant } from "./support/device-checks.ts";
import { shared } from "../shared.ts";

const backend = shared(() => startBackend({ trustClientAddress: true }));
Deno.test.beforeAll(async () => {
  // The limits would refuse most of it before there is anything to race for.
  await backend.database
    .sql`update guard.policies set max_hits = 300, window_seconds = 1 where name like 'device%'`;
});

/** `unavailable`: the crowd was more than the database took in time. */
type Grant = InitialGrant["status"] | "unavailable";

interface Race {
  device: string;
  guests: readonly Guest[];
  /** Of which each guest checks from every one, at once. */
  networks: readonly string[];
}

async function check(guest: Guest, device: string, network: string): Promise<Grant> {
  return (await grantOf(guest, device, network))?.status ?? "unavailable";
}

/** Has everybody check the device at once, and gives what they were told. */
function checkAll({ device, guests, networks }: Race): Promise<Grant[]> {
  return Promise.all(networks.flatMap((network) => guests.map((guest) => check(guest, device, network))));
}

/** Milliseconds that an update is kept waiting for others to ask: we lose patience with Apple after 4 seconds. */
const maxWait = 3_000;
/** Which an update does not wait out. */
const hour = 60 * 60_000;

/** Has them check while nobody's update counts until all have asked; gives how many found the device fresh, and how long that took. */
async function race(entrants: Race) {
  const { device, guests, networks } = entrants;
  const { control } = backend.stack.simulators.deviceCheck;
  const requests = async () =>
    (await control.report()).requests.filter((request) => request.device === device);
  await control.rules({ device, operation: "update", effect: "slow", milliseconds: hour, times: null });
  const startedAt = performance.now();
  const elapsed = () => performance.now() - startedAt;
  let isOver = false;
  const checks = checkAll(entrants).finally(() => isOver = true);
  // Each asks once, and of each network the one in the lane again.
  const all = networks.length * (guests.length + 1);
  await eventually(
    "all have asked",
    async () => elapsed() > maxWait || (await requests()).length >= all || undefined,
  );
  const milliseconds = elapsed();
  await eventually("all are answered", async () => {
    await control.elapse(hour);
    return isOver || undefined;
  });
  const fresh = (await requests()).findIndex(({ operation }) => operation === "update");
  return { grants: await checks, fresh, milliseconds };
}

/** A race in which so many found the device fresh, with others where the machine was too busy for one in time. */
async function crowdedRace(crowd: number, newRace: (attempt: number) => Promise<Race>) {
  for (let attempt = 1;; attempt++) {
    const entrants = await newRace(attempt);
    const { grants, fresh, milliseconds } = await race(entrants);
    if (fresh >= crowd && milliseconds < maxWait + 500) return { ...entrants, grants };
    assert(attempt < 10, `only ${fresh} found it fresh, after ${milliseconds} ms`);
  }
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

Deno.test("of four checks of one device at once by each of many accounts from one network, exactly one is granted", async () => {
  const device = "a phone in many hands";
  const network = "198.51.100.1";
  const guests = await signIn(runs(15, 50));
  const { control } = backend.stack.simulators.deviceCheck;
  await control.rules({ device, operation: "update", effect: "slow", milliseconds: 50, times: null });
  const grants = await checkAll({ device, guests, networks: Array(4).fill(network) });
  const later = await settle(guests, device, network);
  // Whoever lost the answer to their grant in the crowd is told later.
  assert.deepEqual([grants.length, later.balance], [4 * guests.length, 10]);
  assert(count([...grants, ...later.grants], "granted") <= 1);
  await backend.proveLedger();
});

Deno.test("however many found the device fresh, one is granted and the others are left pending", async () => {
  const { device, guests, networks: [network = ""], grants } = await crowdedRace(10, async (attempt) => ({
    device: `a phone that is slow to change ${attempt}`,
    guests: await signIn(20),
    networks: [`198.51.100.${100 + attempt}`],
  }));
  assert.equal(count(grants, "granted"), 1);
  const later = await settle(guests, device, network);
  assert.deepEqual([count(later.grants, "already_claimed"), later.balance], [guests.length, 10]);
});

Deno.test("one device at once from five networks is granted at most once for each, and never after that", async () => {
  const { device, guests, networks, grants } = await crowdedRace(5, async (attempt) => ({
    device: `a phone in five networks ${attempt}`,
    guests: await signIn(4),
    networks: Array.from({ length: 5 }, (_, index) => `203.0.113.${10 * attempt + index}`),
  }));
  const granted = count(grants, "granted");
  assert(granted >= 1 && granted <= networks.length, `${granted} grants`);
  const later = await settle(guests, device, "203.0.113.250");
  assert.deepEqual([count(later.grants, "already_claimed"), later.balance], [guests.length, 10 * granted]);
});
