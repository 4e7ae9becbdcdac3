/** What a value means by its rule: when an alert begins, becomes worse and ends, and what is done meanwhile. */
import assert from "node:assert/strict";
import postgres from "postgres";
import type { TestDatabase } from "../harness.ts";
import { createAdmin } from "../support/admins.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { manyConnections, untilBlocked } from "../support/connections.ts";
import { first, type Sql } from "../support/ledger.ts";
import { takeOne } from "../support/rate-limits.ts";
import {
  alertsOf,
  evaluate,
  makeRule,
  setMeasured,
  statesOf,
  takeOverMetrics,
  toldOf,
} from "../support/alerts.ts";

async function open(): Promise<TestDatabase> {
  const database = await stillDatabase();
  await takeOverMetrics(database.sql);
  return database;
}

async function isOn(sql: Sql, flag: string): Promise<boolean> {
  return (await first(sql<{ on: boolean }[]>`select ops.is_enabled(${flag}) as on`)).on;
}

async function limitNow(sql: Sql, policy: string): Promise<number> {
  return (await takeOne(sql, policy, { network: "192.0.2.9" })).limit;
}

Deno.test("an alert becomes worse and never milder, ends when it was well for so long, and each change is told", async () => {
  await using database = await open();
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
    await using database = await open();
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
  await using database = await open();
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
  await using database = await open();
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
  await using database = await open();
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
  await using database = await open();
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
  await using database = await open();
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

Deno.test("throttle lowers the named limits, as every answer says, and gives them back by itself", async () => {
  await using database = await open();
  const { sql } = database;
  const full = {
    reads: await limitNow(sql, "reads"),
    network: await limitNow(sql, "generation_attempts_network"),
  };
  await makeRule(sql, "own", "queue_seconds", {
    action: "throttle",
    policies: ["reads", "generation_attempts_network"],
    percent: 25,
    okFor: "2 minutes",
  });
  await setMeasured(sql, "queue_seconds", 6);
  await evaluate(database);
  assert.equal(await limitNow(sql, "reads"), full.reads, "a warning tells, and does nothing");
  await setMeasured(sql, "queue_seconds", 12);
  await evaluate(database);
  assert.equal(await limitNow(sql, "reads"), full.reads / 4);
  assert.equal(await limitNow(sql, "generation_attempts_network"), full.network / 4);

  // What is admitted is what is said.
  const userId = crypto.randomUUID();
  const taken = [];
  for (let time = 0; time <= full.reads / 4; time++) taken.push(await takeOne(sql, "reads", { userId }));
  assert.deepEqual(taken.map(({ allowed }) => allowed).lastIndexOf(true), full.reads / 4 - 1);
  assert.deepEqual([taken.at(-1)?.limit, taken.at(-1)?.remaining], [full.reads / 4, 0]);

  await setMeasured(sql, "queue_seconds", 0);
  await evaluate(database, 4);
  assert.equal(await limitNow(sql, "reads"), full.reads);
  assert.deepEqual([...await sql`select from ops.alert_actions`], []);
});

Deno.test("no rule, and no number of them, leaves less than a tenth of a limit, nor none of one", async () => {
  await using database = await open();
  const { sql } = database;
  await assert.rejects(
    makeRule(sql, "too_much", "queue_seconds", { action: "throttle", policies: ["reads"], percent: 9 }),
    { code: "23514" },
  );
  for (const [name, percent] of [["a", 10], ["b", 50], ["c", 10]] as const) {
    await makeRule(sql, name, "queue_seconds", {
      action: "throttle",
      policies: ["reads", "exports"],
      percent,
    });
  }
  await setMeasured(sql, "queue_seconds", 100);
  await evaluate(database, 3);
  assert.equal(await limitNow(sql, "reads"), 12, "10 % of 120, and not 10 % of 50 % of 10 % of it");
  assert.equal(await limitNow(sql, "exports"), 1, "one a day stays one a day");
});

Deno.test("what two rules do is undone with the second of them; the stricter one counts until then", async () => {
  await using database = await open();
  const { sql } = database;
  const full = await limitNow(sql, "reads");
  const okFor = "1 minute";
  await makeRule(sql, "a", "grants", { action: "throttle", policies: ["reads"], percent: 20, okFor });
  await makeRule(sql, "b", "queue_seconds", { action: "throttle", policies: ["reads"], percent: 50, okFor });
  await makeRule(sql, "c", "grants", { action: "shutdown", flags: ["generation"], okFor });
  await makeRule(sql, "d", "queue_seconds", { action: "shutdown", flags: ["generation"], okFor });
  await setMeasured(sql, "grants", 100);
  await setMeasured(sql, "queue_seconds", 100);
  await evaluate(database);
  assert.deepEqual([await limitNow(sql, "reads"), await isOn(sql, "generation")], [full / 5, false]);
  await setMeasured(sql, "grants", 0);
  await evaluate(database, 3);
  assert.deepEqual([await limitNow(sql, "reads"), await isOn(sql, "generation")], [full / 2, false]);
  await setMeasured(sql, "queue_seconds", 0);
  await evaluate(database, 3);
  assert.deepEqual([await limitNow(sql, "reads"), await isOn(sql, "generation")], [full, true]);
});

Deno.test("shutdown turns flags off, writes down that it did, and turns on again only what it turned off", async () => {
  await using database = await open();
  const { sql } = database;
  await sql`select ops.switch_flag('grants', false, null, 'by hand')`;
  await makeRule(sql, "own", "provider_failures", {
    action: "shutdown",
    flags: ["generation", "grants", "providers.{subject}"],
    okFor: "1 minute",
  });
  await setMeasured(sql, "provider_failures", 12, "fal");
  await evaluate(database, 2);
  const flags = ["generation", "grants", "providers.fal", "providers.runway", "purchases"];
  const read = async () =>
    Object.fromEntries(await Promise.all(flags.map(async (flag) => [flag, await isOn(sql, flag)])));
  assert.deepEqual(await read(), {
    generation: false,
    grants: false,
    "providers.fal": false,
    "providers.runway": true,
    purchases: true,
  });
  const { admitted } = await first(sql<{ admitted: string | null }[]>`
    select videos.admit_submission('fal', 1)::text as admitted`);
  assert.equal(admitted, null, "a provider that is switched off gets no job");

  await setMeasured(sql, "provider_failures", 0, "fal");
  await evaluate(database, 3);
  assert.deepEqual(await read(), {
    generation: true,
    grants: false,
    "providers.fal": true,
    "providers.runway": true,
    purchases: true,
  });
  const written = await sql<{ subject: string; after: boolean; reason: string }[]>`
    select a.subject, (a.details #>> '{after,is_enabled}')::boolean as after, a.reason from ops.admin_actions as a
    where a.action = 'switch_flag' and a.reason like '%own%' order by a.id`;
  assert.deepEqual(written.map(({ subject, after }) => [subject, after]), [
    ["flag generation", false],
    ["flag providers.fal", false],
    ["flag generation", true],
    ["flag providers.fal", true],
  ]);
});

Deno.test("what somebody decides about a flag while a rule has it off stays so when the rule is over", async (test) => {
  for (
    const [said, expected] of [[[false], false], [[true, false], false], [[true], true], [[], true]] as const
  ) {
    await test.step(
      said.length === 0 ? "nothing" : said.map((on) => on ? "on" : "off").join(", then "),
      async () => {
        await using database = await open();
        const { sql } = database;
        const admin = await createAdmin(sql);
        await makeRule(sql, "own", "ledger_violations", {
          action: "shutdown",
          flags: ["generation", "purchases"],
          okFor: "1 minute",
        });
        await setMeasured(sql, "ledger_violations", 12);
        await evaluate(database);
        for (const on of said) {
          // By the two ways that there are.
          await sql`select ops.switch_flag('purchases', ${on}, null, 'by hand')`;
          const { answer } = await first(sql<{ answer: Record<string, unknown> }[]>`
          select api.patch_admin_flags(${admin}, 'a-request', 'generation', 'by an admin', ${on}) as answer`);
          assert.equal("data" in answer, true, JSON.stringify(answer));
          await evaluate(database);
        }
        await setMeasured(sql, "ledger_violations", 0);
        await evaluate(database, 3);
        assert.deepEqual([await isOn(sql, "purchases"), await isOn(sql, "generation")], [expected, expected]);
      },
    );
  }
});

Deno.test("a flag that was decided about and that another rule turned off since is on when all rules are over", async () => {
  await using database = await open();
  const { sql } = database;
  for (const [name, metric] of [["one", "queue_seconds"], ["other", "grants"]] as const) {
    await makeRule(sql, name, metric, { action: "shutdown", flags: ["generation"], okFor: "1 minute" });
  }
  await setMeasured(sql, "queue_seconds", 12);
  await evaluate(database);
  await sql`select ops.switch_flag('generation', true, null, 'by hand')`;
  await setMeasured(sql, "grants", 12);
  await evaluate(database);
  assert.equal(await isOn(sql, "generation"), false);
  await setMeasured(sql, "grants", 0);
  await evaluate(database, 3);
  assert.equal(await isOn(sql, "generation"), false, "the first goes on");
  await setMeasured(sql, "queue_seconds", 0);
  await evaluate(database, 3);
  assert.equal(await isOn(sql, "generation"), true);
});

Deno.test("what an operator turned on and off again while a rule had it off stays off when the rule is over", async () => {
  await using database = await open();
  const { sql } = database;
  await makeRule(sql, "own", "queue_seconds", {
    action: "shutdown",
    flags: ["generation"],
    okFor: "1 minute",
  });
  await setMeasured(sql, "queue_seconds", 100);
  await evaluate(database);
  assert.equal(await isOn(sql, "generation"), false);
  await sql`select ops.switch_flag('generation', true, null, 'it has to be on')`;
  await evaluate(database);
  assert.equal(await isOn(sql, "generation"), true, "the rule does not do it twice");
  await sql`update ops.feature_flags set is_enabled = false where key = 'generation'`;
  await setMeasured(sql, "queue_seconds", 0);
  await evaluate(database, 3);
  assert.equal(await isOn(sql, "generation"), false);
  assert.equal((await sql`select from ops.alert_actions`).length, 0);
});

Deno.test("of two rules that had a flag off, the last to end turns it on, though it was off before the first", async () => {
  await using database = await open();
  const { sql } = database;
  for (const order of [["first", "second"], ["second", "first"]] as const) {
    const metrics = { first: "grants", second: "queue_seconds" } as const;
    await sql`select ops.switch_flag('purchases', false, null, 'off before')`;
    for (const name of ["first", "second"] as const) {
      const rule = `${name}_of_${order[0]}`;
      await makeRule(sql, rule, metrics[name], {
        action: "shutdown",
        flags: ["purchases"],
        okFor: "1 minute",
      });
      await setMeasured(sql, metrics[name], 100);
      await evaluate(database);
      // What the first found off is turned on before the second turns it off.
      if (name === "first") await sql`select ops.switch_flag('purchases', true, null, 'on again')`;
    }
    assert.equal(await isOn(sql, "purchases"), false);
    for (const name of order) {
      assert.equal(await isOn(sql, "purchases"), false, `${order}: before ${name} ends`);
      await setMeasured(sql, metrics[name], 0);
      await evaluate(database, 10);
    }
    assert.equal(await isOn(sql, "purchases"), true, `${order}`);
    await sql`update ops.alert_rules set is_enabled = false where name like '%of%'`;
  }
});

Deno.test("an operator who turns a flag on and a rule that undoes what it did to it wait for each other in one order", async () => {
  await using database = await open();
  await using others = manyConnections(database);
  const { sql } = database;
  await makeRule(sql, "own", "queue_seconds", {
    action: "shutdown",
    flags: ["generation"],
    okFor: "1 minute",
  });
  await setMeasured(sql, "queue_seconds", 100);
  await evaluate(database);
  let undone: Promise<unknown> | undefined;
  await others.begin(async (operator) => {
    await operator`select from ops.feature_flags as f where f.key = 'generation' for update`;
    undone = (async () => await others`select ops.undo('own', 'it')`)();
    await untilBlocked(sql);
    await operator`set local lock_timeout = '1s'`;
    await operator`select ops.switch_flag('generation', true, null, 'by hand')`;
    await operator`select ops.switch_flag('generation', false, null, 'by hand')`;
  });
  await undone;
  assert.equal(await isOn(sql, "generation"), false, "the operator has said so last");
});

Deno.test("what is pinned stays until it is not; what a rule that was switched off had done does not", async () => {
  await using database = await open();
  const { sql } = database;
  await makeRule(sql, "own", "queue_seconds", {
    action: "shutdown",
    flags: ["purchases"],
    okFor: "1 minute",
    isPinned: true,
  });
  await makeRule(sql, "other", "queue_seconds", {
    action: "throttle",
    policies: ["writes"],
    okFor: "1 minute",
  });
  const full = await limitNow(sql, "writes");
  await setMeasured(sql, "queue_seconds", 100);
  await evaluate(database);
  await sql`update ops.alert_rules set is_enabled = false where name = 'other'`;
  await setMeasured(sql, "queue_seconds", 0);
  await evaluate(database, 10);
  assert.deepEqual((await alertsOf(sql, "own")).map(({ is_open }) => is_open), [false]);
  assert.deepEqual([await isOn(sql, "purchases"), await limitNow(sql, "writes")], [false, full]);
  await assert.rejects(async () => await sql`delete from ops.alert_rules where name = 'own'`, {
    code: "23503",
  });
  await sql`update ops.alert_rules set is_pinned = false where name = 'own'`;
  await evaluate(database);
  assert.equal(await isOn(sql, "purchases"), true);
});

Deno.test("a rule that is pinned and switched off keeps what it did until it is pinned no more", async () => {
  await using database = await open();
  const { sql } = database;
  await makeRule(sql, "own", "queue_seconds", { action: "shutdown", flags: ["purchases"], isPinned: true });
  await setMeasured(sql, "queue_seconds", 100);
  await evaluate(database);
  await sql`update ops.alert_rules set is_enabled = false where name = 'own'`;
  await evaluate(database, 3);
  assert.equal(await isOn(sql, "purchases"), false);
  await sql`update ops.alert_rules set is_pinned = false where name = 'own'`;
  await evaluate(database);
  assert.equal(await isOn(sql, "purchases"), true);
  await sql`delete from ops.alert_rules where name = 'own'`;
});

Deno.test("a rule that several clocks evaluate at once is evaluated once, and acts once", async () => {
  await using database = await open();
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
  await using database = await open();
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
  await using database = await open();
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

Deno.test("no rule throttles the limits of admins, which the owner alone changes", async () => {
  await using database = await open();
  const { sql } = database;
  const admin = await createAdmin(sql);
  await makeRule(sql, "own", "queue_seconds");
  for (const policies of [["admin"], ["reads", "admin_credits"], ["reads"]]) {
    const { answer } = await first(sql<{ answer: { error?: string } }[]>`
      select api.patch_admin_alerts(
        ${admin}, 'a-request', 'a reason', p_rule => 'own', p_action => 'throttle', p_policies => ${policies}
      ) as answer`);
    assert.equal(answer.error, policies.join() === "reads" ? undefined : "ERR_4008", policies.join());
  }
  await assert.rejects(
    makeRule(sql, "by_hand", "grants", { action: "throttle", policies: ["admin"] }),
    /limits_of_admins/,
  );
});

Deno.test("whoever cannot say what an alert is about raises it all the same, and fails by nothing", async () => {
  await using database = await open();
  const { sql } = database;
  for (const subject of [null, "", "x".repeat(400)]) {
    await sql`select ops.raise_alert('own', ${subject}, ${subject === "" ? null : sql.json({})})`;
  }
  assert.deepEqual((await alertsOf(sql, "own")).map(({ subject }) => subject), ["unknown", "x".repeat(300)]);
});
