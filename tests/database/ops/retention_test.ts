/** How long things are kept: every rule, on data on both sides of its limit. */
import assert from "node:assert/strict";
import { testDatabase } from "../harness.ts";
import { claimErasure, closeAccount, createGuest, eraseAccount, untilErasable } from "../support/accounts.ts";
import { first, type Sql, violations } from "../support/ledger.ts";
import { sweepRule } from "../support/retention.ts";
import { completed, sweeps } from "./retention-sweeps.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { runTask, tick } from "../support/scheduled-tasks.ts";

/** As pg_cron makes it, as far as it is asked. */
async function installCron(sql: Sql): Promise<void> {
  await sql`
    create schema cron;
    create sequence cron.runid;
    create table cron.job_run_details (runid bigint primary key, command text, end_time timestamptz);
  `.simple();
}

Deno.test("a rule whose batch was full goes on with the next minute, one that has all waits for its interval", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  await sql`update ops.retention_rules set batch = 100 where name = 'metric_hours'`;
  await sql`
    insert into ops.metric_points (step, at, name, labels, count, sum, buckets)
    select 'hour', core.now() - interval '100 days', 'requests', jsonb_build_object('number', n), 1, 1, '{}'
    from generate_series(1, 250) as n`;
  const left = async () => (await sql`select from ops.metric_points where step = 'hour'`).length;
  const swept = [];
  for (let minute = 0; minute < 5; minute++) {
    await runTask(sql, "sweep");
    swept.push(await left());
    await database.advance(60_000);
  }
  assert.deepEqual(swept, [150, 50, 0, 0, 0]);
  await sql`
    insert into ops.metric_points (step, at, name, labels, count, sum, buckets)
    values ('hour', core.now() - interval '100 days', 'requests', '{}', 1, 1, '{}')`;
  await database.advance(150 * 60_000);
  await runTask(sql, "sweep");
  assert.equal(await left(), 1, "once a day");
});

Deno.test("every rule is tried here, and what it names is there", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await installCron(sql);
  const rules = await sql<{ name: string; there: boolean }[]>`
    select r.name, to_regprocedure(r.procedure || '(timestamptz, integer)') is not null or exists (
      select from pg_attribute as a where a.attrelid = to_regclass(r.relation) and a.attname = r.time_column
    ) as there
    from ops.retention_rules as r order by r.name`;
  assert.deepEqual(
    rules.map(({ name, there }) => [name, there]),
    Object.keys(sweeps).sort().map((name) => [name, true]),
  );
});

for (const [rule, { make, names }] of Object.entries(sweeps)) {
  Deno.test(`${rule}: what is older than the rule goes, what is younger stays, and the operator may change it`, async () => {
    await using database = await testDatabase();
    const { sql } = database;
    await installCron(sql);
    // Longer than what any row of the tests takes to make, and than any time that the API promises.
    const keep = 3 * 86_400;
    await sql`update ops.retention_rules set keep = make_interval(secs => ${keep}) where name = ${rule}`;
    await make(sql, "old", keep + 60);
    await make(sql, "young", keep - 60);
    assert.equal(await sweepRule(sql, rule), 1);
    assert.deepEqual((await names(sql)).map(({ name }) => name), ["young"]);
    assert.equal(await sweepRule(sql, rule), 0);

    await sql`update ops.retention_rules set keep = make_interval(secs => ${
      keep - 120
    }) where name = ${rule}`;
    assert.equal(await sweepRule(sql, rule), 1);
    assert.deepEqual([...await names(sql)], []);
    assert.deepEqual(await violations(sql), []);
  });

  Deno.test(`${rule}: a run takes no more than its batch`, async () => {
    await using database = await testDatabase();
    const { sql } = database;
    await installCron(sql);
    const { keep } = await first(sql<{ keep: number }[]>`
      update ops.retention_rules set batch = 1 where name = ${rule} returning extract(epoch from keep)::int as keep`);
    await make(sql, "old", keep + 120);
    await make(sql, "young", keep + 60);
    assert.deepEqual([await sweepRule(sql, rule), await sweepRule(sql, rule), await sweepRule(sql, rule)], [
      1,
      1,
      0,
    ]);
  });
}

Deno.test("a rule runs when its interval is over; one that fails is recorded, and stops no other", async () => {
  await using database = await testDatabase();
  const { sql, advance } = database;
  const keys = () => sweeps.idempotency_keys?.names(sql);
  await sql`
    create function testing.fails(p_before timestamptz, p_batch integer) returns integer language plpgsql as $$ begin
      delete from guard.idempotency_keys;
      raise exception 'on purpose';
    end $$`;
  await sql`
    insert into ops.retention_rules (name, what, keep, batch, every, procedure)
    values ('a_rule', 'Nothing', '0', 1, '1 minute', 'testing.fails')`;
  await sweeps.idempotency_keys?.make(sql, "old", 60);
  await sweeps.idempotency_keys?.make(sql, "young", -3600);
  await tick(sql);
  assert.deepEqual((await keys())?.map(({ name }) => name), ["young"]);
  const errors = await sql`select e.context from ops.error_log as e`;
  const failure = { task: "sweep", subject: "a_rule", error: "P0001: on purpose" };
  assert.deepEqual(errors.map(({ context }) => context), [failure]);

  await sweeps.idempotency_keys?.make(sql, "old again", 60);
  await runTask(sql, "sweep");
  assert.equal((await keys())?.length, 2);
  await advance(60_000);
  // Without pg_cron its rule finds nothing.
  assert.equal(await runTask(sql, "sweep"), 1);
  assert.equal((await sql`select from ops.error_log`).length, 2);
});

Deno.test("every rule that fails is told of with its cause, tried again after a minute, then less often, and runs when it can", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await installCron(sql);
  // Of each what it needs has another name.
  const faults = await sql<{ name: string; fault: string; mend: string }[]>`
    select r.name, case when r.procedure is null
        then format('alter table %s rename column %I to elsewhere', r.relation, r.time_column)
        else format('alter function %s(timestamptz, integer) rename to elsewhere', r.procedure) end as fault,
      case when r.procedure is null
        then format('alter table %s rename column elsewhere to %I', r.relation, r.time_column)
        else format('alter function %s.elsewhere(timestamptz, integer) rename to %I',
          split_part(r.procedure, '.', 1), split_part(r.procedure, '.', 2)) end as mend
    from ops.retention_rules as r order by r.name`;
  assert.deepEqual(faults.map(({ name }) => name), Object.keys(sweeps).sort());
  const aside = async (rule: string) => {
    const [row] = await sql<{ times: number; seconds: number }[]>`
      select s.times, extract(epoch from s.until - core.now())::int as seconds
      from core.set_aside as s where s.task = 'sweep' and s.subject = ${rule}`;
    return row && { ...row };
  };
  for (const { name, fault, mend } of faults) {
    // Rules that write their own task's tables could not note that they failed.
    const own = ["set_aside", "error_log", "alerts"].includes(name);
    if (own) continue;
    await sql`update ops.retention_rules set swept_at = core.now()`;
    await sql`update ops.retention_rules set swept_at = '-infinity' where name = ${name}`;
    await sql`delete from ops.alerts`;
    await sql.unsafe(fault);
    await runTask(sql, "sweep");
    const alerts = await sql<{ details: { subject: string; error: string } }[]>`
      select a.details from ops.alerts as a where a.rule = 'scheduled_task' and a.subject = 'sweep'`;
    assert.deepEqual(alerts.map(({ details }) => details.subject), [name]);
    assert.match(alerts[0]?.details.error ?? "", /does not exist/, name);
    assert.deepEqual(await aside(name), { times: 1, seconds: 60 });
    await runTask(sql, "sweep");
    assert.deepEqual(await aside(name), { times: 1, seconds: 60 }, "its minute is not over");
    await advance(60_000);
    await runTask(sql, "sweep");
    assert.deepEqual(await aside(name), { times: 2, seconds: 120 });
    await sql.unsafe(mend);
    await advance(120_000);
    await runTask(sql, "sweep");
    assert.equal(await aside(name), undefined);
    const [rule] =
      await sql`select r.swept_at = core.now() as swept from ops.retention_rules as r where r.name = ${name}`;
    assert.equal(rule?.swept, true, name);
  }
});

Deno.test("what a rule takes away is counted by the day, once", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await sql`update ops.retention_rules set swept_at = core.now() where name <> 'idempotency_keys'`;
  const swept = async () =>
    (await sql<
      { rows: number }[]
    >`select s.rows::int from ops.swept as s where s.rule = 'idempotency_keys' order by s.day`)
      .map(({ rows }) => rows);
  for (const name of ["one", "two"]) await sweeps.idempotency_keys?.make(sql, name, 0);
  await runTask(sql, "sweep");
  await runTask(sql, "sweep");
  assert.deepEqual(await swept(), [2]);
  await sweeps.idempotency_keys?.make(sql, "three", 0);
  await advance(86_400_000);
  await sql`update ops.retention_rules set swept_at = core.now() where name <> 'idempotency_keys'`;
  await runTask(sql, "sweep");
  assert.deepEqual(await swept(), [2, 1]);
});

Deno.test("a key that may still be replayed stays: no rule is shorter than nothing", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await assert.rejects(sql`update ops.retention_rules set keep = '-1 hour' where name = 'idempotency_keys'`, {
    code: "23514",
  });
  await sweeps.idempotency_keys?.make(sql, "an hour left", -3600);
  await sweeps.idempotency_keys?.make(sql, "over", 0);
  assert.equal(await sweepRule(sql, "idempotency_keys"), 1);
});

Deno.test("rows that somebody has locked are left for the next run", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sweeps.device_lanes?.make(sql, "held", 7200);
  await sweeps.device_lanes?.make(sql, "free", 7200);
  await sql.begin(async (holder) => {
    await holder`select from devices.lanes where network = 'held' for update`;
    assert.equal(await sweepRule(sql, "device_lanes"), 1);
  });
  assert.equal(await sweepRule(sql, "device_lanes"), 1);
});

Deno.test("a deleted job keeps what it said while its files are there", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sweeps.deleted_jobs?.make(sql, "old", 31 * 86_400);
  await sql`update videos.assets set deleted_at = null`;
  assert.equal(await sweepRule(sql, "deleted_jobs"), 0);
});

Deno.test("the last proof that found nothing stays, however old: the next one goes on from it", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sql`
    insert into credits.proofs (proved_until, violations)
    select core.now() - make_interval(days => 100 + n), n % 2 from generate_series(1, 4) as n`;
  assert.equal(await sweepRule(sql, "proofs"), 3);
  const left = await sql`select p.violations::int from credits.proofs as p`;
  assert.deepEqual([...left], [{ violations: 0 }]);
});

Deno.test("the jobs of an erased account are deleted in the end; tombstone, ledger and proof stay", async () => {
  await using database = await testDatabase();
  const { sql, advance } = database;
  const userId = await createGuest(database);
  await closeAccount(sql, userId);
  const other = await completed(sql, "another's");
  await advance(untilErasable);
  const task = await claimErasure(sql, userId);
  assert(task);
  assert.equal(await eraseAccount(sql, task), "erased");
  await advance(91 * 86_400_000);
  assert.equal(await sweepRule(sql, "closed_accounts"), 1);
  assert.deepEqual((await sql`select j.id from videos.jobs as j`).map(({ id }) => id), [other]);
  const [kept] = await sql`
    select r.swept_at is not null as is_swept, u.closed_at is not null as is_tombstone,
      (select count(*)::int from credits.postings as p where p.owner_id = u.id) as postings
    from accounts.erasures as r join accounts.users as u on u.id = r.user_id`;
  assert.deepEqual({ ...kept }, { is_swept: true, is_tombstone: true, postings: 2 });
});

Deno.test("what is wrong with the ledger is in the error log within the hour, and one that is right says nothing", async () => {
  await using database = await testDatabase();
  const { sql, advance } = database;
  const userId = await createGuest(database);
  const found = async () => {
    const rows = await sql<{ context: Record<string, unknown> }[]>`
      select e.context from ops.error_log as e where e.context ->> 'task' = 'prove_ledger' order by e.place`;
    return rows.map(({ context }) => context);
  };
  await tick(sql);
  assert.deepEqual(await found(), []);
  const { id } = await first(sql<{ id: string }[]>`
    select a.id::text from credits.accounts as a where a.owner_id = ${userId}`);
  await sql`
    alter table credits.accounts disable trigger only_by_transfer;
    update credits.accounts set balance = balance + 1 where owner_id is not null;
    alter table credits.accounts enable trigger only_by_transfer;
  `.simple();
  await tick(sql);
  assert.deepEqual(await found(), []);
  await advance(3_601_000);
  await tick(sql);
  const violation = { task: "prove_ledger", subject: id };
  assert.deepEqual(await found(), [
    { ...violation, violation: "balance_differs", details: { balance: 11, entries: 10 } },
    { ...violation, violation: "lots_differ", details: { balance: 11, lots: 10 } },
  ]);
});
