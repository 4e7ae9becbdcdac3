import assert from "node:assert/strict";
import { testDatabase } from "../harness.ts";
import { disableTriggers, keepBooks } from "../support/books.ts";
import { untilBlocked } from "../support/connections.ts";
import { acceptJob, settle } from "../support/jobs.ts";
import {
  add,
  balancesOf,
  deduct,
  first,
  openAccount,
  reverse,
  rolledBack,
  violations,
} from "../support/ledger.ts";

Deno.test("reconciliation finds each kind of violation, and names it", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const { user, account, running, completed, failed } = await keepBooks(sql);
  const { hold, completedHold, capture, release } = await first(sql<
    { hold: string; completedHold: string; capture: string; release: string }[]
  >`
    select
      (select t.id from credits.transfers as t where t.kind = 'hold' and t.job_id = ${running}) as hold,
      (select t.id from credits.transfers as t where t.kind = 'hold' and t.job_id = ${completed}) as "completedHold",
      (select t.id from credits.transfers as t where t.kind = 'capture') as capture,
      (select t.id from credits.transfers as t where t.kind = 'release') as release`);

  const cases: [string, string, string[]][] = [
    [
      "a capture is of another amount",
      `update credits.transfers set amount = 5 where id = '${capture}'`,
      [`unbalanced_transfer ${capture}`],
    ],
    [
      "a capture goes elsewhere",
      `update credits.transfers set to_account_id = 5 where id = '${capture}'`,
      [`unbalanced_transfer ${capture}`],
    ],
    [
      "a capture comes from an account that is not there",
      `update credits.transfers set from_account_id = 99 where id = '${capture}'`,
      [`unbalanced_transfer ${capture}`],
    ],
    [
      "an entry is missing on the side of a user",
      `update credits.transfers set from_number = null where id = '${hold}'`,
      [
        `unbalanced_transfer ${hold}`,
        `broken_chain ${account}`,
        `balance_differs ${account}`,
        `lots_differ ${account}`,
      ],
    ],
    [
      "an entry is there on the side of the platform",
      `update credits.transfers set to_number = 1 where id = '${hold}'`,
      [`unbalanced_transfer ${hold}`],
    ],
    [
      "a capture is gone",
      `delete from credits.transfers where id = '${capture}'`,
      [`hold_ended_wrong ${completed}`, `escrow_without_job ${completedHold}`],
    ],
    [
      "a balance was raised",
      `update credits.accounts set balance = balance + 1 where owner_id = '${user}'`,
      [`balance_differs ${account}`, `lots_differ ${account}`],
    ],
    [
      "a lot was filled",
      `update credits.lots set remaining = remaining + 1 where amount = 20`,
      [`lots_differ ${account}`],
    ],
    [
      "a running job's hold ended without it",
      `select credits.release('${running}')`,
      [`job_without_hold ${running}`],
    ],
    [
      "a held job is gone",
      `delete from videos.jobs where id = '${running}'`,
      [`escrow_without_job ${hold}`],
    ],
    [
      "a failed job was paid",
      `update credits.transfers set kind = 'capture' where id = '${release}'`,
      [`hold_ended_wrong ${failed}`, `unbalanced_transfer ${release}`, `broken_chain ${account}`],
    ],
    [
      "a completed job was given back",
      `update videos.jobs set status = 'cancelled' where id = '${completed}'`,
      [`hold_ended_wrong ${completed}`],
    ],
  ];
  for (const [name, statements, expected] of cases) {
    await rolledBack(sql, async (sql) => {
      await disableTriggers(sql);
      // The release is a posting as any other, so it needs its own trigger.
      await sql`alter table credits.transfers enable trigger apply`;
      await sql.unsafe(statements);
      assert.deepEqual(await violations(sql), expected.toSorted(), name);
    });
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("reconcile goes on from what it has proved, and looks again at what it has not", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const { account, user } = await keepBooks(sql);
  const checkpoint = async () =>
    (await first(sql<{ number: number }[]>`
      select coalesce(max(c.number), 0)::integer as number from credits.checkpoints as c
      where c.account_id = ${account}`)).number;
  assert.deepEqual(await violations(sql, false), []);
  assert.equal(await checkpoint(), 7);

  await disableTriggers(sql);
  // What lies before the checkpoint is proved: only a proof in full looks there again.
  await sql`update credits.transfers set created_at = created_at + interval '1 second' where from_number = 6`;
  assert.deepEqual(await violations(sql, false), []);
  await rolledBack(sql, async (sql) => {
    assert.deepEqual(await violations(sql), [`broken_chain ${account}`]);
  });
  await sql`update credits.transfers set created_at = created_at - interval '1 second' where from_number = 6`;

  await sql`alter table credits.transfers enable trigger apply`;
  await add(sql, user, 1);
  await sql`update credits.transfers set to_balance = to_balance + 1 where to_number = 8`;
  for (let proof = 0; proof < 2; proof++) {
    assert.deepEqual(await violations(sql, false), [`broken_chain ${account}`]);
    assert.equal(await checkpoint(), 7);
  }
  await sql`update credits.transfers set to_balance = to_balance - 1 where to_number = 8`;
  assert.deepEqual(await violations(sql, false), []);
  assert.equal(await checkpoint(), 8);
  const proofs = await sql`select p.violations::integer from credits.proofs as p order by p.id`;
  assert.deepEqual(proofs.map(({ violations }) => violations), [
    0,
    0,
    1,
    1,
    0,
  ]);
});

Deno.test("reconcile finds nothing wrong in books that are written while it reads", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const users = await Promise.all(Array.from({ length: 4 }, () => openAccount(sql)));
  let writing = true;
  const writers = users.map(async (user) => {
    while (writing) {
      await add(sql, user, 4, { expiresInHours: 1 });
      await sql.begin(async (sql) => await settle(sql, await acceptJob(sql, user), "failed"));
    }
  });
  try {
    for (let proof = 0; proof < 10; proof++) {
      assert.deepEqual(await violations(sql, proof % 2 === 0), []);
    }
  } finally {
    writing = false;
    await Promise.all(writers);
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("every balance can be computed anew from the entries alone", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const { user, account } = await keepBooks(sql);
  const debtor = await openAccount(sql);
  const purchase = await add(sql, debtor, 6, { kind: "purchase" });
  await deduct(sql, debtor, 4);
  await reverse(sql, purchase.transfer_id);
  const [mine, debt] = [await balancesOf(sql, user), await balancesOf(sql, debtor)];
  assert.equal(debt.owed, 4);

  await sql.begin(async (sql) => {
    await disableTriggers(sql);
    await sql`update credits.accounts set balance = 99, entry_count = 1, head_hash = sha256('') where owner_id is not null`;
    await sql`update credits.lots set remaining = 0`;
    for (const table of ["transfers", "postings", "accounts", "lots"]) {
      await sql`alter table credits.${sql(table)} enable trigger user`;
    }
  });
  assert.ok((await violations(sql)).length > 0);
  const mended = await sql<{ account_id: string; balance_before: number; balance_after: number }[]>`
    select r.account_id, r.balance_before::integer, r.balance_after::integer from credits.rebuild_balances() as r`;
  assert.equal(mended.length, 3);
  const row = mended.find(({ account_id }) => account_id === account);
  assert.deepEqual({ ...row }, { account_id: account, balance_before: 99, balance_after: mine.available });
  assert.deepEqual(await balancesOf(sql, user), mine);
  assert.deepEqual(await balancesOf(sql, debtor), debt);
  assert.deepEqual(await violations(sql), []);

  assert.equal((await sql`select * from credits.rebuild_balances()`).length, 0);
  // The guard that it lifted is back.
  await assert.rejects(sql`update credits.accounts set balance = 0`, { code: "42501" });
  await assert.rejects(sql`update credits.lots set remaining = 0`, { code: "42501" });
});

Deno.test("balances are rebuilt after the postings that are under way, without a deadlock", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await openAccount(sql);
  await add(sql, user, 100);
  await sql.begin(async (sql) => {
    await sql`alter table credits.accounts disable trigger only_by_transfer`;
    await sql`update credits.accounts set balance = balance + 1 where owner_id = ${user}`;
    await sql`alter table credits.accounts enable trigger only_by_transfer`;
  });

  const { rebuilt } = await sql.begin(async (posting) => {
    await posting`select credits.lock_account(${user})`;
    const rebuilt = sql`select * from credits.rebuild_balances()`.execute();
    await untilBlocked(sql);
    await deduct(posting, user, 1);
    return { rebuilt };
  });
  await rebuilt;
  assert.equal((await balancesOf(sql, user)).available, 99);
});
