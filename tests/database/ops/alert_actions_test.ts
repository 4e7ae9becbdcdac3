/** What is done while a rule is met, and undone after it: limits that are lowered, flags that are turned off. */
import assert from "node:assert/strict";
import { createAdmin } from "../support/admins.ts";
import { manyConnections, untilBlocked } from "../support/connections.ts";
import { first, type Sql } from "../support/ledger.ts";
import { takeOne } from "../support/rate-limits.ts";
import { alertDatabase, alertsOf, evaluate, makeRule, setMeasured } from "../support/alerts.ts";

async function isOn(sql: Sql, flag: string): Promise<boolean> {
  return (await first(sql<{ on: boolean }[]>`select ops.is_enabled(${flag}) as on`)).on;
}

async function limitNow(sql: Sql, policy: string): Promise<number> {
  return (await takeOne(sql, policy, { network: "192.0.2.9" })).limit;
}

Deno.test("throttle lowers the named limits, as every answer says, and gives them back by itself", async () => {
  await using database = await alertDatabase();
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
  await using database = await alertDatabase();
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
  await using database = await alertDatabase();
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
  await using database = await alertDatabase();
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
        await using database = await alertDatabase();
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
  await using database = await alertDatabase();
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
  await using database = await alertDatabase();
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
  await using database = await alertDatabase();
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
  await using database = await alertDatabase();
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
  await using database = await alertDatabase();
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
  await using database = await alertDatabase();
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

Deno.test("no rule throttles the limits of admins, which the owner alone changes", async () => {
  await using database = await alertDatabase();
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
