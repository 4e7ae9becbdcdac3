/** How what was left undone for long is made good: quickly, and without anybody noticing. */
import assert from "node:assert/strict";
import { runs } from "../../runs.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { startVideo } from "../support/generation.ts";
import { cheapModel } from "../support/jobs.ts";
import { first, type Sql, violations } from "../support/ledger.ts";
import { tick } from "../support/scheduled-tasks.ts";

const second = 1000;
const hour = 3600 * second;

/** So many users, each with a lot of 10 credits, which expires after `hours` where that is said. */
async function createUsers(sql: Sql, users: number, hours: number | null = null): Promise<void> {
  await sql`
    with users as materialized (
      insert into accounts.users (id) select gen_random_uuid() from generate_series(1, ${users}::integer) returning id
    ), accounts as materialized (select credits.open_account(u.id), u.id from users as u)
    select count(*) from accounts`;
  await sql`
    select credits.add(u.id, 10, 'grant', 'key ' || u.id, core.now() + ${hours}::integer * interval '1 hour')
    from accounts.users as u where not exists (
      select from credits.accounts as a where a.owner_id = u.id and a.entry_count > 0
    )`;
}

/** A running job of each user, which was accepted an hour ago at most. */
async function createJobs(sql: Sql): Promise<void> {
  await sql`
    insert into videos.jobs (
      user_id, model_id, model_name, status, prompt, settings, credits_used, request_id, created_at, due_at
    )
    select u.id, ${cheapModel}, 'A model', 'processing', 'a prompt', '{}', 4, 'test', core.now(),
      core.now() + random() * interval '50 minutes'
    from accounts.users as u`;
  await sql`
    select credits.hold(credits.lock_account(j.user_id), 4, j.id) from videos.jobs as j where j.status = 'processing'`;
}

Deno.test("an hour without a tick is made good in two minutes, and nobody's credits are refused meanwhile", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const jobs = runs(500, 5_000);
  await createUsers(sql, jobs);
  await createJobs(sql);
  await advance(hour);
  const left = async () =>
    (await first(sql<{ n: number }[]>`select count(*)::int as n from videos.jobs where completed_at is null`))
      .n;
  assert.equal(await left(), jobs);

  const users = await sql<{ id: string }[]>`select u.id from accounts.users as u order by u.id limit 100`;
  let isOver = false;
  let longest = 0;
  const asked = (async () => {
    for (let turn = 0; !isOver; turn++) {
      const startedAt = performance.now();
      const { answer } = await first(
        sql<{ answer: { error?: string; data?: { credits_remaining: number } } }[]>`
        select api.credits(${users[turn % users.length]?.id ?? ""}, 20) as answer`,
      );
      longest = Math.max(longest, performance.now() - startedAt);
      assert.equal(answer.error === "ERR_4004" ? undefined : answer.error, undefined);
    }
  })();
  const startedAt = performance.now();
  let ticks = 0;
  while (await left() > 0 && ticks < 24) {
    await tick(sql);
    await advance(5 * second);
    ticks += 1;
  }
  const took = performance.now() - startedAt;
  isOver = true;
  await asked;
  console.log(
    `${jobs} jobs: ${ticks} ticks, ${Math.round(took)} ms; the slowest answer of credits ${
      Math.round(longest)
    } ms`,
  );
  assert.equal(await left(), 0);
  assert.deepEqual(await violations(sql), []);
  const { held } = await first(sql<{ held: number }[]>`
    select count(*)::int as held from credits.accounts as a where a.kind = 'available' and a.owner_id is not null and a.balance <> 10`);
  assert.equal(held, 0);
});

Deno.test("a job without its hold, and one of an account that somebody has, keep no other from its end", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const bad: string[] = [];
  for (let job = 0; job < 12; job++) {
    const jobId = await startVideo(sql);
    if (job % 4 === 0) bad.push(jobId);
  }
  await sql`alter table credits.transfers disable trigger append_only`;
  await sql`delete from credits.transfers where job_id in ${sql(bad)}`;
  await sql`alter table credits.transfers enable trigger append_only`;
  await advance(hour);
  for (let ticks = 0; ticks < 3; ticks++) {
    await tick(sql);
    await advance(5 * second);
  }
  const open = await sql<{ id: string }[]>`select id from videos.jobs where completed_at is null order by id`;
  assert.deepEqual(open.map(({ id }) => id), bad.sort());
  const told = await sql`select subject, count from ops.alerts where rule = 'scheduled_task'`;
  assert.deepEqual(told.map((row) => ({ ...row })), [{ subject: "enforce_deadlines", count: bad.length }]);
  const aside = await sql<
    { subject: string; error: string }[]
  >`select subject, error from core.set_aside order by subject`;
  assert.deepEqual(aside.map(({ subject }) => subject), bad.sort());
});

Deno.test("many expired lots are booked within minutes, in transactions of a moment", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const users = runs(2_000, 20_000);
  await createUsers(sql, users, 1);
  await advance(2 * hour);
  const left = async () =>
    (await first(sql<{ n: number }[]>`select count(*)::int as n from credits.lots where remaining > 0`)).n;
  const startedAt = performance.now();
  let ticks = 0;
  while (await left() > 0 && ticks < 60) {
    await tick(sql);
    await advance(5 * second);
    ticks += 1;
  }
  console.log(`${users} lots: ${ticks} ticks, ${Math.round(performance.now() - startedAt)} ms`);
  assert.equal(await left(), 0);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("three thousand expired lots in one account are cheap in its owner's call, and so are as many that are forfeited", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  for (
    const [name, hours, call] of [
      ["expire", 1, (user: string) => sql`select api.credits(${user}, 20)`],
      ["are forfeited", null, (user: string) => sql`select accounts.close(${user})`],
      ["are spent", null, (user: string) => sql`select credits.deduct(${user}, 3000, 'all')`],
    ] as const
  ) {
    const user = await database.createUser();
    await sql`select accounts.admit(${user})`;
    await sql`
      select credits.add(${user}, 1, 'grant', ${user} || n, core.now() + ${hours}::integer * interval '1 hour')
      from generate_series(1, 3000) as n`;
    await advance(2 * hour);
    const startedAt = performance.now();
    await call(user);
    const took = performance.now() - startedAt;
    console.log(`3000 lots ${name}: ${Math.round(took)} ms`);
    assert(took < 1_000, name);
    const { left } = await first(sql<{ left: number }[]>`
      select coalesce(sum(l.remaining), 0)::int as left from credits.lots as l where l.owner_id = ${user}`);
    assert.equal(left, 0, name);
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("a sum of expired lots that is more than one transfer may move is booked in several", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const user = await database.createUser();
  await sql`select accounts.admit(${user})`;
  for (let lot = 0; lot < 5; lot++) {
    await sql`select credits.add(${user}, 600000000, 'grant', ${`lot ${lot}`}, core.now() + interval '1 hour')`;
  }
  await advance(2 * hour);
  await tick(sql);
  const moved = await sql<{ amount: string }[]>`
    select t.amount from credits.transfers as t where t.owner_id = ${user} and t.kind = 'expiry'`;
  assert.equal(moved.length, 5);
  assert.equal(moved.reduce((sum, { amount }) => sum + Number(amount), 0), 3_000_000_000);
  assert.deepEqual(await violations(sql), []);
});
