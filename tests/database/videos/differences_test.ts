/** What a stored video differs in: a remark for the operator, which nothing that was asked or delivered may turn into an error. */
import fc from "fast-check";
import assert from "node:assert/strict";
import { first } from "../support/ledger.ts";
import { propertyOptions } from "../../runs.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const database = sharedDatabase();
const { sql } = database;

type Size = number | null;

async function differences(settings: unknown, milliseconds: Size, width: Size, height: Size) {
  const { found } = await first(database.sql`
    select videos.differences(${
    JSON.stringify(settings)
  }::text::jsonb, ${milliseconds}, ${width}, ${height}) as found`);
  return found;
}

const asked = { duration_seconds: 5, resolution: "720p", aspect_ratio: "16:9" };

Deno.test("a video is compared in whatever can be compared, and in that alone", async () => {
  const wrong = { duration_milliseconds: 9000, aspect_ratio: "100:100", resolution: "100p" };
  assert.equal(await differences(asked, 5900, 1280, 720), null);
  assert.deepEqual(await differences(asked, 9000, 100, 100), wrong);
  const { aspect_ratio, ...rest } = wrong;
  for (
    const word of [
      "auto",
      "1:0",
      "0:1",
      "0:0",
      "",
      ":",
      "16:9:1",
      "-16:9",
      "1e9:1",
      `${"9".repeat(400)}:1`,
      null,
      1,
    ]
  ) {
    assert.deepEqual(await differences({ ...asked, aspect_ratio: word }, 9000, 100, 100), rest, `${word}`);
  }
  for (const word of ["auto", "", "p", "4k", "9".repeat(30), `${"9".repeat(30)}p`, null, {}]) {
    const found = await differences({ ...asked, resolution: word }, 9000, 100, 100);
    assert.deepEqual(found, { duration_milliseconds: 9000, aspect_ratio }, `${word}`);
  }
  assert.deepEqual(await differences({ ...asked, duration_seconds: "auto" }, 9000, 1280, 720), null);
  assert.deepEqual(await differences({ ...asked, aspect_ratio: "2.39:1" }, 5000, 1720, 720), null);
  assert.deepEqual(await differences(asked, null, null, null), null);
  assert.deepEqual(await differences(asked, 5000, 1280, 0), { resolution: "0p" });
});

Deno.test("no settings and no dimensions raise", async () => {
  const integer = fc.option(
    fc.oneof(
      fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      fc.constantFrom(0, 1, 2 ** 31 - 1, -(2 ** 31)),
    ),
  );
  const text = fc.oneof(
    fc.string({ unit: fc.constantFrom(..."0123456789:.pkx-e \n٣") }),
    fc.string({ unit: "grapheme" }).map((text) => text.replaceAll("\0", "")),
  );
  const value = fc.oneof(
    text,
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.bigInt().map(Number),
    fc.constantFrom(null, true, [], {}),
  );
  const settings = fc.oneof(
    fc.record({ duration_seconds: value, resolution: value, aspect_ratio: value }, { requiredKeys: [] }),
    value,
  );
  await fc.assert(
    fc.asyncProperty(settings, integer, integer, integer, async (...given) => {
      await differences(...given);
    }),
    propertyOptions(100, 10_000),
  );
});

Deno.test("an option that would not work is refused when it is written", async () => {
  const write = (path: string, value: unknown) =>
    sql`
      update videos.models set options = jsonb_set(options, ${path}::text[], ${
      JSON.stringify(value)
    }::text::jsonb)
      where position = 1`;
  const whole = (values: unknown, fallback: unknown) => ({ values, default: fallback });
  for (const value of [0, -1, 601, 2.5, "5", null, true, [5], {}]) {
    await assert.rejects(write("{duration_seconds}", whole([value], value)), { code: "23514" }, `${value}`);
  }
  for (const name of ["resolution", "aspect_ratio"]) {
    for (const value of ["", "a b", "é", "x".repeat(21), 1, null, ["1:1"], {}]) {
      await assert.rejects(write(`{${name}}`, whole([value], value)), { code: "23514" }, `${value}`);
    }
    for (
      const option of [
        whole("1:1", "1:1"),
        whole(["1:1"], ["1:1"]),
        whole([], "1:1"),
        {},
        { values: ["1:1"] },
        { default: "1:1" },
        [],
      ]
    ) {
      await assert.rejects(write(`{${name}}`, option), { code: "23514" }, JSON.stringify(option));
    }
  }
  await assert.rejects(write("{duration_seconds}", whole([[5], 5], 5)), { code: "23514" });
  await assert.rejects(write("{resolution}", whole([["4k"], "4k"], "4k")), { code: "23514" });
  await write("{aspect_ratio}", whole(["auto", "16:9", "2.39:1"], "auto"));
  await write("{resolution}", whole(["4k", "720p"], "4k"));
  // Ten minutes can be stored at a low resolution only.
  await write("{resolution}", whole(["240p"], "240p"));
  await write("{duration_seconds}", whole([1, 600], 600));
});
