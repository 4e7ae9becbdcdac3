/** Several videos at once: all of them or none, or each by itself; what they cost, and what they count. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { propertyOptions } from "../../runs.ts";
import { type BulkAnswer, generateVideos, type Item } from "../support/bulk.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { cheapModel } from "../support/jobs.ts";
import { balancesOf, first, violations } from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { createPayer } from "../support/videos.ts";

const database = sharedDatabase(stillDatabase);
const { sql } = database;

const prices = { cheap: 4, dear: 8 };
/** Of the seed: by the video, and by the second. */
const items: Record<keyof typeof prices, Item> = {
  cheap: { model_id: cheapModel, prompt: "A fox" },
  dear: {
    model_id: "0190a000-0000-7000-8000-000000000002",
    prompt: "A fox",
    settings: { duration_seconds: 8 },
  },
};

const nobodys = "0190a000-0000-7000-8000-00000000ffff";
const faults = {
  unknown: { item: { model_id: nobodys, prompt: "A fox" }, code: "ERR_4002" },
  forbidden: { item: { model_id: cheapModel, prompt: "lolicon" }, code: "ERR_4003" },
  unfitting: {
    item: { model_id: cheapModel, prompt: "A fox", settings: { resolution: "8k" } },
    code: "ERR_4008",
  },
  elsewhere: { item: { model_id: cheapModel, prompt: "A fox", project_id: nobodys }, code: "ERR_4007" },
} satisfies Record<string, { item: Item; code: string }>;

const everyKind = ["cheap", "dear", ...Object.keys(faults) as (keyof typeof faults)[]] as const;
type Kind = "cheap" | "dear" | keyof typeof faults;

const isFaulty = (kind: Kind): kind is keyof typeof faults => kind in faults;
const itemOf = (kind: Kind): Item => isFaulty(kind) ? faults[kind].item : items[kind];

interface Expected {
  /** The price of each that is accepted, or the code of its refusal. */
  results: (number | string)[];
  /** Of the whole. */
  refusal: { code: string; index: number } | null;
}

/** What becomes of the items, by the words of the contract. */
function model(
  mode: "all" | "any",
  kinds: readonly Kind[],
  credits: number,
  room: number,
): Expected {
  const results: (number | string)[] = [];
  for (const [index, kind] of kinds.entries()) {
    const price = isFaulty(kind) ? 0 : prices[kind];
    const code = isFaulty(kind)
      ? faults[kind].code
      : credits < price
      ? "ERR_4001"
      : room === 0
      ? "ERR_4004"
      : null;
    if (code !== null && (mode === "all" || index === 0 && code === "ERR_4004")) {
      return { results: [], refusal: { code, index } };
    }
    results.push(code ?? price);
    if (code === null) {
      credits -= price;
      room--;
    }
  }
  return { results, refusal: null };
}

const hitsOf = async (userId: string, policy: string) =>
  (await first(sql`
    select coalesce(sum(cardinality(h.hits)), 0)::int as hits from guard.hits as h
    where h.policy = ${policy} and h.subject = ${userId}`)).hits;

const outcomesOf = ({ data }: BulkAnswer) =>
  data?.results.map((result) => "error" in result ? result.error.code : result.credits_used) ?? [];

Deno.test("all or none, or each by itself: what is accepted, held, counted and told is as the contract says", async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("all" as const, "any" as const),
      fc.array(
        fc.oneof({ weight: 3, arbitrary: fc.constant("cheap" as const) }, fc.constantFrom(...everyKind)),
        {
          minLength: 1,
          maxLength: 10,
        },
      ),
      fc.integer({ min: 0, max: 120 }),
      fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 10 })),
      async (mode, kinds, credits, used) => {
        const userId = await createPayer(sql, credits);
        for (let hit = 0; hit < used; hit++) {
          await sql`select accounts.admit(${userId}), guard.take('{video_generation}', ${userId}, null, 'generate-video')`;
        }
        const expected = model(mode, kinds, credits, 10 - used);
        const key = crypto.randomUUID();
        const network = crypto.randomUUID();
        const call = () => generateVideos(sql, userId, mode, kinds.map(itemOf), { key, network });
        const answer = await call();

        seen.add(`${mode} ${expected.refusal?.code ?? "202"}`);
        if (expected.refusal !== null) {
          const { code, index } = expected.refusal;
          assert.equal(answer.error, code);
          assert.equal(answer.details?.["index"], mode === "all" ? index : undefined);
          if (code === "ERR_4001") assert.equal(answer.details?.["available"], credits);
          if (code === "ERR_4008") {
            assert.partialDeepStrictEqual(answer.details, {
              fields: [{ path: `items[${index}].settings.resolution` }],
            });
          }
        } else assert.deepEqual(outcomesOf(answer), expected.results);

        const held = expected.results.filter((result) => typeof result === "number");
        const sum = held.reduce((sum, price) => sum + price, 0);
        if (answer.data) {
          assert.deepEqual([answer.data.credits_used, answer.data.credits_remaining], [sum, credits - sum]);
          assert.deepEqual(answer.data.results.map(({ index }) => index), [...kinds.keys()]);
        }
        const { jobs, holds, tasks } = await first(sql`
          select count(*)::int as jobs, count(t.id)::int as holds,
            (select count(*)::int from queue.tasks as q where q.owner_id = ${userId} and q.kind = 'submit') as tasks
          from videos.jobs as j
          left join credits.transfers as t on t.job_id = j.id and t.kind = 'hold' and t.amount = j.credits_used
          where j.user_id = ${userId}`);
        assert.deepEqual([jobs, holds, tasks], [held.length, held.length, held.length]);
        assert.equal((await balancesOf(sql, userId)).available, credits - sum);
        assert.equal(await hitsOf(userId, "video_generation"), used + held.length);
        assert.equal(await hitsOf(userId, "uncaptured_jobs"), held.length);
        const tried = mode === "any" && expected.refusal !== null ? 1 : kinds.length;
        assert.equal(await hitsOf(userId, "generation_attempts"), tried);

        const again = await call();
        const isTriedAgain = ["ERR_4004", "ERR_4008"].includes(answer.error ?? "");
        assert.equal(again.replayed, isTriedAgain ? undefined : true);
        assert.deepEqual([again.data, again.error], [answer.data, answer.error]);
        assert.equal((await balancesOf(sql, userId)).available, credits - sum);
      },
    ),
    {
      ...propertyOptions(60, 1_000),
      // Each outcome at least once.
      examples: [
        ["all", ["cheap", "dear"], 12, 8],
        ["any", ["cheap", "unknown", "dear"], 4, 0],
        ["all", ["cheap", "cheap"], 7, 0],
        ["all", ["cheap", "cheap"], 100, 9],
        ["any", ["cheap", "dear"], 100, 10],
      ],
    },
  );
  for (const outcome of ["all 202", "any 202", "all ERR_4001", "all ERR_4004", "any ERR_4004"]) {
    assert(seen.has(outcome), `${outcome} was never tried`);
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("more items than an hour allows are malformed, whatever the mode, and cost nothing", async () => {
  const userId = await createPayer(sql, 1_000);
  const items = Array(11).fill(itemOf("cheap"));
  for (const mode of ["all", "any"] as const) {
    const { error, details } = await generateVideos(sql, userId, mode, items);
    assert.deepEqual([error, details], ["ERR_4008", {
      fields: [{ path: "items", message: "Must have at most 10 items" }],
    }]);
  }
  assert.equal((await balancesOf(sql, userId)).available, 1_000);
  assert.equal(await hitsOf(userId, "generation_attempts"), 2);
});

Deno.test("where the attempts are too many, none of all is accepted or counted, and of any the first ones are", async () => {
  const userId = await createPayer(sql, 1_000);
  for (let hit = 0; hit < 57; hit++) {
    await sql`select guard.take('{generation_attempts}', ${userId}, null, 'generate-video')`;
  }
  const items = Array(5).fill(itemOf("cheap"));
  const refused = await generateVideos(sql, userId, "all", items, { network: "198.51.100.1" });
  assert.deepEqual([refused.error, refused.details?.["policy"], refused.details?.["index"]], [
    "ERR_4004",
    "generation_attempts",
    3,
  ]);
  assert.equal(await hitsOf(userId, "generation_attempts"), 57);
  assert.equal((await balancesOf(sql, userId)).available, 1_000);
  const answer = await generateVideos(sql, userId, "any", items, { network: "198.51.100.1" });
  assert.deepEqual(outcomesOf(answer), [4, 4, 4, "ERR_4004", "ERR_4004"]);
  const limit = answer.limits?.find(({ policy }) => policy === "generation_attempts");
  assert.deepEqual([limit?.current, limit?.remaining], [60, 0]);
});

Deno.test("what is switched off, and a limiter that is gone, refuse the whole in either mode, and the key may be used again", async () => {
  const userId = await createPayer(sql, 100);
  const items = [itemOf("cheap"), itemOf("cheap")];
  for (const mode of ["all", "any"] as const) {
    const key = crypto.randomUUID();
    await sql`update ops.feature_flags set is_enabled = false where key = 'generation'`;
    const off = await generateVideos(sql, userId, mode, items, { key });
    await sql`update ops.feature_flags set is_enabled = true where key = 'generation'`;
    assert.deepEqual([off.error, off.details], ["ERR_6004", { feature: "generation" }]);
    const [policy] =
      await sql`delete from guard.policies where name = 'video_generation' returning name, scope, max_hits, window_seconds, counts, on_failure, is_logged`;
    const broken = await generateVideos(sql, userId, mode, items, { key });
    await sql`insert into guard.policies ${sql(policy ?? {})}`;
    assert.deepEqual([broken.error, broken.details], ["ERR_6001", {}]);
    assert.equal((await balancesOf(sql, userId)).available, 100 - (mode === "all" ? 0 : 8));
    assert.deepEqual(outcomesOf(await generateVideos(sql, userId, mode, items, { key })), [4, 4]);
  }
});

Deno.test("64 identical calls at once are one, and 64 of others' keys never spend more than there is", async () => {
  const userId = await createPayer(sql, 100);
  const items = [itemOf("cheap"), itemOf("cheap"), itemOf("cheap")];
  const key = crypto.randomUUID();
  const crowd = await Promise.all(
    Array.from({ length: 64 }, () => generateVideos(sql, userId, "all", items, { key })),
  );
  assert.deepEqual(
    new Set(crowd.flatMap(({ error }) => error ?? [])).difference(new Set(["ERR_4012", "ERR_4004"])),
    new Set(),
  );
  const accepted = crowd.flatMap(({ data }) => data ? [JSON.stringify(data)] : []);
  assert.equal(new Set(accepted).size, 1);
  assert.equal((await balancesOf(sql, userId)).available, 100 - 12);

  const other = await createPayer(sql, 22);
  const answers = await Promise.all(
    Array.from(
      { length: 16 },
      (_, index) =>
        generateVideos(sql, other, index % 2 === 0 ? "all" : "any", items.slice(1), {
          network: `net ${index}`,
        }),
    ),
  );
  const used = answers.reduce((sum, { data }) => sum + (data?.credits_used ?? 0), 0);
  assert.deepEqual([used, (await balancesOf(sql, other)).available], [20, 2]);
  assert.deepEqual(await violations(sql), []);
});
