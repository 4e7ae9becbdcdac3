import assert from "node:assert/strict";
import { type TestDatabase, testDatabase } from "../harness.ts";
import {
  add,
  balancesOf,
  capture,
  closeAccount,
  deduct,
  first,
  hold,
  openAccount,
  type Outcome,
  release,
  reverse,
  rolledBack,
  systemBalances,
  violations,
} from "../support/ledger.ts";
import { acceptJob, settle } from "../support/jobs.ts";
import { runTask } from "../support/scheduled-tasks.ts";

const hour = 60 * 60 * 1000;

/** Makes a transfer of every kind that there is. */
async function playEveryKind({ sql, advance }: TestDatabase): Promise<void> {
  const spender = await openAccount(sql);
  const purchase = await add(sql, spender, 20, { kind: "purchase" });
  await add(sql, spender, 5, { expiresInHours: 1 });
  const job = await acceptJob(sql, spender, { price: 15 });
  await sql`update videos.jobs set status = 'processing' where id = ${job}`;
  await settle(sql, job, "completed");
  await settle(sql, await acceptJob(sql, spender, { price: 2 }), "failed");
  await deduct(sql, spender, 3);
  await reverse(sql, purchase.transfer_id);
  await add(sql, spender, 4, { kind: "refund" });

  await sql`select credits.merge(${spender}, ${await openAccount(sql)})`;

  const forgetful = await openAccount(sql);
  await add(sql, forgetful, 6, { expiresInHours: 1 });
  await advance(2 * hour);
  await runTask(sql, "expire_credits");
  await add(sql, forgetful, 7);
  await closeAccount(sql, forgetful);
}

Deno.test("every transfer takes from one account what it gives to the other", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await playEveryKind(database);

  const { unseen } = await first(sql<{ unseen: string[] | null }[]>`
    select array_agg(k) as unseen
    from unnest(enum_range(null::credits.transfer_kind)) as k
    where not exists (select from credits.transfers as t where t.kind = k)`);
  assert.equal(unseen, null, "a kind of transfer was not tried");
  const unbalanced = await sql`
    select t.id
    from credits.transfers as t
    join credits.entries as e on e.transfer_id = t.id
    group by t.id
    having count(*) <> 2 or sum(e.amount) <> 0 or max(e.amount) <> t.amount`;
  assert.deepEqual([...unbalanced], []);
  const { sum } = await first(sql`select sum(e.amount)::integer as sum from credits.entries as e`);
  assert.equal(sum, 0);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("balance equals the projection of entries", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await playEveryKind(database);
  const accounts = await sql<{ kind: string; balance: number; entries: number }[]>`
    select a.kind, a.balance::integer, (
      select coalesce(sum(e.amount), 0)::integer from credits.entries as e where e.account_id = a.id
    ) as entries
    from credits.accounts as a
    where a.owner_id is not null`;
  assert.equal(accounts.length, 5);
  for (const { kind, balance, entries } of accounts) {
    assert.equal(balance, kind === "owed" ? 0 - entries : entries, kind);
  }
});

Deno.test("a duplicate moves nothing, and is answered as the first was", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await openAccount(sql);
  const purchase = await add(sql, user, 100, { kind: "purchase" });
  const [captured, released] = [crypto.randomUUID(), crypto.randomUUID()];
  const state = () =>
    sql`
    select (select count(*) from credits.postings), (select count(*) from credits.transfers),
      (select count(*) from credits.entries), (select count(*) from credits.lots),
      (select jsonb_agg(a order by a.id) from credits.accounts as a)`;

  const calls: [string, () => Promise<Outcome>][] = [
    ["add", () => add(sql, user, 30, { key: "add" })],
    ["deduct", () => deduct(sql, user, 10, "deduct")],
    ["hold", () => hold(sql, user, 20, captured)],
    ["another hold", () => hold(sql, user, 20, released)],
    ["capture", () => capture(sql, captured)],
    ["release", () => release(sql, released)],
    ["reverse", () => reverse(sql, purchase.transfer_id, "reverse")],
    ["close", () => closeAccount(sql, user)],
  ];
  for (const [name, call] of calls) {
    const once = await call();
    const before = await state();
    assert.ok(once.error === undefined, name);
    assert.deepEqual(await call(), once, name);
    assert.deepEqual(await state(), before, name);
  }
});

Deno.test("a duplicate is the same one in a session of another time zone", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await openAccount(sql);
  const call = (timeZone: string) =>
    sql.begin(async (sql) => {
      await sql`select set_config('timezone', ${timeZone}, true)`;
      return await first(sql<{ outcome: Outcome }[]>`
        select credits.add(${user}, 5, 'grant', 'key', '2099-01-01T00:00:00Z') as outcome`);
    });
  assert.deepEqual(await call("Asia/Tokyo"), await call("America/New_York"));
  assert.equal((await balancesOf(sql, user)).available, 5);
});

Deno.test("a key is burned for any other posting", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await openAccount(sql);
  await add(sql, user, 10, { key: "key" });
  for (const other of [() => add(sql, user, 11, { key: "key" }), () => deduct(sql, user, 10, "key")]) {
    await assert.rejects(other(), {
      code: "22023",
      message: "idempotency key key was used for another posting",
    });
  }
  assert.equal((await balancesOf(sql, user)).available, 10);
});

Deno.test("a duplicate of a refused posting is not reported as applied", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await openAccount(sql);
  await add(sql, user, 3);
  const job = crypto.randomUUID();
  const refused = { error: "insufficient_credits", current_credits: 3 };
  assert.deepEqual(await deduct(sql, user, 4, "key"), refused);
  assert.deepEqual(await hold(sql, user, 4, job), refused);

  await add(sql, user, 10);
  assert.deepEqual(await deduct(sql, user, 4, "key"), refused);
  assert.deepEqual(await hold(sql, user, 4, job), refused);
  assert.equal((await balancesOf(sql, user)).available, 13);
});

Deno.test("a reversal is a compensating posting", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await openAccount(sql);
  const purchase = await add(sql, user, 10, { kind: "purchase" });
  const written = () =>
    sql`
    select t.*, e.* from credits.transfers as t join credits.entries as e on e.transfer_id = t.id
    where t.id = ${purchase.transfer_id ?? null} order by e.account_id`;
  const before = await written();

  const reversal = await reverse(sql, purchase.transfer_id);
  assert.deepEqual(await written(), before);
  assert.deepEqual(
    { ...reversal, transfer_id: undefined },
    { transfer_id: undefined, credits_remaining: 0, credits_owed: 0 },
  );
  const transfers = await sql`
    select t.kind, t.amount::integer, t.reverses_id = ${
    purchase.transfer_id ?? null
  } as of_purchase, e.kind as to_kind
    from credits.transfers as t
    join credits.accounts as e on e.id = t.to_account_id
    where t.id = ${reversal.transfer_id ?? null}`;
  assert.deepEqual(transfers.map((row) => ({ ...row })), [
    { kind: "reversal", amount: 10, of_purchase: true, to_kind: "purchases" },
  ]);
  assert.deepEqual(await systemBalances(sql, user), {});
});

Deno.test("only grants, purchases and reversals are reversed", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await openAccount(sql);
  const others = [
    await add(sql, user, 10, { kind: "adjustment" }),
    await add(sql, user, 10, { kind: "refund" }),
    await deduct(sql, user, 1),
    await hold(sql, user, 1, crypto.randomUUID()),
  ];
  for (const { transfer_id } of others) {
    await assert.rejects(reverse(sql, transfer_id), { code: "22023", message: /cannot be reversed/ });
  }
  await assert.rejects(reverse(sql, crypto.randomUUID()), { code: "P0002" });
});

Deno.test("entries of an account are in one monotonic order", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await openAccount(sql);
  await add(sql, user, 100);
  await Promise.all(
    Array.from({ length: 40 }, (_, index) => index % 2 ? add(sql, user, 2) : deduct(sql, user, 1)),
  );
  const entries = await sql<{ number: number; at: number; amount: number; balance: number }[]>`
    select e.number::integer, extract(epoch from e.created_at)::float8 as at, e.amount::integer,
      e.balance_after::integer as balance
    from credits.entries as e
    join credits.accounts as a on a.id = e.account_id
    where a.owner_id = ${user}
    order by e.number`;
  assert.equal(entries.length, 41);
  let previous = { number: 0, at: 0, balance: 0 };
  for (const entry of entries) {
    assert.equal(entry.number, previous.number + 1);
    assert.ok(entry.at >= previous.at, `entry ${entry.number} is older than the one before`);
    assert.equal(entry.balance, previous.balance + entry.amount);
    previous = entry;
  }
});

Deno.test("a hold that is refused leaves nothing but its burned key", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await openAccount(sql);
  await rolledBack(sql, async (sql) => {
    await hold(sql, user, 1, crypto.randomUUID());
    const counts = await first(sql`
      select (select count(*)::integer from credits.postings) as postings,
        (select count(*)::integer from credits.transfers) as transfers`);
    assert.deepEqual({ ...counts }, { postings: 1, transfers: 0 });
  });
});
