/** Whoever sells a model learns when it is written whether its videos can be stored. */
import assert from "node:assert/strict";
import { maxVideoBytes } from "../../../supabase/functions/_shared/videos/store.ts";
import { testDatabase } from "../harness.ts";
import { cheapModel } from "../support/jobs.ts";
import { first, type Sql } from "../support/ledger.ts";

const options = (seconds: number[], resolutions: string[]) => ({
  duration_seconds: { values: seconds, default: seconds[0] ?? 0 },
  resolution: { values: resolutions, default: resolutions[0] ?? "" },
  aspect_ratio: { values: ["16:9"], default: "16:9" },
});

async function write(sql: Sql, seconds: number[], resolutions: string[]): Promise<string> {
  const changed = sql.json(options(seconds, resolutions));
  await sql`update videos.models set options = ${changed} where id = ${cheapModel}`;
  const { id } = await first(sql<{ id: string }[]>`
    insert into videos.models (name, description, category, pricing_type, credits, options)
    values ('A model', '', 'text_to_video', 'per_video', 1, ${changed}) returning id`);
  return id;
}

Deno.test("the database and the functions name the same largest video", async () => {
  await using database = await testDatabase();
  const { bytes } = await first(database.sql`select videos.max_stored_bytes()::int as bytes`);
  assert.equal(bytes, maxVideoBytes);
});

Deno.test("a model whose longest video fits at its largest resolution can be written", async () => {
  await using database = await testDatabase();
  const cases: [number[], string[]][] = [
    [[4, 8, 12], ["720p", "1080p"]],
    [[39], ["1080p"]],
    [[88], ["720p"]],
    [[199], ["480p"]],
    [[9], ["4k"]],
    [[9], ["2160p"]],
    [[39], ["auto"]],
    [[39], ["1920x1080", "1280x720"]],
    [[88], ["1280:720"]],
  ];
  for (const [seconds, resolutions] of cases) await write(database.sql, seconds, resolutions);
});

Deno.test("a model whose videos could be too large to be stored is refused, new or changed, and told how long they may be", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const before = await sql`select * from videos.models order by id`;
  const cases: [number[], string[], string][] = [
    [[40], ["1080p"], "39 s"],
    [[4, 600], ["1080p"], "39 s"],
    [[4, 60, 8], ["480p", "1080p", "720p"], "39 s"],
    [[89], ["720p"], "88 s"],
    [[200], ["480p"], "199 s"],
    [[10], ["4k"], "9 s"],
    [[10], ["2160p"], "9 s"],
    [[40], ["auto"], "39 s"],
    [[40], ["1920x1080"], "39 s"],
  ];
  for (const [seconds, resolutions, longest] of cases) {
    await assert.rejects(write(sql, seconds, resolutions), ({ code, message, hint }) => {
      assert.deepEqual([code, hint], ["23514", `sell up to ${longest}, or lower resolutions`]);
      assert.match(
        message,
        /^a video of \d+ s may have \d+ MB at these resolutions, and at most 157 MB are stored$/,
      );
      return true;
    });
  }
  assert.deepEqual(await sql`select * from videos.models order by id`, before);
});

Deno.test("what is no list of seconds is refused by its form", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  for (const values of ['"long"', '["a"]', "[]", "7", "null", '[{"a": 1}]']) {
    await assert.rejects(
      sql`update videos.models set options = jsonb_set(options, '{duration_seconds,values}', ${values}::text::jsonb)`,
      { code: "23514", constraint_name: "models_options_check" },
    );
  }
});
