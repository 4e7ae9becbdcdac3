import assert from "node:assert/strict";
import { owner } from "../../../local/platform/platform-roles.ts";
import { testDatabase } from "../harness.ts";
import { disableTriggers, keepBooks } from "../support/books.ts";
import { rolledBack, violations } from "../support/ledger.ts";

Deno.test("transfers, which are the entries, are append-only, for every role and the owner", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await keepBooks(sql);
  const statements = [
    "update credits.transfers set amount = amount + 1",
    "update credits.transfers set from_number = from_number + 1, from_balance = 0, from_hash = ''",
    "delete from credits.transfers",
    "truncate credits.transfers cascade",
    "update credits.postings set outcome = '{}'",
    "delete from credits.postings",
    "truncate credits.postings cascade",
    "update credits.accounts set balance = balance + 1 where owner_id is not null",
    "update credits.accounts set entry_count = 0",
    "update credits.accounts set head_hash = ''",
    "update credits.accounts set owner_id = gen_random_uuid() where owner_id is not null",
    "insert into credits.accounts (kind, owner_id, balance) values ('available', gen_random_uuid(), 1)",
    "delete from credits.accounts",
    "truncate credits.accounts cascade",
    "update credits.lots set remaining = remaining - 1",
    "update credits.lots set amount = amount + 1",
    "insert into credits.lots (account_id, owner_id, amount, remaining) select account_id, owner_id, 1, 1 from credits.lots",
    "delete from credits.lots",
    "truncate credits.lots cascade",
  ];
  for (const role of ["anon", "authenticated", "service_role", owner]) {
    for (const statement of statements) {
      await assert.rejects(
        sql.begin(async (sql) => {
          await sql`set local role ${sql(role)}`;
          await sql.unsafe(statement);
        }),
        {
          code: "42501",
          message: role === owner
            ? /is forbidden, for the owner too$/
            : /permission denied for schema credits/,
        },
        `${role}: ${statement}`,
      );
    }
  }
});

Deno.test("the hash chain verifies, and a changed, deleted, reordered or last row breaks it", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const { account } = await keepBooks(sql);
  assert.deepEqual(await violations(sql), []);

  const tampering = {
    "a changed amount": "update credits.transfers set amount = amount - 1 where from_number = 3",
    "a changed balance": "update credits.transfers set from_balance = from_balance + 1 where from_number = 3",
    "a changed time":
      "update credits.transfers set created_at = created_at - interval '1 microsecond' where from_number = 3",
    "another transfer": "update credits.transfers set id = gen_random_uuid() where from_number = 3",
    "another kind": "update credits.transfers set kind = 'adjustment' where from_number = 3",
    "another account on the other side":
      "update credits.transfers set to_account_id = 1 where from_number = 3",
    "another job": "update credits.transfers set job_id = gen_random_uuid() where from_number = 3",
    "a changed row with its hash made anew": `
      update credits.transfers set amount = 1 where from_number = 3;
      update credits.transfers as t
      set from_hash = credits.entry_hash(p.from_hash, t, t.from_account_id, 3, t.from_balance)
      from credits.transfers as p
      where t.from_number = 3 and p.from_number = 2`,
    "a deleted row": "delete from credits.transfers where from_number = 3",
    "the deleted first row": "delete from credits.transfers where to_number = 1",
    "the deleted last row": "delete from credits.transfers where from_number = 7",
    "two rows in the other order": `
      update credits.transfers set from_number = from_number + 100 where from_number in (2, 3);
      update credits.transfers set from_number = 105 - from_number where from_number > 100`,
    "all rows deleted": "delete from credits.transfers",
    "a cut-off tail with the count set back": `
      delete from credits.transfers where from_number = 7;
      update credits.accounts set entry_count = 6 where entry_count = 7`,
    "a changed head": "update credits.accounts set head_hash = sha256('') where entry_count = 7",
  };
  for (const [name, statements] of Object.entries(tampering)) {
    await rolledBack(sql, async (sql) => {
      await disableTriggers(sql);
      await sql.unsafe(statements);
      const found = await violations(sql);
      assert.ok(found.includes(`broken_chain ${account}`), `${name}: ${found}`);
    });
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("the first proof after a cut-off tail sees it too, though fewer entries are there than were proved", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const { account } = await keepBooks(sql);
  assert.deepEqual(await violations(sql), []);
  await disableTriggers(sql);
  // As if the last entry had never been, but for what is proved.
  await sql.unsafe(`
    delete from credits.transfers where from_number = 7;
    update credits.accounts as a
    set entry_count = 6, head_hash = e.hash, balance = e.balance_after
    from credits.entries as e
    where e.account_id = a.id and e.number = 6;
    update credits.lots set remaining = remaining + 4 where id = (select min(id) from credits.lots)`);
  assert.ok((await violations(sql, false)).includes(`broken_chain ${account}`));
});
