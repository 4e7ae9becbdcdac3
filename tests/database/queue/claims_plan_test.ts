/** What a claim costs grows with what it takes, and not with what waits. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { testDatabase } from "../harness.ts";
import type { Sql } from "../support/ledger.ts";

/** 100,000 due tasks of 1,000 owners and of one who has half of them, 50,000 dead letters, and a full kind before them all. */
async function fill(sql: Sql): Promise<void> {
  await sql`update queue.kinds set concurrency = 1000`;
  await sql`
    insert into queue.tasks (kind, subject, owner_id, lane, priority, place, run_at, created_at, failed_at, attempts)
    select (array['poll', 'store', 'submit', 'delete_files'])[1 + n % 4], gen_random_uuid(),
      md5((case when n % 2 = 0 then 0 else n % 1000 end)::text)::uuid,
      case when n % 10 = 3 then 'lane ' || n % 7 else '' end,
      3, case when n % 10 = 3 then 0 when n % 2 = 0 then 15 else n % 16 end,
      now() - n * interval '1 millisecond', now(), case when n > 100000 then now() end, 0
    from generate_series(1, 150000) as n`;
  await sql`
    insert into queue.tasks (kind, subject, priority, place, run_at, created_at, leased_until, claimed_at)
    select 'cancel', gen_random_uuid(), 1, 0, now() + interval '1 minute', now(), now() + interval '1 minute', now()
    from generate_series(1, 1000)`;
  await sql`vacuum analyze queue.tasks`;
}

/** How many rows of queue.tasks this transaction has read. */
async function rowsRead(sql: postgres.TransactionSql): Promise<number> {
  const [row] = await sql<{ rows: number }[]>`
    select (seq_tup_read + idx_tup_fetch)::int as rows from pg_stat_xact_user_tables where relid = 'queue.tasks'::regclass`;
  return row?.rows ?? 0;
}

Deno.test("a claim among 100,000 due tasks and 50,000 dead ones reads what it takes, some more, and no table as a whole", async (test) => {
  await using database = await testDatabase();
  const { sql } = database;
  await fill(sql);
  const cost = (statement: string) =>
    sql.begin(async (sql) => {
      const before = await rowsRead(sql);
      const startedAt = performance.now();
      await sql.unsafe(statement);
      return { rows: await rowsRead(sql) - before, milliseconds: performance.now() - startedAt };
    });
  const jumps = 4 * (16 + 7);
  for (
    const [name, statement, most] of [
      // Each place offers as many as are asked for; those at work are counted once a kind.
      ["a claim of ten", "select * from queue.claim(10)", 1_000 + 10 * jumps + 4 * 10],
      ["another one", "select * from queue.claim(10)", 1_100 + 10 * jumps + 4 * 10],
      ["a claim for one subject", "select * from queue.claim(10, gen_random_uuid())", 1_200],
      ["the oldest that waits", "select queue.oldest_due()", 3 * jumps],
      // And those at work are counted in each of their places.
      [
        "the oldest that waits, where lanes are bounded",
        "update queue.kinds set lane_concurrency = 10; select queue.oldest_due()",
        3 * jumps,
      ],
      [
        "a claim that notes which lanes are full",
        "select * from queue.claim(10)",
        1_300 + 10 * jumps + 4 * 10,
      ],
      ["how many wait", "select queue.count_due()", 1_000 * jumps],
      ["what no worker came back from", "select queue.lost_tasks(500)", 2_000],
    ] as const
  ) {
    await test.step(name, async () => {
      const { rows, milliseconds } = await cost(statement);
      console.log(`${name}: ${rows} rows, ${Math.round(milliseconds)} ms`);
      assert(rows <= most, `${rows} rows were read, of 151,000`);
    });
  }
});

Deno.test("ten claims of a hundred each take the hundred that are next, whatever else there is", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await fill(sql);
  const taken = new Set<string>();
  for (let claim = 0; claim < 10; claim++) {
    for (const { id } of await sql`select id from queue.claim(100)`) taken.add(id);
  }
  assert.equal(taken.size, 1_000);
});
