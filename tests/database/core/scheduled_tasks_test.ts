import assert from "node:assert/strict";
import postgres from "postgres";
import type { TestDatabase } from "../harness.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { first, type Sql } from "../support/ledger.ts";
import { startVideo } from "../support/generation.ts";
import { tick } from "../support/scheduled-tasks.ts";

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

async function failures(database: TestDatabase): Promise<[string, string | null][]> {
  return (await runs(database)).filter(({ last_error }) => last_error !== null)
    .map(({ name, last_error }) => [name, last_error]);
}

/** What the operator is told, as "task: error". */
async function alerts({ sql }: TestDatabase): Promise<string[]> {
  const rows = await sql<{ subject: string; error: string }[]>`
    select a.subject, a.details ->> 'error' as error from ops.alerts as a where a.rule = 'scheduled_task'
    order by a.raised_at, a.subject`;
  return rows.map(({ subject, error }) => `${subject}: ${error}`);
}

/** Schedules functions of the schema `testing`, each of which notes its runs. */
async function schedule({ sql }: TestDatabase, tasks: Record<string, string>): Promise<void> {
  await sql`create table testing.runs (name text)`;
  for (const [name, body] of Object.entries(tasks)) {
    await sql.unsafe(`
      create function testing.${name}() returns void language plpgsql as $$ begin
        insert into testing.runs values ('${name}'); ${body}
      end $$;
      insert into core.scheduled_tasks (name, procedure, every, time_limit)
      values ('${name}', 'testing.${name}', '1 minute', '2 seconds');
    `).simple();
  }
}

async function noted({ sql }: TestDatabase): Promise<string[]> {
  return (await sql<{ name: string }[]>`select r.name from testing.runs as r order by r.name`).map((
    { name },
  ) => name);
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

Deno.test("what is scheduled exists, takes its subject if it has any, and is not for API roles", async () => {
  await using database = await stillDatabase();
  const rows = await database.sql<Record<string, unknown>[]>`
    select t.procedure, p.pronargs = (t.subjects is not null)::int as fits,
      t.subjects is null or pg_get_function_arguments(to_regproc(t.subjects)) = 'p_limit integer' as is_named,
      not has_function_privilege('service_role', p.oid, 'execute') as is_closed
    from core.scheduled_tasks as t
    left join pg_proc as p on p.oid = to_regproc(t.procedure)`;
  assert.ok(rows.length > 0);
  for (const row of rows) {
    assert.deepEqual({ ...row }, {
      procedure: row["procedure"],
      fits: true,
      is_named: true,
      is_closed: true,
    });
  }
});

Deno.test("a task that fails is noted, told, rolled back alone, and does not stop the others", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await schedule(database, {
    a_fails: "raise exception 'on purpose';",
    b_divides: "perform 1 / 0;",
    c_asserts: "assert false;",
    z_works: "",
  });
  await sql`insert into core.scheduled_tasks (name, procedure, every) values ('b_missing', 'testing.missing', '1 minute')`;
  await tick(sql);
  const expected = [
    ["a_fails", "P0001: on purpose"],
    ["b_divides", "22012: division by zero"],
    ["b_missing", "42883: function testing.missing() does not exist"],
    ["c_asserts", "P0004: assertion failed"],
  ];
  assert.deepEqual(await failures(database), expected);
  assert.deepEqual((await alerts(database)).sort(), expected.map(([name, error]) => `${name}: ${error}`));
  assert.ok((await runs(database)).every(({ has_run }) => has_run));
  assert.deepEqual(await noted(database), ["z_works"]);

  // It is tried again after its interval, and its error goes with its success.
  await sql`create or replace function testing.a_fails() returns void language sql as $$ select $$`;
  await advance(61 * second);
  await tick(sql);
  assert.deepEqual((await failures(database)).map(([name]) => name), ["b_divides", "b_missing", "c_asserts"]);
});

Deno.test("a failure that cannot even be recorded stops nobody else", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  await schedule(database, { a_fails: "raise exception 'on purpose';", z_works: "" });
  await sql`alter table ops.error_log rename to elsewhere`;
  await tick(sql);
  assert.deepEqual(await noted(database), ["z_works"]);
  // A report reads what is not there.
  const failed = (await failures(database)).filter(([name]) => name !== "make_reports");
  assert.deepEqual(failed, [["a_fails", "P0001: on purpose"]]);
});

Deno.test("a task that outlives the statement_timeout of its role is noted, and the others run", async () => {
  await using database = await stillDatabase();
  await schedule(database, { a_slow: "perform pg_sleep(1.5);", z_works: "" });
  const impatient = postgres(database.url, {
    max: 1,
    onnotice: () => {},
    connection: { statement_timeout: 700 },
  });
  try {
    await tick(impatient);
  } finally {
    await impatient.end({ timeout: 1 });
  }
  assert.deepEqual(await noted(database), ["z_works"]);
  assert.deepEqual(await failures(database), [[
    "a_slow",
    "57014: canceling statement due to statement timeout",
  ]]);
  assert.equal((await alerts(database)).length, 1);
});

Deno.test("a task that never ends is ended after its time limit; the others run meanwhile and afterwards, and it is told", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await schedule(database, { a_hangs: "perform pg_sleep(60);", z_works: "" });
  await sql`update core.scheduled_tasks set priority = 0 where name = 'a_hangs'`;
  const clocks = [1, 2].map(() => postgres(database.url, { max: 1, onnotice: () => {} }));
  try {
    const [one, two] = clocks;
    assert(one !== undefined && two !== undefined);
    const hanging = assert.rejects(tick(one), /transaction timeout|CONNECTION_CLOSED/);
    await first(sql`select pg_sleep(0.2)`);
    await tick(two);
    assert.deepEqual(await noted(database), ["z_works"], "the other clock has done the rest");
    await hanging;
  } finally {
    await Promise.all(clocks.map((clock) => clock.end({ timeout: 1 })));
  }
  // Not before its lease is over: nobody knows that it is dead.
  await tick(sql);
  assert.deepEqual(await failures(database), []);
  await sql`create or replace function testing.a_hangs() returns void language sql as $$ select $$`;
  await advance(61 * second);
  await tick(sql);
  assert.match((await alerts(database)).join(), /^a_hangs: the run before did not come back/);
});

Deno.test("of the tasks that take minutes one runs at a time, so that a clock is left for the rest", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const long = (await sql<{ name: string }[]>`
    select t.name from core.scheduled_tasks as t where t.time_limit > interval '1 minute' order by t.name`)
    .map(({ name }) => name);
  assert(long.length > 1, "there are several");
  const claim = async (by: Sql, name: string) =>
    (await first(by<{ name: string | null }[]>`select t.name from core.claim_task(${name}) as t`)).name;
  const [one = "", other = ""] = long;
  const two = postgres(database.url, { max: 1, onnotice: () => {} });
  try {
    // At the very same time, before either can see the other.
    await sql.begin(async (clock) => {
      assert.equal(await claim(clock, one), one);
      assert.equal(await claim(two, other), null);
    });
    assert.equal(await claim(two, other), null, "while the first runs");
    assert.equal(await claim(two, "expire_credits"), "expire_credits", "whatever is short");
    await sql`update core.scheduled_tasks set leased_until = null where name = ${one}`;
    assert.equal(await claim(two, other), other, "when it has ended");
    // One that was killed is waited for as long as its lease.
    assert.equal(await claim(two, one), null);
    await advance(24 * 3600 * second);
    assert.equal(await claim(two, one), one);
  } finally {
    await two.end({ timeout: 1 });
  }
});

Deno.test("a subject whose attempt kills the session is set aside, and the next run does the others", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await sql`
    create table testing.due (id integer, done boolean default false);
    insert into testing.due values (1), (2), (3);
    create function testing.subjects(p_limit integer) returns setof integer language sql
    as $$ select id from testing.due where not done order by id limit p_limit $$;
    create function testing.work(p_id integer) returns void language plpgsql as $$ begin
      if p_id = 1 then perform pg_terminate_backend(pg_backend_pid()); end if;
      update testing.due set done = true where id = p_id;
    end $$;
    insert into core.scheduled_tasks (name, procedure, every, subjects, time_limit)
    values ('work', 'testing.work', '5 seconds', 'testing.subjects', '1 second');
  `.simple();
  for (let round = 0; round < 3; round++) {
    const clock = postgres(database.url, { max: 1, onnotice: () => {} });
    await tick(clock).catch(() => {});
    await clock.end({ timeout: 1 });
    await advance(8 * second);
  }
  const done = await sql`select id from testing.due where done order by id`;
  assert.deepEqual(done.map(({ id }) => id), [2, 3]);
});

Deno.test("one bad subject stops nobody else, is tried less and less often, and is done when it is mended", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await sql`
    create table testing.due (id integer, done integer default 0, bad boolean default false);
    insert into testing.due (id, bad) select n, n % 2 = 1 from generate_series(1, 1300) as n;
    create table testing.tries (id integer);
    create function testing.subjects(p_limit integer) returns setof integer language sql
    as $$ select id from testing.due where done = 0 order by bad desc, id limit p_limit $$;
    create function testing.work(p_id integer) returns void language plpgsql as $$ begin
      if (select bad from testing.due where id = p_id) then raise exception 'bad %', p_id; end if;
      update testing.due set done = done + 1 where id = p_id;
    end $$;
    insert into core.scheduled_tasks (name, procedure, every, subjects, time_limit)
    values ('work', 'testing.work', '5 seconds', 'testing.subjects', '10 seconds');
  `.simple();
  const done = async () => (await first(sql`select count(*)::int as n from testing.due where done = 1`))["n"];
  // A batch in which nothing could be done is the run's last; each is 500.
  for (let round = 0; round < 3; round++) {
    await tick(sql);
    await advance(5 * second);
  }
  assert.equal(await done(), 650, "all that can be done is done, and once");
  assert.deepEqual((await alerts(database)).length, 1, "one alert for the task");

  const times = async () => (await first(sql`select max(times)::int as n from core.set_aside`))["n"];
  for (let minutes = 0; minutes < 30; minutes++) {
    await advance(60 * second);
    await tick(sql);
  }
  assert(Number(await times()) <= 6, "after 1, 2, 4, 8 and 16 minutes");
  await sql`update testing.due set bad = false`;
  await advance(3_600 * second);
  await tick(sql);
  await tick(sql);
  assert.equal(await done(), 1300);
  assert.equal((await sql`select from core.set_aside`).length, 0);
});

Deno.test("whatever lock somebody holds, the tick waits for nobody: what is locked is done afterwards", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const holder = postgres(database.url, { max: 1, onnotice: () => {} });
  const locks = [
    "select from credits.accounts where owner_id = (select user_id from videos.jobs where id = $1) for update",
    "select from videos.jobs where id = $1 for update",
    "select from queue.tasks where subject = $1 for update",
    "select from core.scheduled_tasks where name = 'enforce_deadlines' and $1::uuid is not null for update",
    "select from credits.lots where owner_id = (select user_id from videos.jobs where id = $1) for update",
  ];
  try {
    for (const lock of locks) {
      const [held, free] = [await startVideo(sql), await startVideo(sql)];
      await advance(30 * 60 * second);
      const ended = async () =>
        (await sql<{ id: string }[]>`select id from videos.jobs where id in ${
          sql([held, free])
        } and completed_at is not null`)
          .map(({ id }) => id);
      const startedAt = performance.now();
      await holder.begin(async (holder) => {
        await holder.unsafe(lock, [held]);
        await tick(sql);
        assert(performance.now() - startedAt < 3_000, `${lock}: it waited`);
        if (!lock.includes("scheduled_tasks")) assert((await ended()).includes(free), lock);
      });
      await advance(11 * second);
      await tick(sql);
      assert.deepEqual((await ended()).sort(), [held, free].sort(), lock);
    }
    assert.deepEqual(await alerts(database), [], "a lock that comes and goes is no failure");
  } finally {
    await holder.end({ timeout: 1 });
  }
});

Deno.test("no lock of a user's is held for longer than a request waits, however much there is to do", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await sql`
    create table testing.due (id integer, done boolean default false);
    insert into testing.due select generate_series(1, 60);
    create function testing.subjects(p_limit integer) returns setof integer language sql
    as $$ select id from testing.due where not done order by id limit p_limit $$;
    create function testing.work(p_id integer) returns void language plpgsql as $$ begin
      update testing.due set done = true where id = p_id;
      perform pg_sleep(0.02);
    end $$;
    insert into core.scheduled_tasks (name, procedure, every, subjects)
    values ('work', 'testing.work', '1 minute', 'testing.subjects');
  `.simple();
  const ticking = tick(sql);
  let longest = 0;
  let isOver = false;
  void ticking.finally(() => isOver = true);
  while (!isOver) {
    const startedAt = performance.now();
    await sql`update testing.due set done = done where id = (select max(id) from testing.due where done)`;
    longest = Math.max(longest, performance.now() - startedAt);
  }
  await ticking;
  assert(longest < 600, `somebody waited ${Math.round(longest)} ms, and all took 1200`);
  await advance(0);
});

Deno.test("a task runs when its interval is over, and not before", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await schedule(database, { works: "" });
  const count = async () => (await noted(database)).length;
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

Deno.test("two ticks at once do the work of one", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  await schedule(database, { a_works: "perform pg_sleep(0.1);", b_works: "perform pg_sleep(0.1);" });
  await Promise.all([tick(sql), tick(sql), tick(sql)]);
  assert.deepEqual(await noted(database), ["a_works", "b_works"]);
});

Deno.test("the worker is woken before all else", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const { name } = await first(sql<{ name: string }[]>`
    select t.name from core.scheduled_tasks as t order by t.priority, t.next_run_at, t.name limit 1`);
  assert.equal(name, "wake_worker");
});
