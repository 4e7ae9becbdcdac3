/** 10,000 credits in any 24 hours is what one admin may give, to the credit and to the second. */
import assert from "node:assert/strict";
import {
  adjust,
  type AdminAnswer,
  createAdmin,
  createCustomer,
  refund,
  removeAdminLimit,
} from "../support/admins.ts";
import { manyConnections, times } from "../support/connections.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { balancesOf, rolledBack, type Sql } from "../support/ledger.ts";

const hour = 3_600_000;

async function limited() {
  const database = await stillDatabase();
  await removeAdminLimit(database.sql);
  return database;
}

/** The refusal by the limit of credits, and when it says to come back. */
function retryAfter(answer: AdminAnswer<unknown>): number {
  assert.equal(answer.error, "ERR_4004", JSON.stringify(answer));
  assert.equal(answer.details?.policy, "admin_credits");
  return Number(answer.details?.retry_after);
}

async function given(sql: Sql, adminId: string): Promise<number> {
  const [row] = await sql<{ given: number }[]>`
    select coalesce(sum(a.amount), 0)::integer as given from ops.admin_actions as a
    where a.admin_id = ${adminId} and a.amount > 0`;
  return row?.given ?? 0;
}

Deno.test("many at once give exactly what the limit admits, refunds and adjustments together", async () => {
  await using database = await limited();
  const { sql } = database;
  await using crowd = manyConnections(database);
  const admin = await createAdmin(sql);
  const users = await times(16, () => createCustomer(sql));
  // 64 of 300 are 19,200; 33 fit, which are 9,900.
  const answers = await times(64, (index) => {
    const user = users[index % users.length] ?? "";
    return index % 2 === 0 ? refund(crowd, admin, user, 300) : adjust(crowd, admin, user, 300);
  });
  assert.equal(answers.filter(({ data }) => data !== undefined).length, 33);
  for (const answer of answers) if (answer.error !== undefined) retryAfter(answer);
  assert.equal(await given(sql, admin), 9_900);

  // And to the last credit.
  const small = await times(64, (index) => adjust(crowd, admin, users[index % users.length] ?? "", 3));
  assert.equal(small.filter(({ data }) => data !== undefined).length, 33);
  assert.equal((await adjust(sql, admin, users[0] ?? "", 1)).data !== undefined, true);
  assert.equal(await given(sql, admin), 10_000);
  retryAfter(await adjust(sql, admin, users[0] ?? "", 1));
  const balances = await Promise.all(users.map(async (user) => (await balancesOf(sql, user)).available));
  assert.equal(balances.reduce((sum, balance) => sum + balance), 10_000);
});

Deno.test("the wait is exact: a second before it the amount does not fit, and then it does", async () => {
  await using database = await limited();
  const { sql } = database;
  const [admin, user] = [await createAdmin(sql), await createCustomer(sql)];
  await adjust(sql, admin, user, 1_000);
  await database.advance(hour);
  await refund(sql, admin, user, 2_000);
  await database.advance(hour);
  await adjust(sql, admin, user, 7_000);

  // 1,000 leave in 22 hours, 2,000 more in 23, all in 24.
  for (const [amount, hours] of [[1, 22], [1_000, 22], [1_001, 23], [3_000, 23], [3_001, 24], [10_000, 24]]) {
    const wait = retryAfter(await adjust(sql, admin, user, amount ?? 0));
    assert.ok(Math.abs(wait - (hours ?? 0) * 3_600) <= 2, `${amount} fit in ${wait} s`);
  }
  const wait = retryAfter(await adjust(sql, admin, user, 1_001));
  await database.advance((wait - 3) * 1_000);
  assert.ok(retryAfter(await adjust(sql, admin, user, 1_001)) <= 3);
  await database.advance(3_000);
  const { limits } = await adjust(sql, admin, user, 1_001);
  const limit = limits?.find(({ policy }) => policy === "admin_credits");
  assert.deepEqual([limit?.current, limit?.remaining, limit?.limit], [8_001, 1_999, 10_000]);
  assert.ok(Math.abs((limit?.reset ?? 0) - 3_600) <= 4, "until the 7,000 leave");
});

Deno.test("what is taken away gives no room, what was refused takes none, and each admin has a limit of their own", async () => {
  await using database = await limited();
  const { sql } = database;
  const [admin, other, user] = [await createAdmin(sql), await createAdmin(sql), await createCustomer(sql)];
  await adjust(sql, admin, user, 6_000);
  await adjust(sql, admin, user, -6_000);
  retryAfter(await adjust(sql, admin, user, 4_001));
  assert.equal((await adjust(sql, other, user, 10_000)).data?.new_balance, 10_000);
  assert.equal((await adjust(sql, admin, user, 4_000)).data?.new_balance, 14_000);
});

Deno.test("the operator changes the limit; an amount that never fits may be asked again after a whole window", async () => {
  await using database = await limited();
  const { sql } = database;
  const [admin, user] = [await createAdmin(sql), await createCustomer(sql)];
  await sql`update guard.policies set max_hits = 100, window_seconds = 60 where name = 'admin_credits'`;
  assert.equal(retryAfter(await adjust(sql, admin, user, 101)), 60);
  assert.equal((await adjust(sql, admin, user, 100)).data?.new_balance, 100);
});

Deno.test("a broken limiter gives nothing", async () => {
  await using database = await limited();
  const { sql } = database;
  const [admin, user] = [await createAdmin(sql), await createCustomer(sql)];
  const accidents = {
    "its policy is gone": "delete from guard.policies where name = 'admin_credits'",
    "its sum fails": "alter table ops.admin_actions rename column amount to credits",
  };
  for (const [accident, statement] of Object.entries(accidents)) {
    await rolledBack(sql, async (sql) => {
      await sql.unsafe(statement);
      assert.equal((await adjust(sql, admin, user, 1)).error, "ERR_6001", accident);
      assert.equal((await refund(sql, admin, user, 1)).error, "ERR_6001", accident);
      assert.equal((await balancesOf(sql, user)).available, 0);
    });
  }
});
