import assert from "node:assert/strict";
import { manyConnections, times, untilBlocked } from "../support/connections.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { balancesOf, first, type Sql, violations } from "../support/ledger.ts";
import { sweepRule } from "../support/retention.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const database = sharedDatabase(stillDatabase);

const second = 1000;

interface Answer {
  data?: Record<string, unknown>;
  error?: string;
  details?: Record<string, unknown>;
}

async function answer(query: PromiseLike<readonly { answer: Answer }[]>): Promise<Answer> {
  return (await first(query)).answer;
}

async function begin(sql: Sql, userId: string, network: string | null): Promise<Answer> {
  return await answer(sql`select api.begin_device_check(${userId}, ${network}) as answer`);
}

async function enterLane(sql: Sql, network: string | null): Promise<string | null> {
  const { lane } = await first(sql<{ lane: string | null }[]>`
    select api.enter_device_lane(${network}) -> 'data' ->> 'lane' as lane`);
  return lane;
}

async function leaveLane(sql: Sql, lane: string | null, network: string | null): Promise<boolean> {
  const { left } = await first(sql<{ left: boolean }[]>`
    select (api.leave_device_lane(${network}, ${lane}) -> 'data' ->> 'left')::boolean as left`);
  return left;
}

async function recordIntent(
  sql: Sql,
  userId: string,
  lane: string | null,
  network: string | null,
): Promise<boolean> {
  const { recorded } = await first(sql<{ recorded: boolean }[]>`
    select (api.record_device_intent(${userId}, ${network}, ${lane}) -> 'data' ->> 'recorded')::boolean as recorded`);
  return recorded;
}

async function grant(
  sql: Sql,
  userId: string,
  lane: string | null,
  network: string | null,
): Promise<Answer> {
  return await answer(sql`select api.grant_device_credits(${userId}, ${network}, ${lane}) as answer`);
}

/** What is granted without an intent. */
const nothing = { credits: 0, credits_remaining: 0 };

let networks = 0;

/** A network that no other test checks from. */
function newNetwork(): string {
  networks += 1;
  return `192.0.2.${networks}`;
}

/** Somebody who has begun a check. */
async function createCaller(sql: Sql, network: string): Promise<string> {
  const userId = crypto.randomUUID();
  await begin(sql, userId, network);
  return userId;
}

Deno.test("a first check makes the account, and tells whom it knows", async () => {
  const network = newNetwork();
  const { sql } = database;
  const userId = crypto.randomUUID();
  const known = { user_id: userId, credits_remaining: 0, is_new: true, has_intent: false, is_granted: false };
  assert.deepEqual((await begin(sql, userId, network)).data, known);
  assert.deepEqual((await begin(sql, userId, network)).data, { ...known, is_new: false });
  const lane = await enterLane(sql, network);
  assert.equal(await recordIntent(sql, userId, lane, network), true);
  assert.deepEqual((await begin(sql, userId, network)).data, { ...known, is_new: false, has_intent: true });
  await grant(sql, userId, lane, network);
  assert.deepEqual((await begin(sql, userId, network)).data, {
    user_id: userId,
    credits_remaining: 10,
    is_new: false,
    has_intent: true,
    is_granted: true,
  });
});

Deno.test("of many first checks at once one made the account", async () => {
  const network = newNetwork();
  await using sql = manyConnections(database);
  const userId = crypto.randomUUID();
  // Ten, which is what the policy admits.
  const answers = await times(10, () => begin(sql, userId, network));
  assert.equal(answers.filter(({ data }) => data?.["is_new"] === true).length, 1);
});

Deno.test("one check of a network is in the lane at a time, and of another network beside it", async () => {
  const network = newNetwork();
  await using sql = manyConnections(database);
  const lanes = await times(16, () => enterLane(sql, network));
  assert.equal(lanes.filter((lane) => lane !== null).length, 1);
  assert.notEqual(await enterLane(sql, newNetwork()), null);
  // Who has no network shares a lane with all who have none.
  assert.notEqual(await enterLane(sql, null), null);
  assert.equal(await enterLane(sql, null), null);
});

Deno.test("who finds the lane taken is told so at once, and does not keep its holder from leaving", async () => {
  const network = newNetwork();
  const { sql } = database;
  const holder = await enterLane(sql, network);
  assert.equal(await enterLane(sql, network), null);
  assert.equal(await leaveLane(sql, holder, network), true);
  assert.notEqual(await enterLane(sql, network), null);
});

Deno.test("a lane is lost with its lease, and then neither records an intent nor ends another's", async () => {
  const network = newNetwork();
  const { sql, advance } = database;
  const userId = await createCaller(sql, network);
  const lost = await enterLane(sql, network);
  await advance(11 * second);
  assert.equal(await recordIntent(sql, userId, lost, network), false);
  const lane = await enterLane(sql, network);
  assert.notEqual(lane, null);
  assert.equal(await recordIntent(sql, userId, lost, network), false);
  assert.equal(await leaveLane(sql, lost, network), false);
  assert.equal(await recordIntent(sql, userId, null, network), false);
  assert.equal(await recordIntent(sql, userId, lane, network), true);
});

Deno.test("a device is granted once, with an intent only, and the lane is left", async () => {
  const network = newNetwork();
  await using sql = manyConnections(database);
  const userId = await createCaller(sql, network);
  assert.deepEqual((await grant(sql, userId, null, network)).data, nothing);
  const lane = await enterLane(sql, network);
  await recordIntent(sql, userId, lane, network);

  const answers = await times(16, () => grant(sql, userId, lane, network));
  assert.deepEqual(answers.map(({ data }) => data?.["credits"]).sort(), [...Array(15).fill(0), 10]);
  for (const { data } of answers) assert.equal(data?.["credits_remaining"], 10);
  assert.equal((await balancesOf(sql, userId)).available, 10);
  assert.equal((await sql`select from devices.lanes where network = ${network}`).length, 0);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("who leaves the lane has not set the bit, and takes their intent along, but for one that others rely on", async () => {
  const { sql, advance } = database;
  const [network, other] = [newNetwork(), newNetwork()];
  const hasIntent = async (userId: string) => (await begin(sql, userId, network)).data?.["has_intent"];
  const userId = await createCaller(sql, network);
  const lane = await enterLane(sql, network);
  await recordIntent(sql, userId, lane, network);
  assert.equal(await leaveLane(sql, lane, network), true);
  assert.equal(await hasIntent(userId), false);
  assert.deepEqual((await grant(sql, userId, null, network)).data, nothing);

  // Of an earlier check, which may have set its bit; and of another one at the same time.
  const lost = await enterLane(sql, network);
  await recordIntent(sql, userId, lost, network);
  await advance(11 * second);
  const refused = await enterLane(sql, network);
  await recordIntent(sql, userId, refused, network);
  await leaveLane(sql, refused, network);
  assert.equal(await hasIntent(userId), true);
  const twice = await createCaller(sql, network);
  const lanes = [await enterLane(sql, network), await enterLane(sql, other)];
  await recordIntent(sql, twice, lanes[0] ?? null, network);
  await recordIntent(sql, twice, lanes[1] ?? null, other);
  await leaveLane(sql, lanes[0] ?? null, network);
  assert.equal(await hasIntent(twice), true);
  assert.equal((await grant(sql, twice, lanes[1] ?? null, other)).data?.["credits"], 10);
});

Deno.test("an intent from an earlier check is good for the grant, and takes none of the day's again", async () => {
  const network = newNetwork();
  const { sql, advance } = database;
  const userId = await createCaller(sql, network);
  for (let check = 0; check < 2; check++) {
    const lane = await enterLane(sql, network);
    assert.equal(await recordIntent(sql, userId, lane, network), true);
    // Nobody knows whether the bit was set, and the lane is left to its lease.
    await advance(11 * second);
  }
  const { hits } = await first(sql`
    select cardinality(h.hits) as hits from guard.hits as h where h.policy = 'device_grants' and h.subject = ${network}`);
  assert.equal(hits, 1);
  const other = await createCaller(sql, network);
  assert.deepEqual((await grant(sql, other, null, network)).data, nothing);
  assert.equal((await grant(sql, userId, null, network)).data?.["credits"], 10);
});

Deno.test("an account that checks from two networks at once has one intent, and both checks go on", async () => {
  const { sql } = database;
  const [one, other] = [newNetwork(), newNetwork()];
  const userId = await createCaller(sql, one);
  const lanes = [await enterLane(sql, one), await enterLane(sql, other)];
  let second: Promise<boolean> | undefined;
  await sql.begin(async (transaction) => {
    assert.equal(await recordIntent(transaction, userId, lanes[0] ?? null, one), true);
    second = recordIntent(sql, userId, lanes[1] ?? null, other);
    await untilBlocked(sql);
  });
  assert.equal(await second, true);
});

Deno.test("a network has five grants a day, and another network its own", async () => {
  const network = newNetwork();
  const { sql, advance } = database;
  const recorded: boolean[] = [];
  for (let device = 0; device < 6; device++) {
    const lane = await enterLane(sql, network);
    recorded.push(await recordIntent(sql, await createCaller(sql, network), lane, network));
    await leaveLane(sql, lane, network);
  }
  assert.deepEqual(recorded, [true, true, true, true, true, false]);
  const elsewhere = "2001:db8:1:2::/64";
  assert.equal(
    await recordIntent(sql, await createCaller(sql, network), await enterLane(sql, elsewhere), elsewhere),
    true,
  );
  await advance(24 * 60 * 60 * second);
  assert.equal(
    await recordIntent(sql, await createCaller(sql, network), await enterLane(sql, network), network),
    true,
  );
});

Deno.test("a closed or banned user neither begins a check nor gets a grant", async () => {
  const network = newNetwork();
  const { sql } = database;
  for (const [column, code] of [["is_banned", "ERR_4017"], ["closed_at", "ERR_4005"]] as const) {
    const userId = await createCaller(sql, network);
    const lane = await enterLane(sql, network);
    await recordIntent(sql, userId, lane, network);
    await leaveLane(sql, lane, network);
    const value = column === "is_banned" ? "true" : "now()";
    await sql`update accounts.users set ${sql(column)} = ${sql.unsafe(value)} where id = ${userId}`;
    assert.equal((await begin(sql, userId, network)).error, code);
    assert.equal((await grant(sql, userId, null, network)).error, code);
    assert.equal((await balancesOf(sql, userId)).available, 0);
  }
});

Deno.test("lanes that nobody uses are swept", async () => {
  const network = newNetwork();
  const { sql, advance } = database;
  const sweep = () => sweepRule(sql, "device_lanes");
  await advance(2 * 3600 * second);
  await sweep();
  await enterLane(sql, network);
  await advance(3600 * second);
  assert.equal(await sweep(), 0);
  await advance(11 * second);
  assert.equal(await sweep(), 1);
});
