/** What a model may declare. */
import assert from "node:assert/strict";
import { sharedDatabase } from "../support/shared-database.ts";

const { sql } = sharedDatabase();

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
