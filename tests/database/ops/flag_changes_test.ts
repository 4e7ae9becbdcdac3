/** Who changes a flag, and how: each change is written down with what was before, and no flag is what it cannot be. */
import assert from "node:assert/strict";
import { createGuest } from "../support/accounts.ts";
import { createAdmin } from "../support/admins.ts";
import { manyConnections, untilBlocked } from "../support/connections.ts";
import { makeFlag, newFlag } from "../support/flags.ts";
import { first } from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { flagdOf, flagsIn, UnsupportedFlags } from "../../../tools/flags/flagd.ts";
import { readFlags } from "../../../tools/flags/stored.ts";

const database = sharedDatabase();
const { sql } = database;

interface Action {
  action: string;
  admin_id: string | null;
  details: { before: unknown; after: unknown };
  reason: string;
  request_id: string | null;
}

async function actionsOn(key: string): Promise<Action[]> {
  const rows = await sql<Action[]>`
    select a.action, a.admin_id, a.details, a.reason, a.request_id from ops.admin_actions as a
    where a.subject = ${`flag ${key}`} order by a.id`;
  return rows.map((row) => ({ ...row }));
}

async function switchFlag(key: string, isEnabled: boolean, adminId: string | null = null): Promise<boolean> {
  const { changed } = await first(sql<{ changed: boolean }[]>`
    select ops.switch_flag(${key}, ${isEnabled}, ${adminId}, 'it is a test') as changed`);
  return changed;
}

async function isOn(key: string): Promise<boolean> {
  return (await first(sql<{ on: boolean }[]>`select ops.is_enabled(${key}) as on`)).on;
}

Deno.test("switching writes down who, why and what was before, and a second time nothing", async () => {
  const admin = await createAdmin(sql);
  assert.equal(await switchFlag("purchases", false, admin), true);
  assert.equal(await isOn("purchases"), false);
  assert.equal(await switchFlag("purchases", false), false);
  assert.equal(await switchFlag("purchases", true), true);
  const by = { action: "switch_flag", reason: "it is a test", request_id: null };
  assert.deepEqual(await actionsOn("purchases"), [
    {
      ...by,
      admin_id: admin,
      details: { before: { is_enabled: true, version: 1 }, after: { is_enabled: false, version: 2 } },
    },
    {
      ...by,
      admin_id: null,
      details: { before: { is_enabled: false, version: 2 }, after: { is_enabled: true, version: 3 } },
    },
  ]);
});

Deno.test("a flag that nobody named is on, and there as soon as it is turned off", async () => {
  assert.equal(await isOn("providers.fal"), true);
  assert.equal(await switchFlag("providers.fal", true), false);
  assert.deepEqual(await actionsOn("providers.fal"), []);
  assert.equal(await switchFlag("providers.fal", false), true);
  assert.equal(await isOn("providers.fal"), false);
  assert.deepEqual((await actionsOn("providers.fal")).map(({ action }) => action), ["switch_flag"]);
});

Deno.test("while grants are switched off no device is marked, and so none is granted", async () => {
  const record = async () => {
    const [user, network] = [await createGuest(database), crypto.randomUUID()];
    const { lane } = await first(sql<{ lane: string }[]>`
      select api.enter_device_lane(${network}) #>> '{data,lane}' as lane`);
    const { answer } = await first(sql<{ answer: { data: { recorded: boolean; retry_after?: number } } }[]>`
      select api.record_device_intent(${user}, ${network}, ${lane}) as answer`);
    return answer.data;
  };
  await switchFlag("grants", false);
  const refused = await record();
  assert.deepEqual([refused.recorded, refused.retry_after], [false, 300]);
  await switchFlag("grants", true);
  assert.equal((await record()).recorded, true);
});

Deno.test("of those who switch at once one changes it", async () => {
  await makeFlag(sql, newFlag({ key: "raced" }));
  const changed = await Promise.all(Array.from({ length: 8 }, () => switchFlag("raced", false)));
  assert.equal(changed.filter(Boolean).length, 1);
  const created = await Promise.all(
    Array.from({ length: 8 }, () => makeFlag(sql, newFlag({ key: "made-at-once" }))),
  );
  assert.equal(created.filter(Boolean).length, 1);
});

Deno.test("what is changed by hand in the database is written down, too, and so is what is deleted", async () => {
  await makeFlag(sql, newFlag({ key: "by-hand" }));
  await sql`update ops.feature_flags set is_enabled = false where key = 'by-hand'`;
  await sql`update ops.feature_flags set is_enabled = false where key = 'by-hand'`;
  await sql`update ops.feature_flags set default_variant = 'off' where key = 'by-hand'`;
  await sql`delete from ops.feature_flags where key = 'by-hand'`;
  const actions = await actionsOn("by-hand");
  assert.deepEqual(actions.map(({ action, details }) => [action, details.before]).slice(1, 3), [
    ["switch_flag", { is_enabled: true, version: 1 }],
    ["change_flag", { default_variant: "on", version: 2 }],
  ]);
  assert.equal(actions.length, 4);
  assert.deepEqual([actions[0]?.details.before, actions[3]?.details.after], [null, null]);
  assert.match(actions[3]?.reason ?? "", /^by \w+ in the database$/);
});

Deno.test("what is made by hand is written down, too, once: a row that is there already tells nothing", async () => {
  for (let time = 0; time < 2; time++) {
    await sql`
      insert into ops.feature_flags (key, is_switch, is_enabled) values ('providers.openai', true, false)
      on conflict (key) do nothing`;
  }
  assert.equal(await isOn("providers.openai"), false);
  const actions = await actionsOn("providers.openai");
  assert.deepEqual(actions.map(({ details: { before } }) => before), [null]);
  assert.match(actions[0]?.reason ?? "", /^by \w+ in the database$/);
  const own = await sql`select from ops.admin_actions as a where a.subject = 'flag sandbox_purchases'`;
  assert.equal(own.length, 0, "what the migrations make is not by hand");
});

Deno.test("of two who turn off what nobody has named, both find it off, and one is written down", async () => {
  await using others = manyConnections(database);
  let second: Promise<boolean> | undefined;
  await others.begin(async (holder) => {
    await holder`select ops.switch_flag('providers.veo', false, null, 'the first')`;
    second = switchFlag("providers.veo", false);
    await untilBlocked(sql);
  });
  assert.equal(await second, false);
  assert.deepEqual((await actionsOn("providers.veo")).map(({ reason }) => reason), ["the first"]);
});

Deno.test("no flag is what cannot be evaluated, whoever writes it", async () => {
  const wrong: Record<string, [change: object, path: string]> = {
    "a variant of another type": [{ variants: { on: true, off: "no" } }, "variants.off"],
    "no variants": [{ variants: {} }, "variants"],
    "variants that are a list": [{ variants: [true] }, "variants"],
    "an unknown default": [{ default_variant: "maybe" }, "default_variant"],
    "an unknown off variant": [{ off_variant: "maybe" }, "off_variant"],
    "rules that are no list": [{ rules: { variant: "on" } }, "rules"],
    "a rule that is none": [{ rules: ["on"] }, "rules[0]"],
    "too many rules": [
      { rules: Array.from({ length: 51 }, () => ({ platforms: ["ios"], variant: "on" })) },
      "rules",
    ],
    "a condition that is unknown": [{ rules: [{ country: ["tr"], variant: "on" }] }, "rules[0].country"],
    "a rule without an end": [{ rules: [{ platforms: ["ios"] }] }, "rules[0]"],
    "a rule with two ends": [
      { rules: [{ variant: "on", split: [{ variant: "on", weight: 1 }] }] },
      "rules[0]",
    ],
    "a variant that is unknown": [{ rules: [{ variant: "maybe" }] }, "rules[0].variant"],
    "a rule that is not reached": [{ rules: [{ variant: "on" }, { variant: "off" }] }, "rules[0]"],
    "no user": [{ rules: [{ users: [], variant: "on" }] }, "rules[0].users"],
    "a user's name": [{ rules: [{ users: ["ada"], variant: "on" }] }, "rules[0].users"],
    "a platform that is no text": [{ rules: [{ platforms: [1], variant: "on" }] }, "rules[0].platforms"],
    "a version that is none": [
      { rules: [{ app_versions: [">=two"], variant: "on" }] },
      "rules[0].app_versions",
    ],
    "no operator": [{ rules: [{ app_versions: ["1.2.3"], variant: "on" }] }, "rules[0].app_versions"],
    "a time that is none": [{ rules: [{ from: "2027-13-01T00:00:00Z", variant: "on" }] }, "rules[0].from"],
    "a time without a zone": [{ rules: [{ until: "2027-01-01T00:00:00", variant: "on" }] }, "rules[0].until"],
    "a time that flagd cannot read": [
      { rules: [{ from: "2027-01-01T00:00:60Z", variant: "on" }] },
      "rules[0].from",
    ],
    "a time finer than flagd's": [
      { rules: [{ until: "2027-01-01T00:00:00.123456Z", variant: "on" }] },
      "rules[0].until",
    ],
    "a split of nothing": [{ rules: [{ split: [{ variant: "on", weight: 0 }] }] }, "rules[0].split"],
    "a weight below zero": [{ rules: [{ split: [{ variant: "on", weight: -1 }] }] }, "rules[0].split"],
    "half a weight": [{ rules: [{ split: [{ variant: "on", weight: 0.5 }] }] }, "rules[0].split"],
    "an unknown share": [{ rules: [{ split: [{ variant: "maybe", weight: 1 }] }] }, "rules[0].split"],
    "a switch with rules": [{ is_switch: true, rules: [{ platforms: ["ios"], variant: "off" }] }, "rules"],
  };
  for (const [what, [change, path]] of Object.entries(wrong)) {
    const definition = { ...newFlag({ key: "wrong" }), ...change };
    const row = JSON.parse(JSON.stringify({ ...definition, version: 1 }));
    const { faults } = await first(sql<{ faults: { path: string; message: string }[] }[]>`
      select ops.flag_faults(jsonb_populate_record(null::ops.feature_flags, ${sql.json(row)})) as faults`);
    assert(faults.some((fault) => fault.path === path), `${what}: ${JSON.stringify(faults)}`);
    for (const { message } of faults) assert.match(message, /^[A-Z].+[^.]$/, what);
    await assert.rejects(makeFlag(sql, definition), { code: "22023" }, what);
    await assert.rejects(
      sql`insert into ops.feature_flags
        select (jsonb_populate_record(null::ops.feature_flags, ${sql.json(row)})).*`,
      { code: "22023" },
      what,
    );
  }
  assert.deepEqual(await actionsOn("wrong"), []);
});

Deno.test("what is exported is imported as it was: the switches, and flags with all that a rule can say", async () => {
  await makeFlag(
    sql,
    newFlag({
      key: "all-of-it",
      type: "object",
      variants: { small: { width: 1, nested: { none: null } }, large: { width: 2 } },
      default_variant: "small",
      off_variant: null,
      is_experiment: true,
      description: "A description",
      rules: [
        { users: [crypto.randomUUID(), crypto.randomUUID()], variant: "large" },
        {
          platforms: ["ios", "ipados"],
          locales: ["tr"],
          app_versions: [">=1.2.0", "<2.0.0-beta.1", "!=1.5.0"],
          from: "2026-12-01T00:00:00.000Z",
          until: "2027-01-01T00:00:00.000Z",
          split: [{ variant: "large", weight: 10 }, { variant: "small", weight: 90 }],
        },
        { variant: "small" },
      ],
    }),
  );
  await makeFlag(sql, newFlag({ key: "one-rule", is_enabled: false, rules: [{ variant: "off" }] }));
  await makeFlag(sql, newFlag({ key: "one-split", rules: [{ split: [{ variant: "off", weight: 1 }] }] }));
  const stored = await readFlags(sql);
  const text = JSON.stringify(flagdOf(stored));
  assert.deepEqual(flagsIn(JSON.parse(text)), stored);
  for (const definition of flagsIn(JSON.parse(text))) {
    assert.equal(await makeFlag(sql, definition), false, `${definition.key} is as it was`);
  }
  assert.equal(JSON.stringify(flagdOf(await readFlags(sql))), text);
});

Deno.test("what is not supported of flagd's JSON is refused, with every place", () => {
  const variants = { on: true, off: false };
  const flag = { state: "ENABLED", variants, defaultVariant: "on" };
  const targeting = (targeting: unknown) => ({ ...flag, targeting });
  const platform = { var: "platform" };
  const refused: Record<string, [document: unknown, place: string]> = {
    "no flags": [{}, "flags"],
    "evaluators": [{ flags: {}, $evaluators: {} }, "$evaluators"],
    "a key": [{ flags: { "a b": flag } }, "flags.a b"],
    "a state": [{ flags: { a: { ...flag, state: "ON" } } }, "flags.a.state"],
    "variants of two types": [
      { flags: { a: { ...flag, variants: { on: 1, off: "" } } } },
      "flags.a.variants",
    ],
    "a default": [{ flags: { a: { ...flag, defaultVariant: null } } }, "flags.a.defaultVariant"],
    "metadata": [{ flags: { a: { ...flag, metadata: { team: "x" } } } }, "flags.a.metadata.team"],
    "another member": [{ flags: { a: { ...flag, source: "x" } } }, "flags.a.source"],
    "another operation": [{ flags: { a: targeting({ cat: ["o", "n"] }) } }, "flags.a.targeting"],
    "starts_with": [
      { flags: { a: targeting({ if: [{ starts_with: [platform, "i"] }, "on"] }) } },
      "flags.a.targeting.if[0]",
    ],
    "another attribute": [
      { flags: { a: targeting({ if: [{ in: [{ var: "email" }, ["a"]] }, "on"] }) } },
      "flags.a.targeting.if[0]",
    ],
    "an or": [
      { flags: { a: targeting({ if: [{ and: [{ or: [] }] }, "on"] }) } },
      "flags.a.targeting.if[0].and[0]",
    ],
    "two conditions about one": [
      {
        flags: {
          a: targeting({ if: [{ and: [{ in: [platform, ["a"]] }, { in: [platform, ["b"]] }] }, "on"] }),
        },
      },
      "flags.a.targeting.if[0].and[1]",
    ],
    "a variant": [{ flags: { a: targeting({ if: [true, "maybe"] }) } }, "flags.a.targeting.if[1]"],
    "an if within": [
      { flags: { a: targeting({ if: [true, { if: [true, "on"] }] }) } },
      "flags.a.targeting.if[1]",
    ],
    "a bucket key": [
      { flags: { a: targeting({ fractional: [{ var: "email" }, ["on", 1]] }) } },
      "flags.a.targeting.fractional[0]",
    ],
    "an and of nothing, which holds for nobody": [
      { flags: { a: targeting({ if: [{ and: [] }, "on"] }) } },
      "flags.a.targeting.if[0]",
    ],
    "what a variable is where it is missing": [
      { flags: { a: targeting({ if: [{ in: [{ var: ["platform", "ios"] }, ["ios"]] }, "on"] }) } },
      "flags.a.targeting.if[0]",
    ],
    "an operator of versions": [
      { flags: { a: targeting({ if: [{ sem_ver: [{ var: "app_version" }, ">", "=1.0.0"] }, "on"] }) } },
      "flags.a.targeting.if[0]",
    ],
    "a time that is none": [
      { flags: { a: targeting({ if: [{ ">=": [{ var: "$flagd.timestamp" }, 1e20] }, "on"] }) } },
      "flags.a.targeting.if[0]",
    ],
    "a part of a millisecond": [
      { flags: { a: targeting({ if: [{ "<": [{ var: "$flagd.timestamp" }, 1.0005] }, "on"] }) } },
      "flags.a.targeting.if[0]",
    ],
    "more than a bucket's weight": [
      { flags: { a: targeting({ fractional: [["on", 1, "more"]] }) } },
      "flags.a.targeting.fractional[0]",
    ],
    "metadata that are none": [{ flags: { a: { ...flag, metadata: 5 } } }, "flags.a.metadata"],
    "a switch that is a text": [
      { flags: { a: { ...flag, metadata: { isSwitch: "true" } } } },
      "flags.a.metadata.isSwitch",
    ],
    "an experiment that is a number": [
      { flags: { a: { ...flag, metadata: { isExperiment: 1 } } } },
      "flags.a.metadata.isExperiment",
    ],
    "a description that is a number": [
      { flags: { a: { ...flag, metadata: { description: 5 } } } },
      "flags.a.metadata.description",
    ],
    "a weight": [
      { flags: { a: targeting({ fractional: [["on", 0.5]] }) } },
      "flags.a.targeting.fractional[0]",
    ],
  };
  for (const [what, [document, place]] of Object.entries(refused)) {
    assert.throws(() => flagsIn(document), (error: unknown) => {
      assert(error instanceof UnsupportedFlags, what);
      assert(error.problems.some((problem) => problem.startsWith(`${place}: `)), `${what}: ${error.message}`);
      return true;
    });
  }
  const both = { flags: { a: { ...flag, state: "x" }, b: { ...flag, state: "x" } } };
  assert.throws(() => flagsIn(both), (error: unknown) => {
    assert(error instanceof UnsupportedFlags);
    return assert.equal(error.problems.length, 2) === undefined;
  });
});

Deno.test("flagd's shorthands are read: ==, no weights, a fractional alone, an else", () => {
  const flag = { state: "ENABLED", variants: { on: true, off: false }, defaultVariant: "on" };
  const rulesOf = (targeting: unknown) => flagsIn({ flags: { a: { ...flag, targeting } } })[0]?.rules;
  assert.deepEqual(rulesOf({}), []);
  assert.deepEqual(rulesOf({ fractional: [["on"], ["off"]] }), [
    { split: [{ variant: "on", weight: 1 }, { variant: "off", weight: 1 }] },
  ]);
  assert.deepEqual(rulesOf({ if: [{ "==": [{ var: ["platform"] }, "ios"] }, "on", "off"] }), [
    { platforms: ["ios"], variant: "on" },
    { variant: "off" },
  ]);
  assert.deepEqual(rulesOf({ if: [{ "==": [{ var: "platform" }, "ios"] }, "on", null] }), [
    { platforms: ["ios"], variant: "on" },
  ]);
});
