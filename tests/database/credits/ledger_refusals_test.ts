import assert from "node:assert/strict";
import { testDatabase } from "../harness.ts";
import { add, balancesOf, first, openAccount, systemBalances } from "../support/ledger.ts";

Deno.test("fractions, zero, overflow and more than 10⁹ are refused at each entry point", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await openAccount(sql);
  await add(sql, user, 10);
  const entryPoints = [
    (amount: string) => `credits.add('${user}', ${amount}, 'grant', gen_random_uuid()::text)`,
    (amount: string) => `credits.deduct('${user}', ${amount}, gen_random_uuid()::text)`,
    (amount: string) => `credits.hold(credits.lock_account('${user}'), ${amount}, gen_random_uuid())`,
    (amount: string) => `credits.add_credits('${user}', ${amount}, 'reason')`,
    (amount: string) => `credits.deduct_credits('${user}', ${amount}, 'reason')`,
  ];
  const refusals = {
    "1.5": "42883", // no function takes a fraction
    "'1.5'": "22P02",
    "'1e3'": "22P02",
    "'NaN'": "22P02",
    "0": "22003",
    "-1": "22003",
    "1000000001": "22003",
    "9223372036854775807": "22003",
    "'9223372036854775808'": "22003",
    "null": "22003",
  };
  for (const entryPoint of entryPoints) {
    for (const [amount, code] of Object.entries(refusals)) {
      await assert.rejects(sql.unsafe(`select ${entryPoint(amount)}`), { code }, entryPoint(amount));
    }
  }

  // The last door, which only the owner can reach.
  for (const amount of ["0", "-1", "1000000001"]) {
    await assert.rejects(
      sql.unsafe(`
        insert into credits.transfers (posting_id, owner_id, kind, from_account_id, to_account_id, amount, draws, created_at)
        select 1, l.owner_id, 'grant', 1, l.account_id, ${amount}, array[row(l.id, ${amount})::credits.draw], now()
        from credits.lots as l`),
      { code: "23514" },
      amount,
    );
  }
  assert.deepEqual(await balancesOf(sql, user), {
    available: 10,
    owed: 0,
    lots: [{ expires_at: null, remaining: 10 }],
  });
  assert.equal((await add(sql, user, 1_000_000_000)).credits_remaining, 1_000_000_010);
});

Deno.test("credits are added by a grant, a purchase, a refund or an adjustment, and by nothing else", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await openAccount(sql);
  const kinds = await sql<
    { kind: string }[]
  >`select unnest(enum_range(null::credits.transfer_kind))::text as kind`;
  const accepted: string[] = [];
  for (const { kind } of kinds) {
    const call = sql`select credits.add(${user}, 1, ${kind}, ${kind})`;
    await call.then(() => accepted.push(kind), (error) => assert.equal(error.code, "22023", kind));
  }
  assert.deepEqual(accepted, ["grant", "purchase", "refund", "adjustment"]);
  assert.deepEqual(await systemBalances(sql, user), { grants: -2, purchases: -1, revenue: -1 });
});

Deno.test("a transfer across units is refused", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await openAccount(sql);
  await add(sql, user, 5);
  await sql`insert into credits.accounts (kind, owner_kind, unit) values ('grants', 'system', 'gem')`;
  await assert.rejects(
    sql`
      insert into credits.transfers (posting_id, owner_id, kind, from_account_id, to_account_id, amount, draws, created_at)
      select 1, l.owner_id, 'adjustment', l.account_id, g.id, 5, array[row(l.id, 5)::credits.draw], now()
      from credits.accounts as g, credits.lots as l
      where g.unit = 'gem'`,
    { code: "23514", message: /crosses units$/ },
  );
  assert.equal((await balancesOf(sql, user)).available, 5);
});

Deno.test("a transfer by hand is held to balance, lots and accounts", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await openAccount(sql);
  await add(sql, user, 5);
  const { account, lot } = await first(sql<{ account: string; lot: string }[]>`
    select l.account_id as account, l.id as lot from credits.lots as l`);
  const transfer = (from: string, to: string, draws: string, owner = user) =>
    sql.unsafe(`
      insert into credits.transfers (posting_id, owner_id, kind, from_account_id, to_account_id, amount, draws, created_at)
      values (1, '${owner}', 'adjustment', ${from}, ${to}, 6, ${draws}, now())`);
  const more = `array[row(${lot}, 6)::credits.draw]`;
  await assert.rejects(transfer(account, "1", more), { code: "23514" }, "below zero");
  await assert.rejects(transfer("1", account, more), { code: "23514" }, "a lot above its amount");
  await assert.rejects(
    transfer(account, "1", more, crypto.randomUUID()),
    { code: "23514", message: /names an account that is not its owner's/ },
    "somebody else's account",
  );
  await assert.rejects(transfer("1", account, "'{}'"), { message: /does not draw its amount/ });
  await assert.rejects(transfer("1", "987654", "'{}'"), {
    message: /names an account that is not its owner's/,
  });
  await assert.rejects(transfer("1", "1", "'{}'"), { code: "23514" }, "from an account to itself");
});
