/** A device's credits are granted once to an Apple Account that is proved, whatever devices and networks take part. */
import assert from "node:assert/strict";
import { claimErasure, closeAccount, createGuest, eraseAccount, untilErasable } from "../support/accounts.ts";
import { times } from "../support/connections.ts";
import { first, violations } from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const database = sharedDatabase();
const { sql } = database;

type App = { environment: string; app_transaction_id: string } | null;
const newApp = () => ({ environment: "production", app_transaction_id: crypto.randomUUID().slice(0, 36) });
let networks = 0;
const newNetwork = () => `198.51.${Math.floor(++networks / 250)}.${networks % 250}`;

/** A check of a new device by a new guest: what it granted, or why it was not recorded. */
async function check(
  app: App,
  network = newNetwork(),
): Promise<{ userId: string; outcome: number | string }> {
  const userId = await createGuest(database, 0);
  const json = app === null ? null : sql.json(app);
  await sql`select api.begin_device_check(${userId}, ${network}, p_app_transaction => ${json})`;
  const { lane } = await first(sql`select api.enter_device_lane(${network}) #>> '{data,lane}' as lane`);
  assert(lane, "the lane is free");
  const { intent } = await first(sql`
    select api.record_device_intent(${userId}, ${network}, ${lane}, p_app_transaction => ${json}) -> 'data' as intent`);
  if (!intent.recorded) {
    await sql`select api.leave_device_lane(${network}, ${lane})`;
    return { userId, outcome: intent.is_granted ? "already_claimed" : intent.reason };
  }
  const { grant } = await first(sql`
    select api.grant_device_credits(${userId}, ${network}, ${lane}, p_app_transaction => ${json}) -> 'data' as grant`);
  return { userId, outcome: grant.credits };
}

Deno.test("of twenty devices of one Apple Account in twenty networks, at once and one after the other, one is granted", async () => {
  const app = newApp();
  const outcomes = (await times(10, () => check(app))).map(({ outcome }) => outcome);
  for (let device = 0; device < 10; device++) outcomes.push((await check(app)).outcome);
  assert.equal(outcomes.filter((outcome) => outcome === 10).length, 1);
  assert(outcomes.every((outcome) => outcome === 10 || outcome === 0 || outcome === "already_claimed"));
  assert.deepEqual(await violations(sql), []);
});

Deno.test("a network's limit of grants is for those who prove nothing, and a carrier's address starves nobody", async () => {
  const network = newNetwork();
  for (let device = 0; device < 8; device++) assert.equal((await check(newApp(), network)).outcome, 10);
  const elsewhere = newNetwork();
  const outcomes = [];
  for (let device = 0; device < 7; device++) outcomes.push((await check(null, elsewhere)).outcome);
  assert.deepEqual(outcomes, [10, 10, 10, 10, 10, "network_limit", "network_limit"]);
});

Deno.test("the grants of all in an hour bound those who prove their Apple Account, too", async () => {
  await sql.begin(async (sql) => {
    await sql`update guard.policies set max_hits = 1 where name = 'device_grants_global'`;
    const { reason } = await first(sql`select reason from devices.admit_intent('192.0.2.9', true)`);
    assert.equal(reason, "network_limit");
    await sql`update guard.policies set max_hits = 500 where name = 'device_grants_global'`;
  });
});

Deno.test("an account that is closed and erased brings its Apple Account no second grant", async () => {
  const app = newApp();
  const { userId, outcome } = await check(app);
  assert.equal(outcome, 10);
  await closeAccount(sql, userId);
  await database.advance(untilErasable);
  const erasure = await claimErasure(sql, userId);
  assert(erasure);
  assert.equal(await eraseAccount(sql, erasure), "erased");
  assert.equal((await check(app)).outcome, "already_claimed");
  const [row] = await sql`
    select user_id, granted_at from devices.app_transactions where app_transaction_id = ${app.app_transaction_id}`;
  assert(row?.granted_at);
  assert.notEqual(row?.user_id, userId);
});
