/** Refunds and adjustments by hand: each moves credits once, with its reason, or not at all. */
import assert from "node:assert/strict";
import {
  actionsAbout,
  adjust,
  codeOf,
  createAdmin,
  createCustomer,
  customersJob,
  refund,
  signUp,
} from "../support/admins.ts";
import { manyConnections, times } from "../support/connections.ts";
import { acceptJob, settle } from "../support/jobs.ts";
import {
  add,
  balancesOf,
  closeAccount,
  first,
  reverse,
  systemBalances,
  violations,
} from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const database = sharedDatabase();
const { sql } = database;

Deno.test.afterEach(async () => assert.deepEqual(await violations(database.sql), []));

/** A customer with a completed job of 4 credits, and 6 credits left. */
async function completedJob(): Promise<{ userId: string; jobId: string }> {
  const userId = await createCustomer(database.sql, 10);
  return { userId, jobId: await customersJob(database.sql, userId, "completed") };
}

async function creditsUsed(jobId: string): Promise<number> {
  const { used } = await first(database.sql<{ used: number }[]>`
    select j.credits_used::integer as used from videos.jobs as j where j.id = ${jobId}`);
  return used;
}

Deno.test("a refund moves credits from revenue, and its reason stands beside the transfer", async () => {
  const [admin, user] = [await createAdmin(sql), await createCustomer(sql, 5)];
  const { data, limits } = await refund(sql, admin, user, 7, { reason: "a bad day" });
  assert(data);
  assert.equal(data.new_balance, 12);
  assert.deepEqual(limits?.map(({ policy, remaining }) => [policy, remaining]), [
    ["admin_credits", 9_993],
    ["admin", 59],
  ]);
  const transfer = await first(sql`
    select t.kind, t.amount::integer from credits.transfers as t where t.id = ${data.transaction_id}`);
  assert.deepEqual({ ...transfer }, { kind: "refund", amount: 7 });
  assert.deepEqual(await systemBalances(sql, user), { grants: -5, revenue: -7 });
  assert.deepEqual(await actionsAbout(sql, user), [{
    action: "refund_credits",
    admin_id: admin,
    user_id: user,
    model_id: null,
    amount: 7,
    transfer_id: data.transaction_id,
    job_id: null,
    reason: "a bad day",
    request_id: "request",
  }]);
});

Deno.test("an adjustment adds or takes credits, never below zero", async () => {
  const [admin, user] = [await createAdmin(sql), await createCustomer(sql, 5)];
  assert.equal((await adjust(sql, admin, user, 10)).data?.new_balance, 15);
  const refused = await adjust(sql, admin, user, -16);
  assert.deepEqual([refused.error, refused.details], ["ERR_4001", { required: 16, available: 15 }]);
  const { data, limits } = await adjust(sql, admin, user, -15);
  assert.equal(data?.new_balance, 0);
  // What is taken is no credit that was given.
  assert.deepEqual(limits?.map(({ policy }) => policy), ["admin"]);
  const actions = await actionsAbout(sql, user);
  assert.deepEqual(actions.map(({ action, amount }) => [action, amount]), [
    ["adjust_credits", 10],
    ["adjust_credits", -15],
  ]);
  assert.equal(actions[1]?.transfer_id, data?.transaction_id);
});

Deno.test("credits that have expired are not there to be taken", async () => {
  const [admin, user] = [await createAdmin(sql), await createCustomer(sql, 5)];
  await add(sql, user, 10, { expiresInHours: 1 });
  await database.advance(3_600_000);
  const refused = await adjust(sql, admin, user, -6);
  assert.deepEqual([refused.error, refused.details], ["ERR_4001", { required: 6, available: 5 }]);
});

Deno.test("what is given pays a debt first, and the balance that is told is what is left", async () => {
  const [admin, user] = [await createAdmin(sql), await createCustomer(sql)];
  const { transfer_id } = await add(sql, user, 10, { kind: "purchase" });
  await adjust(sql, admin, user, -8);
  await reverse(sql, transfer_id);
  assert.equal((await balancesOf(sql, user)).owed, 8);
  assert.equal((await refund(sql, admin, user, 10)).data?.new_balance, 2);
  assert.deepEqual((await balancesOf(sql, user)).owed, 0);
});

Deno.test("a job's refund is at most what it cost, and is taken off what it used", async () => {
  const admin = await createAdmin(sql);
  const { userId, jobId } = await completedJob();
  const tooMuch = await refund(sql, admin, userId, 5, { jobId });
  assert.deepEqual([tooMuch.error, tooMuch.details], ["ERR_4008", {
    fields: [{ path: "amount", message: "Must be at most 4, what the job cost" }],
  }]);
  assert.equal(await creditsUsed(jobId), 4);
  const { data } = await refund(sql, admin, userId, 3, { jobId });
  assert.equal(data?.new_balance, 9);
  assert.equal(await creditsUsed(jobId), 1);
  const again = await refund(sql, admin, userId, 1, { jobId });
  assert.deepEqual([again.error, again.details], ["ERR_4009", { status: "refunded" }]);
  const transfer = await first(sql`
    select t.job_id from credits.transfers as t where t.id = ${data?.transaction_id ?? null}`);
  assert.equal(transfer["job_id"], jobId);
});

Deno.test("what the sandbox paid of a job is refunded as credits of the sandbox, which pay no debt", async () => {
  const admin = await createAdmin(sql);
  // What the sandbox gave, what was given besides, what of the 4 is refunded, and what of that is the sandbox' again.
  for (
    const [inSandbox, other, amount, again] of [[3, 6, 1, 0], [3, 6, 4, 3], [9, 0, 2, 2], [
      4,
      5,
      4,
      4,
    ]] as const
  ) {
    const userId = await createCustomer(sql);
    await sql`
      select credits.add(${userId}, ${inSandbox}, 'purchase', ${crypto.randomUUID()}, p_is_sandbox => true)`;
    if (other > 0) await add(sql, userId, other);
    const jobId = await customersJob(sql, userId, "completed");
    const { data } = await refund(sql, admin, userId, amount, { jobId });
    assert.equal(data?.new_balance, 5 + amount);
    const lots = await sql<{ is_sandbox: boolean; amount: number }[]>`
      select l.is_sandbox, d.amount::integer
      from credits.transfers as t
      cross join lateral unnest(t.draws) as d (lot_id, amount)
      join credits.lots as l on l.id = d.lot_id
      where t.id = ${data.transaction_id}`;
    const sum = (isSandbox: boolean) =>
      lots.reduce((total, lot) => total + (lot.is_sandbox === isSandbox ? lot.amount : 0), 0);
    assert.deepEqual([sum(true), sum(false)], [again, amount - again]);
  }

  const userId = await createCustomer(sql);
  await sql`select credits.add(${userId}, 5, 'purchase', ${crypto.randomUUID()}, p_is_sandbox => true)`;
  const jobId = await customersJob(sql, userId, "completed");
  const { transfer_id } = await add(sql, userId, 7, { kind: "purchase" });
  await customersJob(sql, userId, "completed");
  await reverse(sql, transfer_id);
  const owed = (await balancesOf(sql, userId)).owed;
  assert(owed > 0);
  const before = (await balancesOf(sql, userId)).available;
  assert.equal((await refund(sql, admin, userId, 4, { jobId })).data?.new_balance, before + 4);
  assert.equal((await balancesOf(sql, userId)).owed, owed);
});

Deno.test("what is refunded of a job in two parts is no more of money than was paid for it", async () => {
  const admin = await createAdmin(sql);
  const userId = await createCustomer(sql);
  await sql`select credits.add(${userId}, 2, 'purchase', ${crypto.randomUUID()}, p_is_sandbox => true)`;
  await add(sql, userId, 2);
  const jobId = await customersJob(sql, userId, "completed");
  await refund(sql, admin, userId, 2, { jobId });
  // As a removal does that is taken back.
  await sql`select credits.add(${userId}, 2, 'refund', ${crypto.randomUUID()}, p_job_id => ${jobId})`;
  const lots = await sql<{ is_sandbox: boolean; remaining: number }[]>`
    select l.is_sandbox, l.remaining::integer from credits.lots as l
    where l.owner_id = ${userId} and not l.is_spent order by l.is_sandbox`;
  assert.deepEqual(lots.map((lot) => ({ ...lot })), [
    { is_sandbox: false, remaining: 2 },
    { is_sandbox: true, remaining: 2 },
  ]);
});

Deno.test("a job is refunded to its own user, and only once it is completed", async () => {
  const admin = await createAdmin(sql);
  const { jobId } = await completedJob();
  const other = await createCustomer(sql, 20);
  assert.equal((await refund(sql, admin, other, 1, { jobId })).error, "ERR_4007");
  assert.equal((await refund(sql, admin, other, 1, { jobId: crypto.randomUUID() })).error, "ERR_4007");

  const running = await customersJob(sql, other, "processing");
  const early = await refund(sql, admin, other, 1, { jobId: running });
  assert.deepEqual([early.error, early.details], ["ERR_4009", { status: "processing" }]);
  for (const status of ["failed", "cancelled"] as const) {
    const ended = await acceptJob(sql, other);
    await settle(sql, ended, status);
    const refused = await refund(sql, admin, other, 1, { jobId: ended });
    assert.deepEqual([refused.error, refused.details], ["ERR_4009", { status }]);
  }
  assert.deepEqual(await actionsAbout(sql, other), []);
});

Deno.test("a job that its user has deleted can still be refunded", async () => {
  const admin = await createAdmin(sql);
  const { userId, jobId } = await completedJob();
  await sql`select api.delete_video_job(${userId}, ${jobId})`;
  assert.equal((await refund(sql, admin, userId, 4, { jobId })).data?.new_balance, 10);
  assert.equal(await creditsUsed(jobId), 0);
});

Deno.test("of many refunds of one job at once, by several admins, one is made", async () => {
  await using crowd = manyConnections(database);
  const admins = await times(8, () => createAdmin(sql));
  const { userId, jobId } = await completedJob();
  const answers = await times(32, (index) => refund(crowd, admins[index % 8] ?? "", userId, 4, { jobId }));
  const codes = answers.map(codeOf).sort();
  assert.deepEqual(codes, [...Array(31).fill("ERR_4009"), "data"]);
  assert.equal((await balancesOf(sql, userId)).available, 10);
  assert.equal(await creditsUsed(jobId), 0);
  assert.equal((await actionsAbout(sql, userId)).length, 1);
});

Deno.test("the same key answers the same and moves nothing again; with another request it is refused", async () => {
  const [admin, user] = [await createAdmin(sql), await createCustomer(sql)];
  for (const move of [refund, adjust]) {
    const key = crypto.randomUUID();
    const { data } = await move(sql, admin, user, 5, { key });
    const again = await move(sql, admin, user, 5, { key });
    assert.deepEqual([again.data, again.replayed, again.limits], [data, true, undefined]);
    assert.equal((await move(sql, admin, user, 6, { key, fingerprint: "other" })).error, "ERR_4011");
    // Another admin's key is another key.
    const other = await move(sql, await createAdmin(sql), user, 5, { key });
    assert.notEqual(other.data?.transaction_id, data?.transaction_id);
  }
  assert.equal((await balancesOf(sql, user)).available, 20);
  assert.equal((await actionsAbout(sql, user)).length, 4);
});

Deno.test("of many with one key at once one moves credits, and the others are told the same or to wait", async () => {
  await using crowd = manyConnections(database);
  const [admin, user] = [await createAdmin(sql), await createCustomer(sql)];
  for (const move of [refund, adjust]) {
    const key = crypto.randomUUID();
    const answers = await times(32, () => move(crowd, admin, user, 5, { key }));
    const made = answers.filter(({ data, replayed }) => data !== undefined && !replayed);
    assert.equal(made.length, 1);
    for (const { error, data } of answers) {
      assert.deepEqual(error === undefined ? data : error, error === undefined ? made[0]?.data : "ERR_4012");
    }
  }
  assert.equal((await balancesOf(sql, user)).available, 10);
});

Deno.test("a refusal is kept for its key where it is about the request, and not where it is about the moment", async () => {
  const [admin, user] = [await createAdmin(sql), await createCustomer(sql)];
  assert.equal((await adjust(sql, admin, user, -5, { key: "poor" })).error, "ERR_4001");
  await add(sql, user, 5);
  const again = await adjust(sql, admin, user, -5, { key: "poor" });
  assert.deepEqual([again.error, again.replayed], ["ERR_4001", true]);

  assert.equal((await adjust(sql, admin, user, 10_000, { key: "most" })).data?.new_balance, 10_005);
  assert.equal((await adjust(sql, admin, user, 1, { key: "more" })).error, "ERR_4004");
  await database.advance(24 * 3_600_000);
  assert.equal((await adjust(sql, admin, user, 1, { key: "more" })).data?.new_balance, 10_006);
});

Deno.test("nobody but an active admin moves anything, whatever the key has done before", async () => {
  const user = await createCustomer(sql, 5);
  for (const move of [refund, adjust]) {
    for (const caller of [await signUp(sql), await createCustomer(sql), user]) {
      assert.equal((await move(sql, caller, user, 1)).error, "ERR_4006");
    }
    const admin = await createAdmin(sql);
    const key = crypto.randomUUID();
    assert(await move(sql, admin, user, 1, { key }));
    await sql`select ops.remove_admin(${admin})`;
    assert.equal((await move(sql, admin, user, 1, { key })).error, "ERR_4006", "asked before the key");
    const banned = await createAdmin(sql);
    await sql`update accounts.users set is_banned = true where id = ${banned}`;
    assert.equal((await move(sql, banned, user, 1)).error, "ERR_4017");
    const closed = await createAdmin(sql);
    await sql`update accounts.users set closed_at = core.now(), is_admin = false where id = ${closed}`;
    assert.equal((await move(sql, closed, user, 1)).error, "ERR_4005");
  }
  assert.equal((await balancesOf(sql, user)).available, 7);
});

Deno.test("an admin cannot credit their own account, and may give back what is there", async () => {
  const admin = await createAdmin(sql);
  await add(sql, admin, 5);
  assert.equal((await refund(sql, admin, admin, 1)).error, "ERR_4006");
  assert.equal((await adjust(sql, admin, admin, 1)).error, "ERR_4006");
  assert.equal((await adjust(sql, admin, admin, -5)).data?.new_balance, 0);
});

Deno.test("whoever has signed up has an account, also before their first request", async () => {
  const admin = await createAdmin(sql);
  for (const move of [refund, adjust]) {
    const user = await signUp(sql);
    assert.equal((await move(sql, admin, user, 3)).data?.new_balance, 3);
    const row = await first(sql`select u.is_admin from accounts.users as u where u.id = ${user}`);
    assert.equal(row["is_admin"], false);
  }
});

Deno.test("who does not exist gets nothing, and neither does a closed account", async () => {
  const [admin, closed] = [await createAdmin(sql), await createCustomer(sql)];
  await sql`update accounts.users set closed_at = core.now() where id = ${closed}`;
  await closeAccount(sql, closed);
  for (const move of [refund, adjust]) {
    assert.equal((await move(sql, admin, crypto.randomUUID(), 1)).error, "ERR_4007");
    const refused = await move(sql, admin, closed, 1);
    assert.deepEqual([refused.error, refused.details], ["ERR_4009", { status: "closed" }]);
  }
});

Deno.test("when the action cannot be written down, no credits move, and the key is free", async () => {
  const [admin, user] = [await createAdmin(sql), await createCustomer(sql)];
  for (const move of [refund, adjust]) {
    const key = crypto.randomUUID();
    await assert.rejects(move(sql, admin, user, 5, { key, reason: "no" }), { code: "23514" });
    assert.equal((await balancesOf(sql, user)).available, 0);
    assert.notEqual((await move(sql, admin, user, 5, { key })).replayed, true);
    await adjust(sql, admin, user, -5);
  }
});
