/** A video that is not what was ordered is not paid for; how far it may be from it is a table. */
import fc from "fast-check";
import assert from "node:assert/strict";
import { first, type Sql } from "../support/ledger.ts";
import { propertyOptions } from "../../runs.ts";
import {
  claimTask,
  readJob,
  receiveEvent,
  recordStored,
  startVideo,
  submit,
  succeeded,
  type Task,
} from "../support/generation.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { spent } from "../support/spending.ts";

const database = sharedDatabase();
const { sql } = database;

type Size = number | null;
interface Judged {
  differences: Record<string, unknown> | null;
  quality: number | null;
}

async function judge(
  settings: unknown,
  milliseconds: Size,
  width: Size,
  height: Size,
  codec: string | null = "avc1",
  frames: Size = 120,
  unpromised: string[] = [],
): Promise<Judged> {
  return await first(sql<Judged[]>`
    select j.differences, j.quality from videos.judge(
      ${
    JSON.stringify(settings)
  }::text::jsonb, ${unpromised}::text[], ${milliseconds}, ${width}, ${height}, ${codec}, ${frames}
    ) as j`);
}

const asked = { duration_seconds: 5, resolution: "720p", aspect_ratio: "16:9" };
const wide = [1280, 720] as const;

Deno.test("each bound is kept on both of its sides", async () => {
  const faults = async (...given: Parameters<typeof judge>) =>
    Object.keys((await judge(...given)).differences ?? {});
  const cases: [Parameters<typeof judge>, string[]][] = [
    [[asked, 4500, ...wide], []],
    [[asked, 4499, ...wide], ["duration_milliseconds"]],
    [[asked, 5500, ...wide], []],
    [[asked, 5501, ...wide], ["duration_milliseconds"]],
    // 16:9 is 1.7778: 5 % less is 1.6889, 5 % more 1.8667.
    [[asked, 5000, 1216, 720], []],
    [[asked, 5000, 1215, 720], ["aspect_ratio"]],
    [[asked, 5000, 1344, 720], []],
    [[asked, 5000, 1345, 720], ["aspect_ratio"]],
    [[asked, 5000, 1216, 684], []],
    [[asked, 5000, 1214, 683], ["resolution"]],
    [[asked, 5000, 7680, 4320], []],
    [[asked, 5000, ...wide, "hvc1"], []],
    [[asked, 5000, ...wide, "av01"], ["codec"]],
    [[asked, 5000, ...wide, "none"], ["codec"]],
    [[asked, 5000, ...wide, "avc1", 25], []],
    [[asked, 5000, ...wide, "avc1", 24], ["frames"]],
    [[asked, null, ...wide, "avc1", 1], []],
    [[asked, null, ...wide, "avc1", 0], ["frames"]],
    [[asked, 9000, 100, 100, "mp4v", 1], [
      "aspect_ratio",
      "codec",
      "duration_milliseconds",
      "frames",
      "resolution",
    ]],
  ];
  for (const [given, expected] of cases) {
    assert.deepEqual((await faults(...given)).sort(), expected, JSON.stringify(given));
  }
});

Deno.test("what real providers make of an order is what was ordered", async () => {
  const order = (duration_seconds: number, resolution: string, aspect_ratio: string) => ({
    ...{ duration_seconds, resolution, aspect_ratio },
  });
  const made: [unknown, number, number, number, number?][] = [
    [order(5, "1080p", "16:9"), 5040, 1920, 1088],
    [order(5, "1080p", "9:16"), 5042, 1080, 1920],
    [order(10, "1080p", "1:1"), 10_040, 1440, 1440],
    [order(5, "720p", "16:9"), 5062, 1280, 704, 81],
    [order(5, "720p", "9:16"), 5062, 704, 1280, 81],
    [order(8, "720p", "16:9"), 8000, 1280, 720, 192],
    // Runway's 21:9 of 720p has fewer lines, and more pixels.
    [order(5, "720p", "21:9"), 5041, 1584, 672],
    [order(4, "480p", "16:9"), 4010, 832, 480],
    [order(5, "4k", "16:9"), 5000, 3840, 2160],
    [order(5, "1280x720", "16:9"), 5000, 1280, 720],
    [order(5, "720x1280", "9:16"), 5000, 720, 1280],
  ];
  for (const [settings, milliseconds, width, height, frames = 120] of made) {
    const { differences, quality } = await judge(settings, milliseconds, width, height, "avc1", frames);
    assert.equal(differences, null, JSON.stringify([settings, milliseconds, width, height]));
    assert(quality !== null && quality >= 60, `${quality}`);
  }
  const smaller = await judge(order(5, "4k", "16:9"), 5000, 1920, 1080);
  assert.deepEqual(smaller.differences, { resolution: "1080p" });
});

Deno.test("what nobody ordered, promised or tells is not compared", async () => {
  const faults = async (...given: Parameters<typeof judge>) => (await judge(...given)).differences;
  const wrong = { duration_milliseconds: 9000, aspect_ratio: "100:100", resolution: "100p" };
  const { aspect_ratio, resolution, ...rest } = wrong;
  const words = [
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
  ];
  for (const word of words) {
    const found = await faults({ ...asked, aspect_ratio: word }, 9000, 100, 100);
    assert.deepEqual(found, { ...rest, resolution }, `${word}`);
  }
  for (const word of ["auto", "", "p", "k", "x", "9".repeat(30), `${"9".repeat(30)}p`, null, {}]) {
    const found = await faults({ ...asked, resolution: word }, 9000, 100, 100);
    assert.deepEqual(found, { ...rest, aspect_ratio }, `${word}`);
  }
  assert.equal(await faults({ ...asked, duration_seconds: "auto" }, 9000, ...wide), null);
  assert.equal(await faults({ ...asked, aspect_ratio: "2.39:1" }, 5000, 1720, 720), null);
  assert.deepEqual(await judge(asked, null, null, null, null, null), { differences: null, quality: null });
  assert.deepEqual(await faults(asked, 5000, 1280, 0), { resolution: "0p" });

  const unpromised = ["duration_seconds", "resolution", "aspect_ratio"];
  for (const name of unpromised) {
    const found = await faults(asked, 9000, 100, 100, "avc1", 120, [name]);
    assert.equal(Object.keys(found ?? {}).length, 2, name);
  }
  assert.deepEqual(await judge(asked, 9000, 100, 100, "avc1", 120, unpromised), {
    differences: null,
    quality: null,
  });
});

Deno.test("quality is 100 for what is as ordered, and falls towards the bounds", async () => {
  const qualityOf = async (...given: Parameters<typeof judge>) => (await judge(...given)).quality;
  assert.equal(await qualityOf(asked, 5000, ...wide), 100);
  assert.equal(await qualityOf(asked, 5000, 1920, 1080), 100, "more is no fault");
  // Half of one tolerance out of three.
  assert.equal(await qualityOf(asked, 5250, ...wide), 83);
  assert.equal(await qualityOf(asked, 4500, ...wide), 67);
  assert.equal(await qualityOf(asked, 9000, 100, 100), 0);
});

Deno.test("the operator's tolerances are the ones that count", async () => {
  await undone(async (sql) => {
    const faults = async (milliseconds: number) => {
      const { differences } = await first(sql<{ differences: unknown }[]>`
        select j.differences from videos.judge(${
        sql.json(asked)
      }, '{}', ${milliseconds}, 1280, 720, 'av01', null) as j`);
      return differences;
    };
    await sql`update videos.tolerances set less = 0, more = 1 where fact = 'duration'`;
    await sql`update videos.tolerances set one_of = one_of || 'av01'::text where fact = 'codec'`;
    assert.equal(await faults(10_000), null);
    assert.deepEqual(await faults(4_999), { duration_milliseconds: 4999 });
    await sql`update videos.tolerances set more = null where fact = 'duration'`;
    assert.equal(await faults(1_000_000), null);
    await sql`delete from videos.tolerances`;
    assert.equal(await faults(1), null);
  });
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
    fc.asyncProperty(settings, integer, integer, integer, text, integer, async (...given) => {
      await judge(...given);
    }),
    propertyOptions(100, 10_000),
  );
});

/** A job whose video is being stored, and the task that an attempt has. */
async function storing(): Promise<[jobId: string, task: Task]> {
  const jobId = await startVideo(sql);
  await receiveEvent(sql, await submit(sql, jobId), succeeded);
  return [jobId, await claimTask(sql, jobId, "store")];
}

Deno.test("a video that is not what was ordered gives the credits back, and costs what it cost", async () => {
  const [jobId, task] = await storing();
  const before = await spent(sql);
  assert.equal(await recordStored(sql, jobId, task, { width: 854, height: 480 }), "failed");
  const found = await readJob(sql, jobId);
  const { status, error_code, credits_used, balance, tasks } = found;
  assert.deepEqual([status, error_code, credits_used, balance], ["failed", "ERR_5003", 0, 10]);
  assert.deepEqual(tasks, ["delete_files"]);
  assert.deepEqual(await spent(sql), before);
  const facts = await first(sql<{ details: unknown; cause: string; assets: number }[]>`
    select j.error_details as details, s.cause,
      (select count(*)::int from videos.assets as a where a.job_id = j.id) as assets
    from videos.jobs as j join videos.submissions as s on s.job_id = j.id where j.id = ${jobId}`);
  assert.deepEqual({ ...facts }, {
    details: { reason: "invalid_result" },
    cause: 'not what was ordered: {"resolution": "480p"}',
    assets: 0,
  });
  const alerts = await sql`
    select subject, details -> 'delivered' as delivered
    from ops.alerts where rule = 'wrong_video' and details ->> 'job_id' = ${jobId}`;
  assert.deepEqual(alerts.map((alert) => ({ ...alert })), [{
    subject: "fal fal-ai/kling-video/v2.5-turbo/pro/text-to-video",
    delivered: { resolution: "480p" },
  }]);

  // The same attempt once more changes nothing.
  assert.equal(await recordStored(sql, jobId, task), "failed");
  assert.deepEqual(await readJob(sql, jobId), found);
  assert.deepEqual([...await sql`select * from credits.reconcile(true)`], []);
});

Deno.test("an attempt that lost its lease fails no job by what it stored", async () => {
  const [jobId, task] = await storing();
  const lost = { ...task, attempt: task.attempt - 1 };
  assert.equal(await recordStored(sql, jobId, lost, { width: 854, height: 480 }), "processing");
  assert.equal(await recordStored(sql, jobId, task), "completed");
});

Deno.test("the operator sees by model and provider what was made and what was refused", async () => {
  const quality = async () => {
    const [row] = await sql<
      { results: number; refused: number; refused_cents: number; quality: number; lowest_quality: number }[]
    >`
      select results::int, refused::int, coalesce(refused_cents, 0)::int as refused_cents, quality::float,
        lowest_quality
      from ops.video_quality where model = 'Kling 2.5 Turbo Pro' and provider = 'fal'`;
    return row ?? { results: 0, refused: 0, refused_cents: 0, quality: 100, lowest_quality: 100 };
  };
  const before = await quality();
  for (const made of [{}, { duration_milliseconds: 5500 }, { codec: "av01" }]) {
    const [jobId, task] = await storing();
    await recordStored(sql, jobId, task, made);
  }
  const after = await quality();
  assert.equal(after.results - before.results, 3);
  assert.equal(after.refused - before.refused, 1);
  assert.equal(after.refused_cents - before.refused_cents, 35);
  assert.equal(after.lowest_quality, 67);
  assert(after.quality < 100 && after.quality > 67);
});

/** What `change` does to the rows is there for it alone. */
async function undone(change: (sql: Sql) => Promise<void>): Promise<void> {
  const done = new Error("done");
  await assert.rejects(
    sql.begin(async (transaction) => {
      await change(transaction);
      throw done;
    }),
    done,
  );
}
