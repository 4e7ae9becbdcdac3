import assert from "node:assert/strict";
import type { TestDatabase } from "../harness.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { first, rolledBack, type Sql } from "../support/ledger.ts";
import { startVideo } from "../support/generation.ts";

const second = 1000;

interface Run {
  name: string;
  last_error: string | null;
  has_run: boolean;
}

async function runs({ sql }: TestDatabase): Promise<Run[]> {
  const rows = await sql<Run[]>`
    select t.name, t.last_error, t.last_run_at is not null as has_run from core.scheduled_tasks as t order by t.name`;
  return rows.map((row) => ({ ...row }));
}

async function tick(sql: Sql): Promise<number> {
  return (await first(sql<{ due: number }[]>`select core.tick() as due`)).due;
}

Deno.test("every scheduled task runs, on an empty database and on one at work", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  for (let round = 0; round < 2; round++) {
    await tick(sql);
    for (const run of await runs(database)) {
      assert.deepEqual(run, { name: run.name, last_error: null, has_run: true });
    }
    await startVideo(sql);
    await advance(25 * 60 * 60 * second);
  }
});

Deno.test("what is scheduled exists, takes no arguments and is not for API roles", async () => {
  await using database = await stillDatabase();
  const rows = await database.sql<{ procedure: string; arguments: number; is_closed: boolean }[]>`
    select t.procedure, p.pronargs as arguments,
      not has_function_privilege('service_role', p.oid, 'execute') as is_closed
    from core.scheduled_tasks as t
    left join pg_proc as p on p.oid = to_regproc(t.procedure)`;
  assert.ok(rows.length > 0);
  for (const row of rows) {
    assert.deepEqual({ ...row }, { procedure: row.procedure, arguments: 0, is_closed: true });
  }
});

Deno.test("a task that fails is noted, rolled back alone, and does not stop the others", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await sql`
    create table testing.runs (name text);
    create function testing.fails() returns void language plpgsql as $$ begin
      insert into testing.runs values ('fails');
      raise exception 'on purpose';
    end $$;
    create function testing.works() returns void language sql as $$ insert into testing.runs values ('works') $$;
    -- It comes first, by its time and by its name.
    insert into core.scheduled_tasks (name, procedure, every) values
      ('a_fails', 'testing.fails', '1 minute'), ('z_works', 'testing.works', '1 minute'),
      ('b_missing', 'testing.missing', '1 minute');
  `.simple();
  await tick(sql);
  const errors = (await runs(database)).filter(({ last_error }) => last_error !== null);
  assert.deepEqual(errors.map(({ name, last_error }) => [name, last_error]), [
    ["a_fails", "P0001: on purpose"],
    ["b_missing", "42883: function testing.missing() does not exist"],
  ]);
  assert.ok((await runs(database)).every(({ has_run }) => has_run));
  assert.deepEqual([...await sql`select name from testing.runs`], [{ name: "works" }]);

  // It is tried again after its interval, and its error goes with its success.
  await sql`create or replace function testing.fails() returns void language sql as $$ select $$`;
  await advance(61 * second);
  await tick(sql);
  assert.deepEqual((await runs(database)).find(({ name }) => name === "a_fails")?.last_error, null);
});

Deno.test("a task runs when its interval is over, and not before", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await sql`
    create table testing.runs (at timestamptz);
    create function testing.works() returns void language sql as $$ insert into testing.runs values (now()) $$;
    insert into core.scheduled_tasks (name, procedure, every) values ('works', 'testing.works', '1 minute');
  `.simple();
  const count = async () => (await sql`select from testing.runs`).length;
  await tick(sql);
  await tick(sql);
  assert.equal(await count(), 1);
  await advance(59 * second);
  await tick(sql);
  assert.equal(await count(), 1);
  await advance(2 * second);
  await tick(sql);
  assert.equal(await count(), 2);
});

Deno.test("two ticks at once do the work of one, and both tell how many tasks wait", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  await sql`select queue.add('poll', gen_random_uuid(), null, core.now()) from generate_series(1, 3)`;
  await rolledBack(sql, async (first) => {
    assert.equal(await tick(first), 3);
    assert.equal(await tick(sql), 3);
    assert.ok((await runs(database)).every(({ has_run }) => !has_run));
  });
});
