import assert from "node:assert/strict";
import { testDatabase } from "../harness.ts";
import {
  add,
  balancesOf,
  closeAccount,
  deduct,
  first,
  hold,
  openAccount,
  release,
  type Sql,
} from "../support/ledger.ts";
import { runTask } from "../support/scheduled-tasks.ts";

const hour = 60 * 60 * 1000;

interface Line {
  number: number;
  kind: string;
  amount: number;
  balance: number;
}

/** A page of a statement. */
async function statement(
  sql: Sql,
  userId: string,
  limit: number,
  before: number | null = null,
): Promise<Line[]> {
  const rows = await sql<Line[]>`
    select s.number::integer, s.kind, s.amount::integer, s.balance_after::integer as balance
    from credits.statement(${userId}, ${limit}, ${before}) as s`;
  return rows.map((row) => ({ ...row }));
}

Deno.test("a statement tells each movement of a user's credits, newest first", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const [user, other] = [await openAccount(sql), await openAccount(sql)];
  await add(sql, other, 99);
  const job = crypto.randomUUID();
  await add(sql, user, 10);
  await hold(sql, user, 4, job);
  await release(sql, job);
  await deduct(sql, user, 1);
  await closeAccount(sql, user);
  assert.deepEqual(await statement(sql, user, 10), [
    { number: 5, kind: "forfeit", amount: -9, balance: 0 },
    { number: 4, kind: "adjustment", amount: -1, balance: 9 },
    { number: 3, kind: "release", amount: 4, balance: 10 },
    { number: 2, kind: "hold", amount: -4, balance: 6 },
    { number: 1, kind: "grant", amount: 10, balance: 10 },
  ]);
  const [line] = await sql`select s.job_id from credits.statement(${user}, 1, 4) as s`;
  assert.equal(line?.["job_id"], job);
});

Deno.test("statement pages are stable while entries are written", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await openAccount(sql);
  for (let amount = 1; amount <= 7; amount++) await add(sql, user, amount);
  const all = await statement(sql, user, 10);

  const pages: Line[] = [];
  let before: number | null = null;
  for (;;) {
    const page: Line[] = await statement(sql, user, 3, before);
    if (page.length === 0) break;
    pages.push(...page);
    before = page.at(-1)?.number ?? null;
    await add(sql, user, 100);
  }
  assert.deepEqual(pages, all);
});

Deno.test("balance_at tells what a user had at a time, as it was booked then", async () => {
  await using database = await testDatabase();
  const { sql, advance, now } = database;
  const user = await openAccount(sql);
  const times: Date[] = [];
  const tick = async () => {
    await advance(hour);
    times.push(await now());
    await advance(hour);
  };
  await tick();
  await add(sql, user, 10, { expiresInHours: 5 });
  await tick();
  await deduct(sql, user, 3);
  await tick();
  // It expires between these two, but is booked after both.
  await tick();
  await runTask(sql, "expire_credits");
  await tick();

  const balances = await Promise.all(times.map(async (time) =>
    (await first(sql<{ balance: number }[]>`
      select credits.balance_at(${user}, ${time})::integer as balance`)).balance
  ));
  assert.deepEqual(balances, [0, 10, 7, 7, 0]);
  const { nobody } = await first(sql`
    select credits.balance_at(${crypto.randomUUID()}, now())::integer as nobody`);
  assert.equal(nobody, 0);
});

Deno.test("add_credits and deduct_credits keep the seeds' names and results", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = crypto.randomUUID();
  const call = async (name: "add_credits" | "deduct_credits", amount: number, key?: string) =>
    (await first(sql<{ result: unknown }[]>`
      select ${sql("credits." + name)}(
        p_user_id => ${user}, p_amount => ${amount}, p_reason => 'a reason', p_idempotency_key => ${
      key ?? null
    }
      ) as result`)).result;

  assert.deepEqual(await call("add_credits", 10), { success: true, credits_remaining: 10 });
  assert.deepEqual(await call("deduct_credits", 4), { success: true, credits_remaining: 6 });
  assert.deepEqual(await call("deduct_credits", 7), {
    success: false,
    error: "insufficient_credits",
    current_credits: 6,
  });
  // Without a key every call counts; with one, the first.
  assert.deepEqual(await call("add_credits", 10), { success: true, credits_remaining: 16 });
  for (let repeat = 0; repeat < 2; repeat++) {
    assert.deepEqual(await call("add_credits", 1, "add"), { success: true, credits_remaining: 17 });
  }
  for (let repeat = 0; repeat < 2; repeat++) {
    assert.deepEqual(await call("deduct_credits", 2, "deduct"), { success: true, credits_remaining: 15 });
  }
  assert.equal((await balancesOf(sql, user)).available, 15);
});

Deno.test("a reason is as long as the operator likes", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await openAccount(sql);
  // Longer than an index takes, and nothing that compresses.
  const reason = Array.from({ length: 200 }, () => crypto.randomUUID()).join(" ");
  await sql`select credits.add_credits(${user}, 5, ${reason}), credits.deduct_credits(${user}, 2, ${reason})`;
  assert.equal((await balancesOf(sql, user)).available, 3);
});
