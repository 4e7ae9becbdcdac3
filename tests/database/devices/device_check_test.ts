/** The steps of a device check: its lane, its intent, and for whom an intent is good. */
import assert from "node:assert/strict";
import { manyConnections, times, untilBlocked } from "../support/connections.ts";
import {
  begin,
  type Check,
  claim,
  createCaller,
  creditsOf,
  enter,
  grant,
  intentGoodIn,
  leave,
  record,
} from "../support/devices.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { balancesOf, first, violations } from "../support/ledger.ts";
import { sweepRule } from "../support/retention.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const database = sharedDatabase(stillDatabase);
const { sql, advance } = database;

const second = 1000;
const minute = 60 * second;
const recorded = { recorded: true, is_granted: false };
const laneIsLost = { recorded: false, is_granted: false, reason: "busy", retry_after: 10 };

let networks = 0;

/** A network that no other test checks from. */
function newNetwork(): string {
  networks += 1;
  return `192.0.2.${networks}`;
}

/** An intent whose own check has ended, nobody knows how; and its lane, too. */
async function lostCheck(network: string, userId?: string): Promise<Check> {
  const { check, answer } = await claim(database.sql, network, userId);
  assert.deepEqual(answer.data, recorded);
  await database.advance(30 * second);
  return check;
}

Deno.test("a first check makes the account, and tells whom it knows", async () => {
  const network = newNetwork();
  const userId = crypto.randomUUID();
  const known: Record<string, unknown> = {
    user_id: userId,
    credits_remaining: 0,
    is_new: true,
    is_granted: false,
    intent_good_in: null,
  };
  const { app_account_token, ...told } = (await begin(sql, userId, network)).data ?? {};
  assert.match(`${app_account_token}`, /^[0-9a-f-]{36}$/);
  assert.deepEqual(told, known);
  known.app_account_token = app_account_token;
  assert.deepEqual((await begin(sql, userId, network)).data, { ...known, is_new: false });
  const { check } = await claim(sql, network, userId);
  assert.deepEqual((await begin(sql, userId, network)).data, { ...known, is_new: false, intent_good_in: 30 });
  await grant(sql, check);
  assert.deepEqual((await begin(sql, userId, network)).data, {
    ...known,
    credits_remaining: 10,
    is_new: false,
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

Deno.test("settled accounts cost their network nothing: behind one address all start as often as they like", async () => {
  const network = newNetwork();
  const { sql, advance } = database;
  const users: string[] = [];
  for (let user = 0; user < 8; user++) {
    const { check } = await claim(sql, network, await createCaller(sql, network));
    await grant(sql, check);
    users.push(check.userId);
    // As many as the network may have in a day.
    if (user % 4 === 3) await advance(25 * 60 * minute);
  }
  const hits = () =>
    first(sql<{ hits: number }[]>`
    select coalesce(sum(cardinality(h.hits)), 0)::int as hits from guard.hits as h where h.subject = ${network}`);
  const before = await hits();
  for (let start = 0; start < 100; start++) {
    const answer = await begin(sql, users[start % users.length] ?? "", network);
    assert.equal(answer.data?.["is_granted"], true);
    assert.deepEqual(answer.limits?.map(({ policy }) => policy), ["reads"]);
  }
  assert.deepEqual(await hits(), before);
  // Whose grant is open counts as before.
  const policies = (await begin(sql, crypto.randomUUID(), network)).limits?.map(({ policy }) => policy);
  assert.deepEqual(policies, ["device_check", "device_check_network"]);
});

Deno.test("one check of a network is in the lane at a time, and of another network beside it", async () => {
  const network = newNetwork();
  await using sql = manyConnections(database);
  const lanes = await times(16, () => enter(sql, network));
  assert.equal(lanes.filter(({ lane }) => lane !== null).length, 1);
  assert.notEqual((await enter(sql, newNetwork())).lane, null);
  // Who has no network shares a lane with all who have none.
  assert.notEqual((await enter(sql, null)).lane, null);
  assert.equal((await enter(sql, null)).lane, null);
});

Deno.test("who finds the lane taken is told for how long, and does not keep its holder from leaving", async () => {
  const network = newNetwork();
  const { lane } = await enter(sql, network);
  assert.deepEqual(await enter(sql, network), { lane: null, retry_after: 10 });
  await advance(9_500);
  assert.deepEqual(await enter(sql, network), { lane: null, retry_after: 1 });
  assert.equal(await leave(sql, { lane, network }), true);
  assert.notEqual((await enter(sql, network)).lane, null);
});

Deno.test("a lane is lost with its lease, and then neither records an intent nor ends another's", async () => {
  const network = newNetwork();
  const userId = await createCaller(sql, network);
  const { lane: lost } = await enter(sql, network);
  await advance(11 * second);
  const { lane } = await enter(sql, network);
  assert.notEqual(lane, null);
  for (const not of [lost, null]) {
    assert.deepEqual((await record(sql, { userId, network, lane: not })).data, laneIsLost);
    assert.equal(await leave(sql, { network, lane: not }), false);
  }
  assert.deepEqual((await record(sql, { userId, network, lane })).data, recorded);
});

Deno.test("no intent is recorded for a check that has given up after its 8 seconds", async () => {
  for (const [seconds, expected] of [[7, recorded], [8, laneIsLost], [9, laneIsLost]] as const) {
    const network = newNetwork();
    const userId = await createCaller(sql, network);
    const { lane } = await enter(sql, network);
    await advance(seconds * second);
    assert.deepEqual((await record(sql, { userId, network, lane })).data, expected, `after ${seconds} s`);
  }
});

Deno.test("an intent recorded twice is one", async () => {
  const network = newNetwork();
  const { check } = await claim(sql, network);
  assert.deepEqual((await record(sql, check)).data, recorded);
  assert.equal((await sql`select from devices.intents where user_id = ${check.userId}`).length, 1);
});

Deno.test("a device is granted once, with an intent only, and the lane is left", async () => {
  const network = newNetwork();
  await using sql = manyConnections(database);
  const userId = await createCaller(sql, network);
  const nothing = { credits: 0, credits_remaining: 0 };
  assert.deepEqual((await grant(sql, { userId, network, lane: null })).data, nothing);
  const { check } = await claim(sql, network, userId);

  const answers = await times(16, () => grant(sql, check));
  assert.deepEqual(answers.map(({ data }) => data?.["credits"]).sort(), [...Array(15).fill(0), 10]);
  for (const { data } of answers) assert.equal(data?.["credits_remaining"], 10);
  assert.equal((await balancesOf(sql, userId)).available, 10);
  assert.equal((await sql`select from devices.lanes where network = ${network}`).length, 0);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("who leaves the lane has not set the bit, and takes their intent along, and no other", async () => {
  const [network, other] = [newNetwork(), newNetwork()];
  const earlier = await lostCheck(other);
  const { userId } = earlier;
  const { check } = await claim(sql, network, userId);
  assert.equal(await leave(sql, check), true);
  assert.equal(await intentGoodIn(sql, check), null);
  assert.equal(await creditsOf(sql, check), 0);
  assert.equal(await leave(sql, check), false);
  // Of the other network's check nobody knows; its intent stays.
  assert.equal(await intentGoodIn(sql, earlier), 0);
});

Deno.test("an intent that is being recorded while its lane is left goes with it", async () => {
  const network = newNetwork();
  const userId = await createCaller(sql, network);
  const check = { userId, network, lane: (await enter(sql, network)).lane };
  let left: Promise<boolean> | undefined;
  await sql.begin(async (transaction) => {
    assert.deepEqual((await record(transaction, check)).data, recorded);
    left = leave(sql, check);
    await untilBlocked(sql);
  });
  assert.equal(await left, true);
  assert.equal((await sql`select from devices.intents where user_id = ${userId}`).length, 0);
  // And one that comes after it finds the lane left.
  assert.deepEqual((await record(sql, check)).data, laneIsLost);
});

Deno.test("while its own check may be under way, an intent is good for no other check of its account", async () => {
  const network = newNetwork();
  const { check } = await claim(sql, network);
  const later = { ...check, lane: null };
  for (const [passed, wait] of [[0, 30], [10, 20], [19.5, 1]] as const) {
    await advance(passed * second);
    assert.equal(await intentGoodIn(sql, later), wait);
    assert.equal(await creditsOf(sql, later), 0);
  }
  assert.equal(await creditsOf(sql, check), 10, "its own check may be slow");
});

Deno.test("a crash between the bit and the grant is healed: the next check in the network is granted, for ten minutes", async () => {
  for (const [minutes, credits] of [[0, 10], [9, 10], [9.5, 0], [60, 0]] as const) {
    const network = newNetwork();
    const lost = await lostCheck(network);
    await advance(minutes * minute);
    const later = { ...lost, lane: null };
    assert.equal(await intentGoodIn(sql, later), credits === 10 ? 0 : null);
    assert.equal(await creditsOf(sql, later), credits, `${minutes} minutes after it is good`);
    assert.equal(await creditsOf(sql, later), 0);
  }
});

Deno.test("an intent is good for its account and its network alone", async () => {
  const network = newNetwork();
  const lost = await lostCheck(network);
  const other = await createCaller(sql, network);
  const strangers = [
    { userId: other, network, lane: null },
    { userId: other, network, lane: lost.lane },
    { ...lost, network: newNetwork() },
    { ...lost, network: newNetwork(), lane: null },
    { ...lost, network: null, lane: null },
  ];
  for (const stranger of strangers) assert.equal(await creditsOf(sql, stranger), 0);
  assert.equal(await creditsOf(sql, { ...lost, lane: null }), 10);
});

Deno.test("two checks of one account at once have an intent each: what becomes of one does not touch the other", async () => {
  const [one, other] = [newNetwork(), newNetwork()];
  const userId = await createCaller(sql, one);
  const checks = [
    { userId, network: one, lane: (await enter(sql, one)).lane },
    { userId, network: other, lane: (await enter(sql, other)).lane },
  ] as const;
  let second: ReturnType<typeof record> | undefined;
  await sql.begin(async (transaction) => {
    assert.deepEqual((await record(transaction, checks[0])).data, recorded);
    second = record(sql, checks[1]);
    await untilBlocked(sql);
  });
  assert.deepEqual((await second)?.data, recorded);
  // One was refused by Apple: nothing is left of it for the account to use, in either network.
  await leave(sql, checks[0]);
  assert.equal(await creditsOf(sql, checks[0]), 0);
  assert.equal(await creditsOf(sql, checks[1]), 10);
});

Deno.test("whoever was granted meanwhile is told so before a second device's bit is set", async () => {
  const [one, other] = [newNetwork(), newNetwork()];
  const userId = await createCaller(sql, one);
  const check = { userId, network: other, lane: (await enter(sql, other)).lane };
  const { check: granted } = await claim(sql, one, userId);
  assert.equal(await creditsOf(sql, granted), 10);
  assert.deepEqual((await record(sql, check)).data, { recorded: false, is_granted: true });
});

Deno.test("of two intents of one account one is granted", async () => {
  const [one, other] = [newNetwork(), newNetwork()];
  const { check } = await claim(sql, one);
  const { check: second } = await claim(sql, other, check.userId);
  assert.deepEqual([await creditsOf(sql, check), await creditsOf(sql, second)], [10, 0]);
  assert.equal((await balancesOf(sql, check.userId)).available, 10);
});

Deno.test("a closed or banned user neither begins a check, nor records an intent, nor gets a grant", async () => {
  for (const [column, code] of [["is_banned", "ERR_4017"], ["closed_at", "ERR_4005"]] as const) {
    const network = newNetwork();
    const lost = await lostCheck(network);
    const inLane = { ...lost, lane: (await enter(sql, network)).lane };
    const value = column === "is_banned" ? "true" : "now()";
    await sql`update accounts.users set ${sql(column)} = ${sql.unsafe(value)} where id = ${lost.userId}`;
    assert.equal((await begin(sql, lost.userId, network)).error, code);
    assert.equal((await record(sql, inLane)).error, code);
    assert.equal((await grant(sql, inLane)).error, code);
    assert.equal((await grant(sql, { ...lost, lane: null })).error, code);
    assert.equal((await balancesOf(sql, lost.userId)).available, 0);
  }
});

Deno.test("lanes that nobody uses are swept", async () => {
  const network = newNetwork();
  const sweep = () => sweepRule(sql, "device_lanes");
  await advance(2 * 60 * minute);
  await sweep();
  await enter(sql, network);
  await advance(60 * minute);
  assert.equal(await sweep(), 0);
  await advance(11 * second);
  assert.equal(await sweep(), 1);
});
