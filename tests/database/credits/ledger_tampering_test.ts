/** What somebody who lifts the guards, and knows the books, cannot do without being seen. */
import assert from "node:assert/strict";
import { testDatabase } from "../harness.ts";
import { disableTriggers, keepBooks } from "../support/books.ts";
import { acceptJob, settle } from "../support/jobs.ts";
import { add, deduct, first, openAccount, reverse, rolledBack, violations } from "../support/ledger.ts";

Deno.test("a proof in full sees whatever is changed of a row that the books rest on", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const { user, account, running, completed } = await keepBooks(sql);
  // Another user, with a lot that expires, one that does not, a purchase taken back, and a debt that is paid.
  const other = await openAccount(sql);
  const bought = await add(sql, other, 4, { kind: "purchase" });
  await deduct(sql, other, 3);
  await reverse(sql, bought.transfer_id, "chargeback");
  await add(sql, other, 10, { expiresInHours: 1 });
  await add(sql, other, 10);
  const paid = await acceptJob(sql, other);
  await sql`update videos.jobs set status = 'processing' where id = ${paid}`;
  await settle(sql, paid, "completed");
  const late = await openAccount(sql);
  const [{ otherAccount }, { lateAccount }] = [
    await first(sql<{ otherAccount: string }[]>`
      select a.id as "otherAccount" from credits.accounts as a where a.owner_id = ${other} and a.kind = 'available'`),
    await first(sql<{ lateAccount: string }[]>`
      select a.id as "lateAccount" from credits.accounts as a where a.owner_id = ${late}`),
  ];
  await add(sql, late, 3);
  assert.deepEqual(await violations(sql), []);

  const rows = {
    hold: `t.kind = 'hold' and t.job_id = '${completed}'`,
    runningHold: `t.kind = 'hold' and t.job_id = '${running}'`,
    capture: `t.kind = 'capture' and t.job_id = '${completed}'`,
    release: "t.kind = 'release'",
    debt: "t.kind = 'debt_payment'",
    reversal: `t.kind = 'reversal' and t.from_account_id = ${otherAccount}`,
    grant: `t.kind = 'grant' and t.to_account_id = ${account} and t.to_number = 1`,
  };
  const anotherLot = `(select min(l.id) from credits.lots as l where l.account_id = ${lateAccount})`;
  const tampering: Record<string, string> = {
    // Columns that one kind of row has, and the others' hashes or checks do not know.
    "a job and what is reversed change places":
      `update credits.transfers as t set job_id = reverses_id, reverses_id = null where ${rows.reversal}`,
    "what a release reverses becomes its job, and its job what it reverses":
      `update credits.transfers as t set job_id = reverses_id, reverses_id = job_id where ${rows.release}`,
    "two captures change places": `
      drop index credits.transfers_hold_end;
      update credits.transfers as t
      set reverses_id = (
        select o.reverses_id from credits.transfers as o where o.kind = 'capture' and o.id <> t.id
      )
      where t.kind = 'capture'`,
    "a capture draws a lot": `
      update credits.transfers as t set draws = array[row(${anotherLot}, 4)::credits.draw] where ${rows.capture}`,
    "two lots, of which only one expires, change places": `
      update credits.lots as l
      set remaining = l.remaining + case when l.expires_at is null then 1 else -1 end
      where l.account_id = ${otherAccount} and l.amount = 10`,
    "a lot is fuller than it ever was, and another as much emptier": `
      update credits.lots set remaining = remaining + 4 where account_id = ${account} and amount = 5;
      update credits.lots set remaining = remaining - 4 where account_id = ${account} and amount = 20`,
    "a lot that is empty goes to somebody else":
      `update credits.lots set account_id = ${lateAccount} where account_id = ${otherAccount} and remaining = 0`,
    "a lot is somebody else's":
      `update credits.lots set owner_id = '${late}' where account_id = ${account} and amount = 5`,
    "a lot is made of nothing":
      `insert into credits.lots (account_id, owner_id, amount, remaining) values (${account}, '${user}', 9, 9)`,
    "an account forgets that its lots expire":
      `update credits.accounts set next_expiry_at = null where id = ${otherAccount}`,
    "an account believes that its lots expire later":
      `update credits.accounts set next_expiry_at = next_expiry_at + interval '1 year' where id = ${otherAccount}`,
    "two accounts change their owners": `
      drop index credits.accounts_owner;
      update credits.accounts
      set owner_id = case owner_id when '${other}' then '${late}' else '${other}' end::uuid
      where owner_id in ('${other}', '${late}') and kind = 'available'`,
    "an account is of another unit": `update credits.accounts set unit = 'token' where id = ${account}`,
    "an account is gone, with its lots and all its transfers": `
      delete from credits.transfers as t where ${lateAccount} in (from_account_id, to_account_id);
      delete from credits.lots where account_id = ${lateAccount};
      delete from credits.accounts where id = ${lateAccount}`,
    "an account is as it was before its last entry, when that was proved already": `
      delete from credits.transfers as t where ${rows.runningHold};
      delete from videos.jobs where id = '${running}';
      update credits.lots set remaining = remaining + 4 where account_id = ${account} and amount = 20;
      update credits.accounts as a set entry_count = e.number, head_hash = e.hash, balance = e.balance_after
      from credits.entries as e where a.id = ${account} and e.account_id = a.id and e.number = 6`,
    "the last entry is another, with everything made anew": `
      update credits.transfers as t set created_at = created_at + interval '1 second' where ${rows.runningHold};
      update credits.transfers as t
      set from_hash = credits.entry_hash(e.hash, t, t.from_account_id, 7, t.from_balance)
      from credits.entries as e where ${rows.runningHold} and e.account_id = t.from_account_id and e.number = 6;
      update credits.accounts as a set head_hash = t.from_hash
      from credits.transfers as t where ${rows.runningHold} and a.id = ${account}`,
    "a posting is gone, so that its key is free":
      `delete from credits.postings where id = (select posting_id from credits.transfers as t where ${rows.grant})`,
    "a posting is of somebody else": `
      update credits.postings set owner_id = '${other}'
      where id = (select posting_id from credits.transfers as t where ${rows.grant})`,
    "the platform's side has a balance":
      `update credits.transfers as t set from_balance = 5 where ${rows.grant}`,
    "the platform's side has a hash": `update credits.transfers as t set to_hash = '' where ${rows.hold}`,
    "the platform moves credits to itself": `
      insert into credits.transfers (posting_id, owner_id, kind, from_account_id, to_account_id, amount, created_at)
      values (1, '${user}', 'adjustment', 3, 4, 1000, core.now())`,
    "a hold is of nobody's credits": `
      insert into credits.transfers (job_id, owner_id, kind, from_account_id, to_account_id, amount, created_at)
      values (gen_random_uuid(), '${user}', 'hold', 1, 3, 1000, core.now())`,
    "a capture is of no hold": `
      insert into credits.transfers (
        job_id, owner_id, kind, from_account_id, to_account_id, amount, reverses_id, created_at
      )
      values (gen_random_uuid(), '${user}', 'capture', 3, 4, 1000, gen_random_uuid(), core.now())`,
  };
  for (const [row, where] of Object.entries(rows)) {
    const columns: Record<string, string> = {
      "posting": "posting_id = coalesce(posting_id, 0) + 1",
      "owner": `owner_id = '${late}'`,
      "job": "job_id = gen_random_uuid()",
      "reversed transfer": "reverses_id = gen_random_uuid()",
      "amount": "amount = amount + 1",
      "source": "from_account_id = 2",
      "destination": "to_account_id = 6",
      "kind": "kind = case kind when 'expiry' then 'forfeit' else 'expiry' end::credits.transfer_kind",
    };
    if (row !== "capture") {
      columns["draws"] = `draws = array[row(${anotherLot}, amount)::credits.draw]`;
      columns["time"] = "created_at = created_at + interval '1 microsecond'";
    } // A time before its hold's; a later one contradicts nothing.
    else columns["time"] = "created_at = created_at - interval '1 day'";
    for (const [column, change] of Object.entries(columns)) {
      tampering[`the ${column} of a ${row}`] = `update credits.transfers as t set ${change} where ${where}`;
    }
    tampering[`no ${row}`] = `delete from credits.transfers as t where ${where}`;
  }

  const unseen: string[] = [];
  for (const [name, statements] of Object.entries(tampering)) {
    await rolledBack(sql, async (sql) => {
      await disableTriggers(sql);
      await sql.unsafe(statements);
      if ((await violations(sql)).length === 0) unseen.push(name);
    });
  }
  assert.deepEqual(unseen, []);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("what no posting writes is not taken by hand either, where it gives or hides credits", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await openAccount(sql);
  await add(sql, user, 10);
  const { account, lot, hold } = await first(sql<{ account: string; lot: string; hold: string }[]>`
    select l.account_id as account, l.id as lot, gen_random_uuid() as hold
    from credits.lots as l where l.owner_id = ${user}`);
  const draws = `array[row(${lot}, 1)::credits.draw]`;
  const columns =
    "posting_id, owner_id, kind, from_account_id, to_account_id, amount, job_id, reverses_id, draws, created_at";
  const rows: Record<string, string> = {
    "of a platform's account that is not there":
      `1, '${user}', 'adjustment', ${account}, 9, 1, null, null, ${draws}`,
    "of an account below them all": `1, '${user}', 'adjustment', ${account}, -1, 1, null, null, ${draws}`,
    "of an account between theirs and the users'":
      `1, '${user}', 'adjustment', ${account}, 999, 1, null, null, ${draws}`,
    "from the platform to itself": `1, '${user}', 'adjustment', 3, 4, 1, null, null, '{}'`,
    "a hold from the platform": `null, '${user}', 'hold', 1, 3, 1, gen_random_uuid(), null, '{}'`,
    "a capture from a user":
      `null, '${user}', 'capture', ${account}, 4, 1, gen_random_uuid(), '${hold}', ${draws}`,
    "a capture that draws": `null, '${user}', 'capture', 3, 4, 1, gen_random_uuid(), '${hold}', ${draws}`,
  };
  for (const [name, values] of Object.entries(rows)) {
    await assert.rejects(
      sql.unsafe(`insert into credits.transfers (${columns}) values (${values}, core.now())`),
      { code: "23514" },
      name,
    );
  }
  // What is taken, as its account is there, and still is no posting's, the next proof finds.
  for (
    const [name, values] of Object.entries({
      "out of escrow into a user's account": `1, '${user}', 'grant', 3, ${account}, 1, null, null, ${draws}`,
      "out of a user's account into revenue":
        `1, '${user}', 'adjustment', ${account}, 4, 1, null, null, ${draws}`,
      "half of a merge": `1, '${user}', 'merge', ${account}, 8, 1, null, null, ${draws}`,
      "under a posting that is not there":
        `99, '${user}', 'adjustment', ${account}, 1, 1, null, null, ${draws}`,
    })
  ) {
    await rolledBack(sql, async (sql) => {
      if (name.startsWith("out of escrow")) await deduct(sql, user, 1);
      await sql.unsafe(`insert into credits.transfers (${columns}) values (${values}, core.now())`);
      assert.equal((await violations(sql, false)).length, 1, name);
    });
  }
  assert.deepEqual(await violations(sql), []);
});
