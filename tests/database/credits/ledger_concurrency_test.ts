import assert from "node:assert/strict";
import fc from "fast-check";
import { runs } from "../../runs.ts";
import { testDatabase } from "../harness.ts";
import { manyConnections, times } from "../support/connections.ts";
import { acceptJob, settle } from "../support/jobs.ts";
import {
  add,
  balancesOf,
  capture,
  deduct,
  first,
  hold,
  openAccount,
  type Outcome,
  release,
  violations,
} from "../support/ledger.ts";
import { runTask } from "../support/scheduled-tasks.ts";

Deno.test("of 64 duplicates at once, one is posted, and all get its answer", async () => {
  await using database = await testDatabase();
  await using sql = manyConnections(database);
  const user = await openAccount(sql);
  await add(sql, user, 100);
  const job = crypto.randomUUID();
  const calls: (() => Promise<Outcome>)[] = [
    () => add(sql, user, 50, { key: "add" }),
    () => deduct(sql, user, 20, "deduct"),
    () => hold(sql, user, 30, job),
    () => release(sql, job),
  ];
  for (const call of calls) {
    const [one, ...others] = await times(64, call);
    assert.ok(one !== undefined && one.error === undefined);
    for (const other of others) assert.deepEqual(other, one);
  }
  const { transfers } = await first(sql`select count(*)::integer as transfers from credits.transfers`);
  assert.equal(transfers, 1 + calls.length);
  assert.equal((await balancesOf(sql, user)).available, 130);
});

Deno.test("no update is lost of many concurrent postings to one hot account", async () => {
  const postings = runs(100, 10_000);
  await using database = await testDatabase();
  await using sql = manyConnections(database);
  const user = await openAccount(sql);
  // Enough for the deductions that come before their additions.
  await add(sql, user, postings);
  await times(postings, (index) => index % 2 === 0 ? add(sql, user, 3) : deduct(sql, user, 1));

  const { available, lots } = await balancesOf(sql, user);
  assert.equal(available, postings + (postings / 2) * (3 - 1));
  assert.equal(lots.reduce((sum, { remaining }) => sum + remaining, 0), available);
  const { entries } = await first(sql<{ entries: number }[]>`
    select a.entry_count::integer as entries from credits.accounts as a where a.owner_id = ${user}`);
  assert.equal(entries, 1 + postings);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("however transfers run at once, all accounts together hold what came in from outside", async () => {
  await using database = await testDatabase();
  await using sql = manyConnections(database);
  const users = await times(10, () => openAccount(sql));
  await Promise.all(users.map((user) => add(sql, user, 30, { kind: "purchase" })));
  const running = await Promise.all(users.map((user) => times(4, () => acceptJob(sql, user, { price: 2 }))));

  const action = fc.record({
    user: fc.constantFrom(...users.keys()),
    amount: fc.integer({ min: 1, max: 20 }),
    kind: fc.constantFrom("add", "deduct", "settle", "expiring" as const),
  });
  // One sequence for ever: what varies from run to run is who comes first.
  const actions = fc.sample(action, { numRuns: runs(120, 4_000), seed: 1 });
  await Promise.all(actions.map(async ({ user, amount, kind }) => {
    const [userId, job] = [users[user], running[user]?.[amount % 4]];
    assert.ok(userId !== undefined && job !== undefined);
    if (kind === "add") await add(sql, userId, amount);
    else if (kind === "expiring") await add(sql, userId, amount, { expiresInHours: 1 });
    else if (kind === "deduct") await deduct(sql, userId, amount);
    else await settle(sql, job, amount % 2 === 0 ? "failed" : "cancelled");
  }));
  await database.advance(2 * 60 * 60 * 1000);
  await runTask(sql, "expire_credits");

  const { sum, users: held, system } = await first(sql`
    select
      (select sum(e.amount)::integer from credits.entries as e) as sum,
      (select sum(a.balance)::integer from credits.accounts as a) as users,
      (select sum(s.balance)::integer from credits.system_balances as s) as system`);
  assert.equal(sum, 0);
  assert.equal(held, -system);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("of many debits at once, no more are accepted than the balance covers", async () => {
  await using database = await testDatabase();
  await using sql = manyConnections(database);
  const user = await openAccount(sql);
  await add(sql, user, 60);
  await add(sql, user, 40);
  const outcomes = await times(
    64,
    (index) => index % 2 === 0 ? deduct(sql, user, 7) : hold(sql, user, 7, crypto.randomUUID()),
  );

  const refused = outcomes.filter(({ error }) => error === "insufficient_credits");
  assert.equal(outcomes.length - refused.length, 14);
  for (const { current_credits } of refused) assert.equal(current_credits, 2);
  assert.equal((await balancesOf(sql, user)).available, 2);
  // Each saw the balance that the one before it left.
  const remaining = outcomes.flatMap(({ credits_remaining }) => credits_remaining ?? []);
  assert.deepEqual(remaining.sort((a, b) => b - a), Array.from({ length: 14 }, (_, index) => 93 - 7 * index));
});

Deno.test("capture and release exclude each other, whoever comes first", async () => {
  await using database = await testDatabase();
  await using sql = manyConnections(database);
  const user = await openAccount(sql);
  await add(sql, user, 100);
  for (let round = 0; round < 5; round++) {
    const before = (await balancesOf(sql, user)).available;
    const job = crypto.randomUUID();
    await hold(sql, user, 10, job);
    const outcomes = await times(
      32,
      async (index) => ({
        captures: index % 2 === 0,
        ...await (index % 2 === 0 ? capture : release)(sql, job),
      }),
    );
    const winners = outcomes.filter(({ error }) => error === undefined);
    assert.equal(winners.length, 16);
    const captured = winners.every(({ captures }) => captures);
    assert.ok(captured || winners.every(({ captures }) => !captures), "both ended the hold");
    for (const { error } of outcomes.filter((outcome) => !winners.includes(outcome))) {
      assert.equal(error, "already_ended");
    }
    assert.equal((await balancesOf(sql, user)).available, captured ? before - 10 : before);
  }
});

Deno.test("an account opened by many at once is one account", async () => {
  await using database = await testDatabase();
  await using sql = manyConnections(database);
  const user = crypto.randomUUID();
  await times(32, () => sql`select credits.open_account(${user})`);
  const { accounts } = await first(sql`
    select count(*)::integer as accounts from credits.accounts as a where a.owner_id = ${user}`);
  assert.equal(accounts, 1);
});

Deno.test("the sweep of expired credits passes over an account that somebody holds", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const [held, free] = [await openAccount(sql), await openAccount(sql)];
  for (const user of [held, free]) await add(sql, user, 5, { expiresInHours: 1 });
  await database.advance(2 * 60 * 60 * 1000);
  const sweep = () => runTask(sql, "expire_credits");

  await sql.begin(async (transaction) => {
    await transaction`select from credits.accounts as a where a.owner_id = ${held} for update`;
    assert.equal(await sweep(), 1);
    assert.equal((await balancesOf(sql, free)).available, 0);
  });
  // It is tried again after 10 seconds.
  await database.advance(11_000);
  assert.equal(await sweep(), 1);
  assert.equal((await balancesOf(sql, held)).available, 0);
  assert.equal(await sweep(), 0);
});
