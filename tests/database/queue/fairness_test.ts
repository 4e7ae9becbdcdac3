/** Whoever has many tasks lets others go between them, and that costs a claim nothing that grows with what waits. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { propertyOptions } from "../../runs.ts";
import { testDatabase } from "../harness.ts";
import { generateVideos } from "../support/bulk.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { claimTasks } from "../support/generation.ts";
import { cheapModel } from "../support/jobs.ts";
import { first, type Sql } from "../support/ledger.ts";
import { addTasks, setKind } from "../support/tasks.ts";
import { createPayer, generateVideo } from "../support/videos.ts";

const second = 1000;

/** Whose task each was, in the order in which workers got them, five at a time, each ended a second later. */
async function owners(sql: Sql, advance: (milliseconds: number) => Promise<void>): Promise<string[]> {
  const order: string[] = [];
  for (;;) {
    const claimed = await claimTasks(sql, 5);
    if (claimed.length === 0) return order;
    // As claim_tasks sorts what it hands out by its age, a claim's own are in no order.
    order.push(...claimed.map(({ owner_id }) => owner_id ?? ""));
    await advance(second);
    for (const { task_id, attempt } of claimed) await sql`select queue.finish(${task_id}, ${attempt})`;
  }
}

Deno.test("50 users with a task each wait for one of the 20 that another has, and not for the others", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const many = crypto.randomUUID();
  await addTasks(sql, "submit", 20, { owner: many });
  const others = Array.from({ length: 50 }, () => crypto.randomUUID());
  for (const owner of others) {
    await database.advance(second / 2);
    await addTasks(sql, "submit", 1, { owner });
  }
  const order = await owners(sql, database.advance);
  assert.equal(order.length, 70);
  const before = order.slice(0, 50 + 5);
  const ofMany = before.filter((owner) => owner === many).length;
  console.log(`of the first 55, ${ofMany} are of the one with 20`);
  assert(ofMany <= 1 + 4, `${ofMany} of the 20 went before`);
  assert.deepEqual(new Set(before), new Set([many, ...others]));
});

Deno.test("videos that were accepted together take turns with those of others, as those that came one by one", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  await setKind(sql, "submit", { concurrency: 5 });
  const bulk = await createPayer(sql, 100);
  const items = Array(10).fill({ model_id: cheapModel, prompt: "A fox" });
  assert((await generateVideos(sql, bulk, "all", items)).data);
  const others: string[] = [];
  for (let user = 0; user < 12; user++) {
    const other = await createPayer(sql, 10);
    others.push(other);
    assert((await generateVideo(sql, other, { network: `198.51.100.${user}` })).data);
  }
  await database.advance(3 * second);
  const order = await owners(sql, database.advance);
  assert.deepEqual(new Set(order.slice(0, 15)), new Set([bulk, ...others]));
  assert.deepEqual(order.slice(15), Array(7).fill(bulk));
});

Deno.test("whatever each has, nobody's second goes before another's first", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  await setKind(sql, "submit", { concurrency: 1 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 2, maxLength: 8 }),
      async (counts) => {
        for (const count of counts) await addTasks(sql, "submit", count, { owner: crypto.randomUUID() });
        const taken = new Map<string, number>();
        let last = 0;
        for (const owner of await owners(sql, () => Promise.resolve())) {
          const turn = taken.get(owner) ?? 0;
          assert(turn >= last, `turn ${turn} after ${last}, of ${counts}`);
          last = turn;
          taken.set(owner, turn + 1);
        }
        assert.deepEqual([...taken.values()].sort(), counts.toSorted());
      },
    ),
    propertyOptions(15, 150),
  );
});

Deno.test("a claim among 10,000 due tasks costs what it takes, and as much among 40,000", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sql`update queue.kinds set concurrency = 1000`;
  const fill = async (count: number) => {
    await sql`truncate queue.tasks`;
    await sql`
      insert into queue.tasks (kind, subject, owner_id, priority, place, run_at, created_at)
      select 'submit', gen_random_uuid(), md5((case when n % 2 = 0 then 0 else n % 500 end)::text)::uuid, 3,
        case when n % 2 = 0 then 15 else n / 2 % 16 end, now() - n * interval '1 millisecond', now()
      from generate_series(1, ${count}::integer) as n`;
    await sql`vacuum analyze queue.tasks`;
  };
  const rowsOf = (limit: number) =>
    sql.begin(async (sql) => {
      const read = async () =>
        (await first(sql`
        select (seq_tup_read + idx_tup_fetch)::int as rows from pg_stat_xact_user_tables
        where relid = 'queue.tasks'::regclass`)).rows;
      const before = await read();
      assert.equal((await sql`select * from queue.claim(${limit})`).length, limit);
      return await read() - before;
    });
  await fill(10_000);
  // A worker asks for ten at most.
  const [five, ten] = [await rowsOf(5), await rowsOf(10)];
  await fill(40_000);
  const amongMore = await rowsOf(10);
  console.log(`rows read: ${five} for 5 and ${ten} for 10 of 10,000, ${amongMore} for 10 of 40,000`);
  // The second and third meet what the one before has moved.
  const moved = 50;
  assert(ten <= 2 * five + moved, `${ten} rows for 10, ${five} for 5`);
  assert(
    ten <= 16 * 10 + 4 * 10,
    `${ten} rows: a place offers what is asked for, and what is taken is written`,
  );
  assert(amongMore <= ten + moved, `${amongMore} rows among 40,000, ${ten} among 10,000`);
});
