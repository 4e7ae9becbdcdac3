/** What a flag is for whom: as flagd's own library has it, for the same definitions, and what it says where it cannot tell. */
import assert from "node:assert/strict";
import { FlagdCore } from "@openfeature/flagd-core";
import type { JsonObject, JsonValue } from "../../../supabase/functions/_shared/platform/json.ts";
import { type FlagDefinition, flagdOf } from "../../../tools/flags/flagd.ts";
import { runs } from "../../runs.ts";
import { first } from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { makeFlag, newFlag } from "../support/flags.ts";

const database = sharedDatabase();
const { sql } = database;

interface Evaluated {
  value: JsonValue;
  variant: string | null;
  reason: string;
  detail: string | null;
}

async function flag(key: string, userId: string | null, context: JsonObject = {}): Promise<Evaluated> {
  const { evaluated } = await first(sql<{ evaluated: Evaluated }[]>`
    select to_jsonb(ops.flag(${key}, ${userId}, ${sql.json(context)})) as evaluated`);
  return evaluated;
}

const share = (
  on: number,
  off = 100 - on,
) => [{ variant: "on", weight: on }, { variant: "off", weight: off }];

/** Twenty flags that differ in all that a rule may ask; `users` are some of those who are asked about. */
function twentyFlags(users: string[]): FlagDefinition[] {
  const percentages = [0, 1, 10, 33, 50, 99, 100].map((percent) =>
    newFlag({ key: `percent-${percent}`, rules: [{ split: share(percent) }] })
  );
  const colours = { red: "#f00", green: "#0f0", blue: "#00f" };
  return [
    ...percentages,
    newFlag({ key: "a", rules: [{ split: share(50) }] }),
    newFlag({ key: "ab", rules: [{ split: share(50) }] }),
    newFlag({ key: "a-flag.with_a-name-that-is-much-longer-than-a-user", rules: [{ split: share(1, 2) }] }),
    newFlag({
      key: "colours",
      type: "string",
      variants: colours,
      default_variant: "red",
      off_variant: null,
      rules: [{
        split: [{ variant: "red", weight: 1 }, { variant: "green", weight: 1 }, {
          variant: "blue",
          weight: 1,
        }],
      }],
    }),
    newFlag({ key: "users", rules: [{ users: users.slice(0, 100), variant: "off" }] }),
    newFlag({ key: "platforms", rules: [{ platforms: ["ios", "ipados"], variant: "off" }] }),
    newFlag({
      key: "locales",
      rules: [{ locales: ["tr"], variant: "off" }, { locales: ["es"], split: share(20) }],
    }),
    newFlag({ key: "versions", rules: [{ app_versions: [">=1.2.0", "<2.0.0"], variant: "off" }] }),
    newFlag({ key: "major", rules: [{ app_versions: ["^2.0.0"], variant: "off" }] }),
    newFlag({ key: "minor", rules: [{ app_versions: ["~1.10.0", "!=1.10.1"], split: share(50) }] }),
    newFlag({ key: "began", rules: [{ from: "2020-01-01T00:00:00Z", variant: "off" }] }),
    newFlag({ key: "over", rules: [{ until: "2020-01-01T00:00:00Z", variant: "off" }] }),
    newFlag({
      key: "all-of-it",
      type: "number",
      variants: { one: 1, two: 2, half: 0.5 },
      default_variant: "one",
      off_variant: "one",
      rules: [
        { users: users.slice(50, 200), platforms: ["ios"], variant: "two" },
        {
          locales: ["tr", "es"],
          app_versions: [">=1.10.0"],
          from: "2020-01-01T00:00:00Z",
          split: [{ variant: "half", weight: 30 }, { variant: "two", weight: 70 }],
        },
        { split: [{ variant: "one", weight: 5 }, { variant: "half", weight: 5 }] },
      ],
    }),
  ];
}

const contexts: JsonObject[] = [
  {},
  { platform: "ios", locale: "tr", app_version: "1.2.0" },
  { platform: "android", locale: "es", app_version: "v1.10.1" },
  { platform: "ipados", locale: "tr-TR", app_version: "2.0.0-beta.2" },
  { platform: "ios", locale: "es", app_version: "1.10" },
];

Deno.test("20 flags are for 10,000 users what flagd's library says of the same definitions", async () => {
  const users = Array.from({ length: runs(2_000, 10_000) }, () => crypto.randomUUID());
  const definitions = twentyFlags(users);
  assert.equal(definitions.length, 20);
  for (const definition of definitions) await makeFlag(sql, definition);
  const flagd = new FlagdCore();
  flagd.setConfigurations(JSON.stringify(flagdOf(definitions)));
  const ours = await sql<{ key: string; user: string; number: number; variant: string }[]>`
    select f.key, u.id as user, c.number::int - 1 as number,
      (ops.evaluate(f, u.id::uuid, ${sql.json(contexts)}::jsonb -> (c.number::int - 1))).variant
    from ops.feature_flags as f
    cross join unnest(${users}::text[]) with ordinality as u (id, number)
    cross join lateral (select 1 + u.number % ${contexts.length} as number) as c
    where f.key = any (${definitions.map(({ key }) => key)})`;
  assert.equal(ours.length, 20 * users.length);
  const fallbacks = { boolean: false, string: "", number: 0, object: {} };
  const types = new Map(definitions.map(({ key, type }) => [key, type]));
  const differing = ours.filter(({ key, user, number, variant }) => {
    const context = { targetingKey: user, ...contexts[number] } as Record<string, string>;
    const type = types.get(key) ?? "boolean";
    const theirs = flagd.resolve(type, key, fallbacks[type], context);
    return theirs.variant !== variant;
  });
  assert.deepEqual(differing.slice(0, 5), []);
  // A comparison of flags that are always the same would prove nothing.
  const seen = Map.groupBy(ours, ({ key }) => key);
  for (const key of ["colours", "all-of-it"]) {
    assert.equal(new Set(seen.get(key)?.map(({ variant }) => variant)).size, 3, key);
  }
});

Deno.test("murmur3 is flagd's, of texts of every length", async () => {
  const flagd = new FlagdCore();
  const key = "f".repeat(13);
  // Buckets so narrow that each tells twenty bits of the hash.
  const buckets = Array.from({ length: 64 }, (_, index) => [`v${index}`, 1]);
  const variants = Object.fromEntries(buckets.map(([name]) => [name, `${name}`]));
  flagd.setConfigurations(JSON.stringify({
    flags: {
      [key]: { state: "ENABLED", variants, defaultVariant: "v0", targeting: { fractional: buckets } },
    },
  }));
  const texts = Array.from(
    { length: runs(200, 2_000) },
    (_, index) =>
      Array.from(
        crypto.getRandomValues(new Uint8Array(1 + index % 70)),
        (byte) => "abcdefgh01234567-"[byte % 17],
      )
        .join(""),
  );
  const rows = await sql<{ text: string; bucket: number }[]>`
    select t.text, ((ops.murmur3(${key} || t.text) * 64) >> 32)::int as bucket from unnest(${texts}::text[]) as t (text)`;
  for (const { text, bucket } of rows) {
    assert.equal(flagd.resolve("string", key, "", { targetingKey: text }).variant, `v${bucket}`, text);
  }
  const known = { "": 0, "hello": 613153351, "The quick brown fox jumps over the lazy dog": 776992547 };
  for (const [text, hash] of Object.entries(known)) {
    const { murmur3 } = await first(sql<{ murmur3: string }[]>`select ops.murmur3(${text}) as murmur3`);
    assert.equal(Number(murmur3), hash, text);
  }
});

const ids = runs(20_000, 100_000);
/** How many of them a percentage may be off: five standard deviations of half of them. */
const tolerance = 2.5 * Math.sqrt(ids);

Deno.test("of 100,000 ids a percentage is that many, the same each time; raising it keeps them, and two flags share nothing", async () => {
  const flag = (key: string, percent: number) => {
    const definition = { ...newFlag({ key, rules: [{ split: share(percent) }] }), version: 1 };
    return sql`jsonb_populate_record(null::ops.feature_flags, ${
      sql.json(JSON.parse(JSON.stringify(definition)))
    })`;
  };
  // Each is asked once for an id, whatever is counted of the answer: that is what the offset is for.
  const counted = await first(sql<Record<string, number>[]>`
    select count(*) filter (where a.at_10)::int as "10", count(*) filter (where a.at_20)::int as "20",
      count(*) filter (where a.at_50)::int as "50", count(*) filter (where a.at_10 <> a.again)::int as changed,
      count(*) filter (where a.at_10 and not a.at_20 or a.at_20 and not a.at_50)::int as lost,
      count(*) filter (where a.at_50 and a.other)::int as both
    from (
      select (ops.evaluate(${flag("raised", 10)}, i.id, '{}')).variant = 'on' as at_10,
        (ops.evaluate(${flag("raised", 10)}, i.id, '{"platform": "ios"}')).variant = 'on' as again,
        (ops.evaluate(${flag("raised", 20)}, i.id, '{}')).variant = 'on' as at_20,
        (ops.evaluate(${flag("raised", 50)}, i.id, '{}')).variant = 'on' as at_50,
        (ops.evaluate(${flag("other", 50)}, i.id, '{}')).variant = 'on' as other
      from (select gen_random_uuid() as id from generate_series(1, ${ids}::int) offset 0) as i
      offset 0
    ) as a`);
  for (const percent of [10, 20, 50]) {
    const on = counted[percent] ?? 0;
    assert(Math.abs(on - percent / 100 * ids) < tolerance, `${on} of ${ids} for ${percent} %`);
  }
  assert.deepEqual([counted["changed"], counted["lost"]], [0, 0]);
  const both = counted["both"] ?? 0;
  assert(Math.abs(both - ids / 4) < tolerance, `${both} of ${ids} are in both halves`);
});

Deno.test("a flag that is disabled has its off variant, whatever its rules say; one without a rule that fits its default", async () => {
  const user = crypto.randomUUID();
  const rules = [{ users: [user], variant: "off" }];
  await makeFlag(sql, newFlag({ key: "disabled", is_enabled: false, off_variant: "on", rules }));
  await makeFlag(sql, newFlag({ key: "left-to-the-app", is_enabled: false, off_variant: null, rules }));
  await makeFlag(sql, newFlag({ key: "for-one", rules }));
  await makeFlag(sql, newFlag({ key: "for-all" }));
  assert.deepEqual(await flag("disabled", user), {
    value: true,
    variant: "on",
    reason: "DISABLED",
    detail: null,
  });
  assert.deepEqual(await flag("left-to-the-app", user), {
    value: null,
    variant: null,
    reason: "DISABLED",
    detail: null,
  });
  assert.deepEqual([(await flag("for-one", user)).reason, (await flag("for-one", user)).value], [
    "TARGETING_MATCH",
    false,
  ]);
  assert.deepEqual(
    [(await flag("for-one", crypto.randomUUID())).reason, (await flag("for-one", null)).value],
    [
      "DEFAULT",
      true,
    ],
  );
  assert.equal((await flag("for-all", null)).reason, "STATIC");
  assert.deepEqual(await flag("nobody-made-it", user), {
    value: null,
    variant: null,
    reason: "ERROR",
    detail: "there is no such flag",
  });
});

Deno.test("a rule that cannot be evaluated gives the default, and says why", async () => {
  await makeFlag(sql, newFlag({ key: "by-version", rules: [{ app_versions: [">=1.2.0"], variant: "off" }] }));
  await makeFlag(sql, newFlag({ key: "by-user", rules: [{ split: share(0) }] }));
  const user = crypto.randomUUID();
  for (const app_version of ["two", "1.2.3.4", "01.2.3", "", "1.2.3-", "1..2", "99999999999.0.0"]) {
    assert.deepEqual(await flag("by-version", user, { app_version }), {
      value: true,
      variant: "on",
      reason: "ERROR",
      detail: "rules[0]: app_version is no semantic version",
    }, app_version);
  }
  assert.equal((await flag("by-user", null)).detail, "rules[0]: a split needs a user");
  // What the app does not say fits no condition, which is no error.
  for (const context of [{}, { app_version: null }]) {
    assert.equal((await flag("by-version", user, context)).reason, "DEFAULT");
  }
});

Deno.test("a version is read as semver.org and flagd have it, and what is none is nothing", async () => {
  const read: Record<string, (string | null)[] | null> = {
    "1.2.3": ["1", "2", "3", null],
    "v1.2.3-a-b.1+c-d": ["1", "2", "3", "a-b.1"],
    "V10.0.999999999-0a": ["10", "0", "999999999", "0a"],
    "1.2.3+a-b.c": ["1", "2", "3", null],
    "1.2": ["1", "2", "0", null],
    "v3": ["3", "0", "0", null],
    "1.2.03": null,
    "1.2.3-": null,
    "1.2.3-01": null,
    "1.2.3-a+": null,
    "1.2.3-a+b+c": null,
    "1.2.3.4": null,
    "1.2.1234567890": null,
    "vv1.2.3": null,
    "1.2.3 ": null,
    "": null,
  };
  for (const [version, expected] of Object.entries(read)) {
    const { parts } = await first(sql<{ parts: (string | null)[] | null }[]>`
      select to_jsonb(ops.version_parts(${version})) as parts`);
    assert.deepEqual(parts, expected, version);
  }
});

Deno.test("versions are compared as semver.org says, rule 11", async () => {
  const ordered = [
    ...["0.0.1", "0.9.0", "0.10.0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta"],
    ...["1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.2", "1.10.0", "2", "10.0.0"],
  ];
  const rows = await sql<{ one: string; other: string; said: number }[]>`
    select a.v as one, b.v as other, ops.compare_versions(ops.version_parts(a.v), ops.version_parts(b.v)) as said
    from unnest(${ordered}::text[]) as a (v) cross join unnest(${ordered}::text[]) as b (v)`;
  for (const { one, other, said } of rows) {
    assert.equal(said, Math.sign(ordered.indexOf(one) - ordered.indexOf(other)), `${one} ${other}`);
  }
  const fits = async (version: string, comparison: string) =>
    (await first(sql<{ fits: boolean | null }[]>`select ops.fits_version(${version}, ${comparison}) as fits`))
      .fits;
  assert.equal(await fits("1.2.3+build.5", "=1.2.3"), true, "a build says nothing");
  assert.equal(await fits("V1.2.3", "= v1.2.3"), true);
  assert.equal(await fits("1.9.0", "^1.0.0"), true);
  assert.equal(await fits("2.0.0", "^1.0.0"), false);
  assert.equal(await fits("1.3.0", "~1.2.0"), false);
});

Deno.test("a window of time begins and ends with the database's clock", async () => {
  const now = await database.now();
  const at = (seconds: number) => new Date(now.getTime() + seconds * 1_000).toISOString();
  await makeFlag(
    sql,
    newFlag({ key: "window", rules: [{ from: at(3_600), until: at(7_200), variant: "off" }] }),
  );
  const reasons = [];
  for (const seconds of [0, 3_000, 1_000, 2_000, 2_000]) {
    await database.advance(seconds * 1_000);
    reasons.push((await flag("window", null)).reason);
  }
  assert.deepEqual(reasons, ["DEFAULT", "DEFAULT", "TARGETING_MATCH", "TARGETING_MATCH", "DEFAULT"]);
});
