/** What a value means by its rule: when an alert begins, becomes worse and ends. */
import assert from "node:assert/strict";
import postgres from "postgres";
import {
  alertDatabase,
  alertsOf,
  evaluate,
  makeRule,
  setMeasured,
  statesOf,
  toldOf,
} from "../support/alerts.ts";

Deno.test("an alert becomes worse and never milder, ends when it was well for so long, and each change is told", async () => {
  await using database = await alertDatabase();
  const { sql } = database;
  await makeRule(sql, "own", "queue_seconds");
  for (const value of [0, 5, 12, 6, 12]) {
    await setMeasured(sql, "queue_seconds", value);
    await evaluate(database);
  }
  assert.deepEqual(await alertsOf(sql, "own"), [
    { rule: "own", subject: "it", level: "critical", value: 12, threshold: 10, is_open: true },
  ]);
  await setMeasured(sql, "queue_seconds", 1);
  await evaluate(database, 9);
  assert.deepEqual((await alertsOf(sql, "own")).map(({ is_open, value }) => [is_open, value]), [[true, 1]]);
  await evaluate(database, 2);
  assert.deepEqual((await alertsOf(sql, "own")).map(({ is_open }) => is_open), [false]);
  assert.deepEqual(await statesOf(sql, "own"), ["warning", "critical", "ok"]);
  assert.deepEqual(await toldOf(sql, "own"), ["raised warning", "raised critical", "resolved critical"]);
});

for (const [isLowBad, bad, well] of [[false, 7, 4.99], [true, 4, 5.01]] as const) {
  Deno.test(`a value that crosses its bound ten times within its time is one alert, where ${isLowBad ? "low" : "high"} is bad`, async () => {
    await using database = await alertDatabase();
    const { sql } = database;
    await makeRule(sql, "own", "queue_seconds", { isLowBad, warning: 5, critical: isLowBad ? 1 : 10 });
    for (let crossing = 0; crossing < 10; crossing++) {
      await setMeasured(sql, "queue_seconds", crossing % 2 === 0 ? bad : well);
      await evaluate(database);
    }
    assert.equal((await alertsOf(sql, "own")).length, 1);
    assert.deepEqual(await toldOf(sql, "own"), ["raised warning"]);
  });
}

Deno.test("what is bad again within the cooldown is raised when that is over", async () => {
  await using database = await alertDatabase();
  const { sql } = database;
  await makeRule(sql, "own", "queue_seconds", { okFor: "1 minute", cooldown: "10 minutes" });
  await setMeasured(sql, "queue_seconds", 7);
  await evaluate(database);
  await setMeasured(sql, "queue_seconds", 0);
  await evaluate(database, 2);
  await setMeasured(sql, "queue_seconds", 7);
  await evaluate(database, 7);
  assert.equal((await alertsOf(sql, "own")).length, 1);
  await evaluate(database, 3);
  assert.deepEqual((await alertsOf(sql, "own")).map(({ is_open }) => is_open), [false, true]);
});

Deno.test("each subject has an alert of its own, and one that is measured no more is well", async () => {
  await using database = await alertDatabase();
  const { sql } = database;
  await makeRule(sql, "own", "dead_letters", { okFor: "2 minutes" });
  for (const subject of ["store", "submit", "poll"]) await setMeasured(sql, "dead_letters", 6, subject);
  await setMeasured(sql, "dead_letters", 2, "cancel");
  await evaluate(database);
  await sql`delete from testing.measured where subject = 'store'`;
  await evaluate(database, 4);
  const alerts = await alertsOf(sql, "own");
  assert.deepEqual(
    Object.fromEntries(alerts.map(({ subject, is_open }) => [subject, is_open])),
    { store: false, submit: true, poll: true },
  );
});

Deno.test("of what an admin has acknowledged nothing more is told until it is over, and then anew", async () => {
  await using database = await alertDatabase();
  const { sql } = database;
  await makeRule(sql, "own", "queue_seconds", { okFor: "1 minute" });
  await setMeasured(sql, "queue_seconds", 6);
  await evaluate(database);
  const acknowledge = () => sql`select ops.acknowledge_alert(a.id, true) from ops.open_alerts as a`;
  await acknowledge();
  await acknowledge();
  await setMeasured(sql, "queue_seconds", 20);
  await evaluate(database, 3);
  await setMeasured(sql, "queue_seconds", 0);
  await evaluate(database, 3);
  await setMeasured(sql, "queue_seconds", 6);
  await evaluate(database);
  assert.deepEqual(await statesOf(sql, "own"), ["warning", "acknowledged", "critical", "ok", "warning"]);
  assert.deepEqual(await toldOf(sql, "own"), [
    "raised warning",
    "acknowledged warning",
    "resolved critical",
    "raised warning",
  ]);
});

Deno.test("a broken rule is an alert about itself, stops no other, and is well when it is mended", async () => {
  await using database = await alertDatabase();
  const { sql } = database;
  await sql.unsafe(`
    create or replace function ops.measure(p_metric ops.alert_metric, p_window interval)
    returns setof ops.measurement language plpgsql volatile as $$ begin
      if p_metric = 'grants' then perform 1 / (select 0); end if;
      if p_metric = 'credits_given' then assert false; end if;
      if p_metric = 'spending_percent' then perform from gone.away; end if;
      return query select m.subject, m.value from testing.measured as m where m.metric = p_metric;
    end $$`);
  for (
    const [name, metric] of [["a_divides", "grants"], ["b_asserts", "credits_given"], [
      "c_missing",
      "spending_percent",
    ]]
  ) {
    await makeRule(sql, name ?? "", metric ?? "");
  }
  await makeRule(sql, "z_works", "queue_seconds");
  await setMeasured(sql, "queue_seconds", 6);
  await evaluate(database);
  assert.equal((await alertsOf(sql, "z_works")).length, 1);
  const broken = await alertsOf(sql, "alert_rule");
  assert.deepEqual(broken.map(({ subject }) => subject).sort(), ["a_divides", "b_asserts", "c_missing"]);
  await evaluate(database, 3);
  assert.equal((await alertsOf(sql, "alert_rule")).length, 3);

  await sql.unsafe(`
    create or replace function ops.measure(p_metric ops.alert_metric, p_window interval)
    returns setof ops.measurement language sql volatile as $$
      select m.subject, m.value from testing.measured as m where m.metric = p_metric $$`);
  await evaluate(database);
  assert(!(await alertsOf(sql, "alert_rule")).some(({ is_open }) => is_open));
});

Deno.test("a rule that never comes back is ended with its session, and the others are evaluated all the same", async () => {
  await using database = await alertDatabase();
  const { sql, advance } = database;
  await sql.unsafe(`
    create or replace function ops.measure(p_metric ops.alert_metric, p_window interval)
    returns setof ops.measurement language plpgsql volatile as $$ begin
      if p_metric = 'grants' then perform pg_sleep(60); end if;
      return query select m.subject, m.value from testing.measured as m where m.metric = p_metric;
    end $$;
    update core.scheduled_tasks set time_limit = '1 second' where name = 'evaluate_alert_rules';`).simple();
  await makeRule(sql, "a_hangs", "grants");
  await makeRule(sql, "z_works", "queue_seconds");
  await setMeasured(sql, "queue_seconds", 6);
  await advance(61_000);
  for (let round = 0; round < 3; round++) {
    const clock = postgres(database.url, { max: 1, onnotice: () => {} });
    await clock`call core.run_task('evaluate_alert_rules')`.catch(() => {});
    await clock.end({ timeout: 1 });
    await advance(15_000);
  }
  assert.equal((await alertsOf(sql, "z_works")).length, 1);
  assert.deepEqual((await alertsOf(sql, "scheduled_task")).map(({ subject }) => subject), [
    "evaluate_alert_rules",
  ]);
  // It has not been evaluated for long.
  await sql`update ops.alert_rules set evaluated_at = core.now() where name = 'a_hangs'`;
  await advance(11 * 60_000);
  await sql`select ops.watch_alerts()`;
  assert.deepEqual((await alertsOf(sql, "alert_rule")).map(({ subject }) => subject), ["a_hangs", "z_works"]);
});

Deno.test("a rule that several clocks evaluate at once is evaluated once, and acts once", async () => {
  await using database = await alertDatabase();
  const { sql, advance } = database;
  await makeRule(sql, "own", "queue_seconds", { action: "shutdown", flags: ["grants"] });
  await setMeasured(sql, "queue_seconds", 100);
  await advance(61_000);
  await Promise.all(Array.from({ length: 8 }, async () => await sql`select ops.evaluate_rule('own')`));
  assert.deepEqual(await toldOf(sql, "own"), ["raised critical"]);
  const switched = await sql`select from ops.admin_actions as a where a.action = 'switch_flag'`;
  assert.equal(switched.length, 1);
});

Deno.test("what was met is over an hour after it was met last, which is told", async () => {
  await using database = await alertDatabase();
  const { sql } = database;
  for (let time = 0; time < 3; time++) {
    await sql`select ops.raise_alert('provider_refuses', 'fal', '{}')`;
    await evaluate(database, 30);
  }
  assert.deepEqual(await toldOf(sql, "provider_refuses"), ["raised warning"]);
  await evaluate(database, 31);
  assert.deepEqual(await toldOf(sql, "provider_refuses"), ["raised warning", "resolved warning"]);
  await sql`select ops.raise_alert('provider_refuses', 'fal', '{}')`;
  assert.deepEqual((await alertsOf(sql, "provider_refuses")).map(({ is_open }) => is_open), [false, true]);
});

Deno.test("a metric is one of a closed set, and so are the flags that a rule may turn off", async () => {
  await using database = await alertDatabase();
  const { sql } = database;
  for (const metric of ["pg_sleep", "ops.measure", "select 1", ""]) {
    await assert.rejects(makeRule(sql, "own", metric), { code: "22P02" }, metric);
  }
  const no = [
    "processing_consent",
    "generation generation2",
    "providers.",
    "providers.FAL",
    "{subject}",
    "anything",
  ];
  for (const flag of no) {
    await assert.rejects(makeRule(sql, "own", "grants", { action: "shutdown", flags: [flag] }), {
      code: "23514",
    }, flag);
  }
  for (const action of ["throttle", "shutdown"] as const) {
    await assert.rejects(makeRule(sql, "own", "grants", { action }), { code: "23514" });
  }
});

Deno.test("whoever cannot say what an alert is about raises it all the same, and fails by nothing", async () => {
  await using database = await alertDatabase();
  const { sql } = database;
  for (const subject of [null, "", "x".repeat(400)]) {
    await sql`select ops.raise_alert('own', ${subject}, ${subject === "" ? null : sql.json({})})`;
  }
  assert.deepEqual((await alertsOf(sql, "own")).map(({ subject }) => subject), ["unknown", "x".repeat(300)]);
});
