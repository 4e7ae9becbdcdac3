/**
 * The bound of docs/security.md, attacked: what one device that has had its credits can still get, from several networks and with
 * every fault that the simulated Apple has, between the query and the answer to the update.
 */
import assert from "node:assert/strict";
import { type DeviceCheckRule, deviceToken } from "../../local/simulators/device-check/device-check.ts";
import { freezeClock } from "../database/support/frozen-clock.ts";
import { runs } from "../runs.ts";
import { eventually } from "./eventually.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { grantOf, newNetwork } from "./support/device-checks.ts";
import { shared } from "../shared.ts";

const backend = shared(() => startBackend({ trustClientAddress: true }));
Deno.test.beforeAll(async () => {
  await freezeClock(backend.database);
  assert.equal(await statusOf(await newAccount(), claimedPhone), "granted");
});
Deno.test.afterEach(() => backend.stack.simulators.deviceCheck.control.reset());

const second = 1_000;
const hour = 3_600 * second;
/** A device whose bit is set. */
const claimedPhone = "a phone that has had its credits";

/** An account that an attacker made, and where it checks from. */
interface Account {
  guest: Guest;
  network: string;
}

async function newAccount(network = newNetwork()): Promise<Account> {
  return { guest: await backend.signIn(), network };
}

const newAccounts = (count: number) => Promise.all(Array.from({ length: count }, () => newAccount()));

const check = ({ guest, network }: Account, device: string) => grantOf(guest, device, network);
const statusOf = async (account: Account, device: string) => (await check(account, device))?.status;

/** How many of them are granted when they show the claimed device, at once, each in its own network. */
async function grantsByClaimedPhone(accounts: readonly Account[]): Promise<number> {
  const statuses = await Promise.all(accounts.map((account) => statusOf(account, claimedPhone)));
  return statuses.filter((status) => status === "granted").length;
}

async function setLimit(policy: string, maxHits: number): Promise<void> {
  await backend.database.sql`update guard.policies set max_hits = ${maxHits} where name = ${policy}`;
}

/** What each account of an update with such a fault is granted later, by a device that was not its own. */
const faults: [DeviceCheckRule["effect"], number][] = [
  // Apple said that it did nothing.
  ["refused", 0],
  ["token_expires", 0],
  ["unauthorized", 0],
  ["rate_limited", 0],
  // It may have done it: one grant for an intent, which is what heals the honest.
  ["down", 1],
  ["server_error", 1],
  ["late_error", 1],
  ["answer_lost", 1],
  ["garbage", 1],
  ["slow", 1],
];

for (const [effect, expected] of faults) {
  Deno.test(`an update that meets ${effect} is worth ${expected} grants by a claimed device, in its own network and ten minutes`, async () => {
    const { control } = backend.stack.simulators.deviceCheck;
    // Longer than our patience, but for the token, whose refusal is to arrive.
    const milliseconds = effect === "slow" ? 60 * second : 0;
    await control.rules({ operation: "update", effect, milliseconds, times: null });
    const accounts = await newAccounts(4);
    const baits = accounts.map(() => `bait ${crypto.randomUUID()}`);
    const first = await Promise.all(accounts.map((account, index) => check(account, baits[index] ?? "")));
    for (const grant of first) assert.equal(grant?.status, "pending");
    await control.reset();

    const elsewhere = accounts.map(({ guest }) => ({ guest, network: newNetwork() }));
    assert.equal(
      await grantsByClaimedPhone(accounts),
      0,
      "nothing is granted while its own check may be under way",
    );
    await backend.database.advance(30 * second);
    assert.equal(await grantsByClaimedPhone(elsewhere), 0, "nothing is granted in another network");
    const [late, ...early] = accounts;
    assert(late);
    assert.equal(await grantsByClaimedPhone(early), expected * early.length);
    assert.equal(await grantsByClaimedPhone(early), 0, "nothing is granted a second time");
    await backend.database.advance(570 * second);
    assert.equal(await grantsByClaimedPhone([late]), 0, "nothing is granted ten minutes later");
    await backend.proveLedger();
  });
}

Deno.test("two checks of one account from two networks, both refused while the other was there, leave nothing behind", async () => {
  const { control } = backend.stack.simulators.deviceCheck;
  for (let account = 1; account <= runs(2, 5); account++) {
    const device = `a phone whose tokens expire ${account}`;
    await control.rules({
      ...{ device, operation: "update", effect: "token_expires", milliseconds: hour, times: 2 },
    });
    const one = await newAccount();
    const other = { ...one, network: newNetwork() };
    const checks = Promise.all([check(one, device), check(other, device)]);
    await eventually("both updates wait", async () => {
      const { rules } = await control.report();
      return rules.every((rule) => rule.device !== device) || undefined;
    });
    await control.elapse(hour);
    assert.deepEqual((await checks).map((grant) => grant?.status), ["pending", "pending"]);
    for (const seconds of [0, 30, 60]) {
      await backend.database.advance(seconds * second);
      assert.equal(await grantsByClaimedPhone([one, other]), 0);
    }
    assert.equal(await backend.balanceOf(one.guest), 0);
    const left = await backend.database.sql`select from devices.intents where user_id = ${one.guest.id}`;
    assert.equal(left.length, 0);
  }
});

Deno.test("an intent that took longer to record than there was time is taken back, and nothing is sent", async () => {
  const { control } = backend.stack.simulators.deviceCheck;
  const account = await newAccount();
  const device = "a phone of a slow database";
  // Inside the lane Apple is slow, too: the Data API ends a statement after 8 seconds.
  await control.rules(
    { device, operation: "query", effect: "slow", milliseconds: 0 },
    { device, operation: "query", effect: "slow", milliseconds: 3 * second },
  );
  let slow: ReturnType<typeof check> | undefined;
  await backend.database.sql.begin(async (sql) => {
    // What the record of an intent waits for.
    await sql`select from guard.policies as p where p.name = 'device_grants' for update`;
    slow = check(account, device);
    await eventually("it is in the lane", async () => {
      const { rules } = await control.report();
      return rules.every((rule) => rule.device !== device) || undefined;
    });
    const enteredAt = performance.now();
    await eventually("it has been there for more than its 8 seconds, and waits", async () => {
      const waiting = await sql`
        select from pg_stat_activity as s where s.datname = current_database() and s.wait_event_type = 'Lock'`;
      return (waiting.length > 0 && performance.now() - enteredAt > 8.2 * second) || undefined;
    });
  });
  // Where this machine was slower still, the call of the Data API ran out of time, too.
  const grant = await slow;
  assert(grant === null || grant?.status === "pending", JSON.stringify(grant));
  await eventually("the intent is taken back", async () => {
    const left = await backend.database.sql`select from devices.intents where network = ${account.network}`;
    return left.length === 0 || undefined;
  });
  const { requests } = await control.report();
  assert.deepEqual(
    requests.filter((request) => request.device === device && request.operation === "update"),
    [],
  );
  await backend.database.advance(30 * second);
  assert.equal(await grantsByClaimedPhone([account]), 0);
  assert.equal(await statusOf(account, device), "granted", "the device has kept its credits");
});

Deno.test("a crash of the functions while updates are under way is worth one grant for each of their intents", async () => {
  const { control } = backend.stack.simulators.deviceCheck;
  const accounts = await newAccounts(3);
  await control.rules({ operation: "update", effect: "slow", milliseconds: hour, times: accounts.length });
  const interrupted = accounts.map(({ guest, network }) =>
    guest.call("device-check", {
      body: { device_token: deviceToken(`bait ${crypto.randomUUID()}`) },
      headers: { "cf-connecting-ip": network },
    })
  );
  await eventually("all updates wait", async () => (await control.report()).rules.length === 0 || undefined);
  await backend.stack.functions.kill();
  await Promise.allSettled(interrupted);
  await backend.stack.functions.start();
  await control.reset();

  assert.equal(await grantsByClaimedPhone(accounts), 0);
  await backend.database.advance(30 * second);
  assert.equal(await grantsByClaimedPhone(accounts), accounts.length);
  assert.equal(await grantsByClaimedPhone(accounts), 0);
});

Deno.test("however Apple behaves, a network has five grants a day and all networks what the operator admits in an hour", async () => {
  const { control } = backend.stack.simulators.deviceCheck;
  const { sql, advance } = backend.database;
  await advance(24 * hour);
  await setLimit("device_grants_global", 12);
  const attacked = Array.from({ length: 4 }, newNetwork);
  const accounts: Account[] = [];
  const unanswered = ["down", "server_error", "late_error", "answer_lost", "garbage"] as const;
  for (const effect of [...unanswered, ...unanswered]) {
    await control.reset();
    await control.rules({ operation: "update", effect, times: null });
    const round = await Promise.all(attacked.map((network) => newAccount(network)));
    await Promise.all(round.map((account) => check(account, `bait ${crypto.randomUUID()}`)));
    accounts.push(...round);
    // The lanes are kept for so long.
    await advance(10 * second);
  }
  await control.reset();
  await advance(30 * second);
  // One after the other, so that no lane is taken; also with a device that was never claimed.
  for (const account of accounts) {
    if (await statusOf(account, claimedPhone) !== "granted") {
      await statusOf(account, `bait ${crypto.randomUUID()}`);
    }
  }
  const grants = await sql<{ network: string; count: number }[]>`
    select i.network, count(*)::int from devices.intents as i
    where i.granted_at is not null and i.network = any (${attacked}) group by i.network`;
  for (const { network, count } of grants) assert(count <= 5, `${count} grants in ${network}`);
  assert.equal(grants.reduce((sum, { count }) => sum + count, 0), 12);
  const balances = await Promise.all(accounts.map(({ guest }) => backend.balanceOf(guest)));
  assert.equal(balances.reduce((sum, balance) => sum + balance, 0), 120);
  assert.equal((await check(await newAccount(), "an honest phone"))?.reason, "network_limit");
  await setLimit("device_grants_global", 500);
  await backend.proveLedger();
});

Deno.test("of one IPv6 /48, twenty addresses at once have one grant of a device, and five of twenty devices", async () => {
  const { control } = backend.stack.simulators.deviceCheck;
  const addresses = Array.from({ length: 20 }, (_, index) => `2001:db8:77:${index}::1`);
  const accounts = await Promise.all(addresses.map(newAccount));
  const device = "a phone with many addresses";
  await control.rules({ device, operation: "update", effect: "slow", milliseconds: 300, times: null });
  const statuses = await Promise.all(accounts.map((account) => statusOf(account, device)));
  assert.equal(statuses.filter((status) => status === "granted").length, 1, statuses.join(" "));
  let grants = 1;
  for (const account of accounts) {
    const phone = `phone ${crypto.randomUUID()}`;
    // The check before leaves the lane of the network after its answer.
    const grant = await eventually("the lane is free", async () => {
      const grant = await check(account, phone);
      return grant?.status === "pending" && grant.reason === "busy" ? undefined : { ...grant };
    });
    if (grant.status === "granted") grants++;
    else if (grant.status === "pending") assert.equal(grant.reason, "network_limit");
  }
  assert.equal(grants, 5);
});

Deno.test("one device from eight networks at once is granted at most eight times, and never again", async () => {
  for (let round = 1; round <= runs(2, 5); round++) {
    const accounts = await newAccounts(8);
    const device = `a phone in eight networks ${round}`;
    const statuses = await Promise.all(accounts.map((account) => statusOf(account, device)));
    const granted = statuses.filter((status) => status === "granted").length;
    assert(granted >= 1 && granted <= 8, `${granted} grants`);
    await backend.database.advance(30 * second);
    const later = await Promise.all((await newAccounts(8)).map((account) => statusOf(account, device)));
    assert.deepEqual(later, Array(8).fill("already_claimed"));
  }
});

Deno.test("a device whose bit Apple shows late is granted again until then, within its networks' limits, and never after", async () => {
  const { control } = backend.stack.simulators.deviceCheck;
  const device = "a phone whose bit shows late";
  await control.rules({
    device,
    operation: "update",
    effect: "late_update",
    milliseconds: hour,
    times: null,
  });
  const grants: Record<string, number> = {};
  for (const network of [newNetwork(), newNetwork()]) {
    for (let account = 0; account < 7; account++) {
      const status = await statusOf(await newAccount(network), device);
      if (status === "granted") grants[network] = (grants[network] ?? 0) + 1;
    }
  }
  assert.deepEqual(Object.values(grants), [5, 5]);
  await control.elapse(hour);
  await backend.database.advance(24 * hour);
  const later = await Promise.all((await newAccounts(4)).map((account) => statusOf(account, device)));
  assert.deepEqual(later, Array(4).fill("already_claimed"));
});
