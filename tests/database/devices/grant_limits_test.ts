/** How many grants there may be: in a network, over all, and whatever becomes of the accounts that had them. */
import assert from "node:assert/strict";
import { manyConnections, times } from "../support/connections.ts";
import { type Check, claim, claimAndGrant, createCaller, creditsOf, leave } from "../support/devices.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { rolledBack, type Sql } from "../support/ledger.ts";
import { sweepRule } from "../support/retention.ts";

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

async function setLimit(sql: Sql, policy: string, maxHits: number, windowSeconds?: number): Promise<void> {
  await sql`
    update guard.policies set max_hits = ${maxHits}, window_seconds = coalesce(${
    windowSeconds ?? null
  }, window_seconds)
    where name = ${policy}`;
}

/** One grant after the other from these networks, and how many there were. */
async function grantsFrom(sql: Sql, networks: readonly (string | null)[]): Promise<number> {
  let grants = 0;
  for (const network of networks) if (await claimAndGrant(sql, network)) grants++;
  return grants;
}

Deno.test("a network has five grants a day, and another network its own", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  assert.equal(await grantsFrom(sql, Array(7).fill("192.0.2.1")), 5);
  assert.equal(await grantsFrom(sql, ["192.0.2.2"]), 1);
  await advance(day - second);
  assert.equal(await grantsFrom(sql, ["192.0.2.1"]), 0);
  await advance(second);
  assert.equal(await grantsFrom(sql, ["192.0.2.1"]), 1);
});

Deno.test("a network of IPv6 is a /48: 75 addresses in it have five grants, one after the other and all at once", async () => {
  const addresses = (prefix: string) => Array.from({ length: 75 }, (_, index) => `${prefix}:${index}::/64`);
  await using database = await stillDatabase();
  await using sql = manyConnections(database);
  assert.equal(await grantsFrom(sql, addresses("2001:db8:1")), 5);
  assert.equal(await grantsFrom(sql, addresses("2001:db8:2")), 5, "another /48");

  const lanes = addresses("2001:db8:3");
  const checks = await times(75, (index) => claim(sql, lanes[index] ?? null));
  assert.equal(checks.filter(({ answer }) => answer.data?.recorded).length, 1, "they share a lane");
  // How an address is written does not matter.
  const written = ["2001:db8:4::/64", "2001:DB8:4:ffff::/64", "2001:0db8:0004:1::/64", "2001:db8:4:2::1"];
  assert.equal(await grantsFrom(sql, [...written, ...written]), 5);
});

Deno.test("all who have no network have five grants a day together", async () => {
  await using database = await stillDatabase();
  assert.equal(await grantsFrom(database.sql, Array(7).fill(null)), 5);
});

Deno.test("over all networks 500 grants are admitted in an hour, and exactly the limit when all come at once", async () => {
  await using database = await stillDatabase();
  await using sql = manyConnections(database);
  const { max_hits, window_seconds } = (await sql`
    select p.max_hits, p.window_seconds from guard.policies as p where p.name = 'device_grants_global'`)[0] ??
    {};
  assert.deepEqual([max_hits, window_seconds], [500, 3600]);

  await setLimit(sql, "device_grants_global", 7);
  const granted = await times(30, (index) => claimAndGrant(sql, `198.51.100.${index}`));
  assert.equal(granted.filter(Boolean).length, 7);
  await database.advance(hour - second);
  assert.equal(await grantsFrom(sql, ["203.0.113.1"]), 0);
  await database.advance(second);
  assert.equal(await grantsFrom(sql, ["203.0.113.1"]), 1);
});

Deno.test("at the limit of a network only one of many accounts at once gets the last grant", async () => {
  await using database = await stillDatabase();
  await using sql = manyConnections(database);
  await grantsFrom(sql, Array(4).fill("192.0.2.1"));
  const granted = await times(20, () => claimAndGrant(sql, "192.0.2.1"));
  assert.equal(granted.filter(Boolean).length, 1);
});

Deno.test("who is refused is told when there is room, and what happens elsewhere is not shown", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const network = "192.0.2.1";
  await grantsFrom(sql, Array(3).fill(network));
  await advance(hour);
  await grantsFrom(sql, Array(2).fill(network));
  const refusal = (retry_after: number) => ({
    recorded: false,
    is_granted: false,
    reason: "network_limit",
    retry_after,
  });
  const { check, answer } = await claim(sql, network);
  assert.deepEqual(answer.data, refusal(23 * 3600));
  const limit = { policy: "device_grants", limit: 5, window: 86400 };
  assert.deepEqual(answer.limits, [
    { ...limit, allowed: false, current: 5, remaining: 0, reset: 23 * 3600 },
  ]);
  await leave(sql, check);
  // The operator lowered it: two more must leave than before.
  await setLimit(sql, "device_grants", 2);
  const lowered = await claim(sql, network);
  assert.deepEqual(lowered.answer.data, refusal(24 * 3600));
  await leave(sql, lowered.check);

  await setLimit(sql, "device_grants_global", 2);
  const elsewhere = await claim(sql, "192.0.2.2");
  assert.deepEqual(elsewhere.answer.data, refusal(3600));
  assert.deepEqual(elsewhere.answer.limits?.map(({ policy }) => policy), ["device_grants"]);
});

Deno.test("each grant tells its network's limit", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const { answer } = await claim(sql, "192.0.2.1");
  const limit = { policy: "device_grants", limit: 5, window: 86400 };
  assert.deepEqual(answer.limits, [{ ...limit, allowed: true, current: 1, remaining: 4, reset: 86400 }]);
});

Deno.test("what Apple refused or what was never sent is given back at once", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  for (let refused = 0; refused < 20; refused++) {
    const { check, answer } = await claim(sql, "192.0.2.1");
    assert.equal(answer.data?.recorded, true);
    await leave(sql, check);
  }
  assert.equal(await grantsFrom(sql, Array(7).fill("192.0.2.1")), 5);
});

Deno.test("an intent of which nobody knows counts while it may become a grant, and no longer", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const network = "192.0.2.1";
  const lost: Check[] = [];
  for (let number = 0; number < 5; number++) {
    lost.push((await claim(sql, network)).check);
    await advance(10 * second);
  }
  assert.equal(await grantsFrom(sql, [network]), 0);
  await advance(9 * minute);
  assert.equal(await grantsFrom(sql, [network]), 0);
  await advance(2 * minute);
  assert.equal(await grantsFrom(sql, Array(7).fill(network)), 5);
  for (const check of lost) assert.equal(await creditsOf(sql, { ...check, lane: null }), 0);
});

Deno.test("no 24 hours have six grants of a network, also where grants come as late as they can", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const now = async () => (await database.now()).getTime();
  const network = "192.0.2.1";
  const lost: Check[] = [];
  for (let number = 0; number < 5; number++) {
    lost.push((await claim(sql, network)).check);
    await advance(10 * second);
  }
  // At the end of their ten minutes, those that are still good.
  await advance(9 * minute - 10 * second);
  const times: number[] = [];
  for (const check of lost) {
    if (await creditsOf(sql, { ...check, lane: null }) === 10) times.push(await now());
  }
  assert.equal(times.length, 5);
  // As many as there are admitted, from a day after the first intent until a day after the last grant, and once more.
  for (let days = 0; days < 2; days++) {
    await advance(day - 12 * minute);
    for (let minutes = 0; minutes < 13; minutes++) {
      for (let more = await grantsFrom(sql, Array(6).fill(network)); more > 0; more--) {
        times.push(await now());
      }
      await advance(minute);
    }
  }
  for (const from of times) {
    const within = times.filter((time) => time >= from && time < from + day).length;
    assert(within <= 5, `${within} grants in 24 hours`);
  }
  assert.equal(times.length, 15);
});

Deno.test("an earlier intent of the account gives way to its next check, and takes none of the day's again", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const network = "192.0.2.1";
  const userId = await createCaller(sql, network);
  for (let check = 0; check < 8; check++) {
    assert.equal((await claim(sql, network, userId)).answer.data?.recorded, true);
    await advance(30 * second);
  }
  assert.equal(await creditsOf(sql, { userId, network, lane: null }), 10);
  assert.equal(await grantsFrom(sql, Array(7).fill(network)), 4);
});

Deno.test("grants count when the accounts that had them are erased, and name nobody by then", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const network = "192.0.2.1";
  const users: string[] = [];
  for (let number = 0; number < 5; number++) {
    const userId = await createCaller(sql, network);
    await claimAndGrant(sql, network, userId);
    users.push(userId);
  }
  for (const userId of users) await sql`select accounts.erase(${userId})`;
  assert.equal((await sql`select from devices.grants`).length, 0);
  assert.equal((await sql`select from devices.intents where user_id is not null`).length, 0);
  await setLimit(sql, "device_grants_global", 5);
  assert.equal(await grantsFrom(sql, [network, "192.0.2.2"]), 0);
  // And are gone when they count no more.
  await advance(day - second);
  assert.equal(await sweepRule(sql, "device_intents"), 0);
  await advance(second);
  assert.equal(await sweepRule(sql, "device_intents"), 5);
  assert.equal(await grantsFrom(sql, [network]), 1);
});

Deno.test("what counts is swept as late as the longest window asks, and an account stays granted after it", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await setLimit(sql, "device_grants", 5, 7 * 24 * 3600);
  const userId = await createCaller(sql, "192.0.2.1");
  await claimAndGrant(sql, "192.0.2.1", userId);
  await claim(sql, "192.0.2.2");
  await advance(6 * day);
  assert.equal(await sweepRule(sql, "device_intents"), 1, "the intent that came to nothing");
  await advance(2 * day);
  assert.equal(await sweepRule(sql, "device_intents"), 1);
  assert.equal(await claimAndGrant(sql, "192.0.2.1", userId), false);
});

Deno.test("a grant is there for as long as the alert of grants counts it, however short the windows of the limits are", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const measured = async (window: string) => {
    const [row] = await sql<
      { value: number }[]
    >`select m.value::int from ops.measure('grants', ${window}) as m`;
    return row?.value;
  };
  await setLimit(sql, "device_grants", 5, 3600);
  await setLimit(sql, "device_grants_global", 500, 3600);
  assert.equal(await grantsFrom(sql, ["192.0.2.1", "192.0.2.2", "192.0.2.3"]), 3);
  await advance(day - second);
  assert.equal(await sweepRule(sql, "device_intents"), 0);
  assert.equal(await measured("1 day"), 3);
  // The operator has it count a week.
  await sql`update ops.alert_rules set measured_over = '7 days' where name = 'grants'`;
  await advance(6 * day);
  assert.equal(await sweepRule(sql, "device_intents"), 0);
  assert.equal(await measured("7 days"), 3);
  await sql`update ops.alert_rules set measured_over = '1 hour' where name = 'grants'`;
  assert.equal(await sweepRule(sql, "device_intents"), 3, "and no longer than a day else");
});

Deno.test("without a policy there is no grant: the check is told to come again", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  for (const policy of ["device_grants", "device_grants_global"]) {
    await rolledBack(sql, async (sql) => {
      await sql`delete from guard.policies where name = ${policy}`;
      assert.deepEqual((await claim(sql, "192.0.2.1")).answer.data, {
        recorded: false,
        is_granted: false,
        reason: "busy",
        retry_after: 360,
      });
    });
  }
});

Deno.test("both limits are rows that the operator changes", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  await setLimit(sql, "device_grants", 2);
  assert.equal(await grantsFrom(sql, Array(4).fill("192.0.2.1")), 2);
  await setLimit(sql, "device_grants", 6);
  // More than the 300 hits that a row of counters could keep.
  await setLimit(sql, "device_grants_global", 100_000);
  assert.equal(await grantsFrom(sql, Array(7).fill("192.0.2.1")), 4);
});
