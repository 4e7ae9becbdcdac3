/** What a user has and what moved it, as GET credits tells it. */
import assert from "node:assert/strict";
import { acceptJob, settle } from "../support/jobs.ts";
import { add, balancesOf, deduct, first, reverse, type Sql, violations } from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const { sql, advance, now } = sharedDatabase();

const hour = 60 * 60 * 1000;

interface Transaction {
  id: string;
  amount: number;
  kind: string;
  balance_after: number;
  job_id: string | null;
  created_at: string;
}

interface Page {
  credits_remaining: number;
  credits_held: number;
  credits_owed: number;
  expiring: { credits: number; expires_at: string }[];
  transactions: Transaction[];
  next: { number: number } | null;
}

interface Answer {
  data?: Page;
  error?: string;
  limits?: { policy: string }[];
}

async function answerOf(sql: Sql, userId: string, limit = 20, after: Page["next"] = null): Promise<Answer> {
  return (await first(sql<{ answer: Answer }[]>`
    select api.credits(${userId}, ${limit}, ${after && sql.json(after)}) as answer`)).answer;
}

async function read(sql: Sql, userId: string, limit = 20, after: Page["next"] = null): Promise<Page> {
  // Reading a statement page by page is more than a user may do in a minute.
  await sql`delete from guard.hits`;
  const { data } = await answerOf(sql, userId, limit, after);
  if (data === undefined) throw new Error("The credits were not read");
  return data;
}

async function newUser(sql: Sql): Promise<string> {
  const userId = crypto.randomUUID();
  await read(sql, userId);
  return userId;
}

const summary = ({ credits_remaining, credits_held, credits_owed }: Page) => [
  credits_remaining,
  credits_held,
  credits_owed,
];
const moved = ({ transactions }: Page) => transactions.map(({ kind, amount }) => `${kind} ${amount}`);

Deno.test("somebody new has nothing, in an account that the first question makes", async () => {
  const { data, limits } = await answerOf(sql, crypto.randomUUID());
  assert.deepEqual(data, {
    credits_remaining: 0,
    credits_held: 0,
    credits_owed: 0,
    expiring: [],
    transactions: [],
    next: null,
  });
  assert.deepEqual(limits?.map(({ policy }) => policy), ["reads"]);
});

Deno.test("what is held, released, captured and owed shows where it is, and what moved the balance is listed", async () => {
  const userId = await newUser(sql);
  const purchase = await add(sql, userId, 10, { kind: "purchase" });
  const [failed, completed] = [await acceptJob(sql, userId), await acceptJob(sql, userId)];
  assert.deepEqual(summary(await read(sql, userId)), [2, 8, 0]);
  await settle(sql, failed, "failed");
  assert.deepEqual(summary(await read(sql, userId)), [6, 4, 0]);
  await sql`update videos.jobs set status = 'processing' where id = ${completed}`;
  assert.deepEqual(summary(await read(sql, userId)), [6, 4, 0], "a job that is processed holds its credits");
  await settle(sql, completed, "completed");
  await deduct(sql, userId, 1);
  await reverse(sql, purchase.transfer_id);
  assert.deepEqual(summary(await read(sql, userId)), [0, 0, 5]);
  await add(sql, userId, 7, { kind: "grant" });

  const page = await read(sql, userId);
  assert.deepEqual(summary(page), [2, 0, 0]);
  assert.deepEqual(moved(page), [
    "debt_payment -5",
    "grant 7",
    "reversal -5",
    "adjustment -1",
    "release 4",
    "hold -4",
    "hold -4",
    "purchase 10",
  ]);
  assert.deepEqual(page.transactions.map(({ balance_after }) => balance_after), [2, 7, 0, 5, 6, 2, 6, 10]);
  const jobs = page.transactions.map(({ job_id }) => job_id);
  assert.deepEqual(jobs, [null, null, null, null, failed, completed, failed, null]);
  assert.equal(page.transactions.at(-1)?.id, purchase.transfer_id);
  for (const { created_at } of page.transactions) {
    assert.match(created_at, /^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z$/);
  }
});

Deno.test("what is due is booked before it is told: the answer is exact without the sweep", async () => {
  const userId = await newUser(sql);
  await add(sql, userId, 10, { expiresInHours: 1 });
  await add(sql, userId, 5);
  assert.deepEqual(summary(await read(sql, userId)), [15, 0, 0]);
  await advance(hour);
  const page = await read(sql, userId);
  assert.deepEqual([page.credits_remaining, page.expiring], [5, []]);
  assert.deepEqual(moved(page), ["expiry -10", "grant 5", "grant 10"]);
  assert.deepEqual(await read(sql, userId), page, "a second question books nothing more");
  assert.deepEqual(await violations(sql), []);
});

Deno.test("credits that expire within 30 days are told by their time, soonest first", async () => {
  const userId = await newUser(sql);
  const startedAt = (await now()).getTime();
  const day = 24;
  await sql.begin(async (sql) => {
    for (const [amount, expiresInHours] of [[1, 30 * day], [2, 2 * day], [4, 31 * day], [8, day]] as const) {
      await add(sql, userId, amount, { expiresInHours });
    }
  });
  await add(sql, userId, 16);
  // Another lot of the same end.
  await sql`
    with twin as (select l.expires_at from credits.lots as l where l.amount = 2 and l.account_id = (
      select a.id from credits.accounts as a where a.owner_id = ${userId} and a.kind = 'available'
    ))
    select credits.add(${userId}, 32, 'grant', 'twin', twin.expires_at) from twin`;
  const { expiring } = await read(sql, userId);
  assert.deepEqual(expiring.map(({ credits }) => credits), [8, 34, 1]);
  const days = expiring.map(({ expires_at }) =>
    Math.round((Date.parse(expires_at) - startedAt) / (day * hour))
  );
  assert.deepEqual(days, [1, 2, 30]);
  // What is held is not there to expire.
  await acceptJob(sql, userId, { price: 8 });
  assert.deepEqual((await read(sql, userId)).expiring.map(({ credits }) => credits), [34, 1]);
});

Deno.test("a statement is read newest first, each entry once, while others are written", async () => {
  const userId = await newUser(sql);
  for (let amount = 1; amount <= 7; amount++) await add(sql, userId, amount);
  const expected = ["grant 7", "grant 6", "grant 5", "grant 4", "grant 3", "grant 2", "grant 1"];
  for (const limit of [1, 2, 6, 7, 8, 100]) {
    const seen: string[] = [];
    let pages = 0;
    for (let after: Page["next"] = null;;) {
      const page: Page = await read(sql, userId, limit, after);
      seen.push(...moved(page));
      pages += 1;
      if (page.next === null) break;
      after = page.next;
      await add(sql, userId, 100);
    }
    // What was written while an earlier size was tried stands before them.
    assert.deepEqual(seen.slice(-7), expected, `by ${limit}`);
    assert(seen.slice(0, -7).every((line) => line === "grant 100"));
    assert.equal(pages, Math.ceil(seen.length / limit), "and no page is empty");
  }
});

Deno.test("an answer is of one moment, while jobs come and go", async () => {
  const userId = await newUser(sql);
  await add(sql, userId, 100);
  let isDone = false;
  const busy = (async () => {
    for (let round = 0; round < 30; round++) {
      const jobId = await acceptJob(sql, userId, { price: 7 });
      await settle(sql, jobId, round % 2 === 0 ? "failed" : "cancelled");
    }
    isDone = true;
  })();
  let answers = 0;
  while (!isDone) {
    const page = await read(sql, userId, 1);
    assert.equal(page.credits_remaining + page.credits_held, 100);
    assert.equal(page.transactions[0]?.balance_after, page.credits_remaining);
    answers += 1;
  }
  await busy;
  assert(answers > 1);
  assert.equal((await balancesOf(sql, userId)).available, 100);
});

Deno.test("a suspended or closed account is told nothing of its credits", async () => {
  const userId = await newUser(sql);
  await sql`update accounts.users set is_banned = true where id = ${userId}`;
  assert.deepEqual(await answerOf(sql, userId), { error: "ERR_4017", details: {} });
  await sql`update accounts.users set closed_at = now() where id = ${userId}`;
  assert.deepEqual(await answerOf(sql, userId), { error: "ERR_4005", details: {} });
});
