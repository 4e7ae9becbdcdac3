/** Providers differ in what they take: whoever cannot take a request is passed over, and what nobody takes is refused. */
import assert from "node:assert/strict";
import { sharedDatabase } from "../support/shared-database.ts";
import { cheapModel } from "../support/jobs.ts";
import { type Answer, createPayer } from "../support/videos.ts";

const database = sharedDatabase();
const { sql } = database;
const fox = "🦊";

/** Lets the model be made by these alone. */
async function letBeMadeBy(...offers: { provider: string; units?: number; takes?: object }[]): Promise<void> {
  await sql`delete from videos.model_providers where model_id = ${cheapModel}`;
  for (const [index, { provider, units = null, takes = {} }] of offers.entries()) {
    await sql`
      insert into videos.model_providers (
        model_id, preference, provider, provider_model, cost_cents, prompt_max_units, takes
      )
      values (${cheapModel}, ${index + 1}, ${provider}, 'a/model', 1, ${units}, ${sql.json(takes as never)})`;
  }
}

interface Asked {
  prompt?: string;
  settings?: Record<string, unknown>;
  providers?: (string | null)[] | null;
}

/** What is answered, and what of the user's 100 credits is left. */
async function ask({ prompt = "a fox", settings = {}, providers = null }: Asked) {
  const userId = await createPayer(sql, 100);
  const [row] = await sql<{ answer: Answer }[]>`
    select api.generate_video(
      ${userId}, '192.0.2.1', 'key', ${"f".repeat(64)}, 'request', ${cheapModel}, ${prompt},
      ${sql.json(settings as never)}, null, ${providers}
    ) as answer`;
  const [account] = await sql`
    select a.balance::integer from credits.accounts as a where a.owner_id = ${userId} and a.kind = 'available'`;
  assert(row);
  return { ...row.answer, balance: account?.balance };
}

async function claimedBy(jobId: string | undefined, providers = ["fal", "replicate", "runway"]) {
  const [row] = await database.sql`
    select api.claim_submission(${jobId ?? null}, ${providers}) #>> '{data,provider}' as provider`;
  return row?.provider ?? null;
}

async function promptMax(): Promise<number | null> {
  const userId = await createPayer(database.sql, 0);
  const [row] = await database.sql`
    select m -> 'options' ->> 'prompt_max_characters' as characters
    from jsonb_array_elements(api.models(${userId}) #> '{data,models}') as m where m ->> 'id' = ${cheapModel}`;
  return row?.characters === null ? null : Number(row?.characters);
}

Deno.test("a prompt is given to a provider that takes its length in UTF-16 units, whatever is preferred", async () => {
  await letBeMadeBy({ provider: "runway", units: 10 }, { provider: "replicate", units: 20 });
  const cases = [
    ["a".repeat(10), "runway"],
    ["a".repeat(11), "replicate"],
    [fox.repeat(5), "runway"],
    [fox.repeat(6), "replicate"],
    [`${fox.repeat(9)}ab`, "replicate"],
    ["é".repeat(20), "replicate"],
  ] as const;
  for (const [prompt, provider] of cases) {
    const { data } = await ask({ prompt });
    assert.equal(await claimedBy(data?.job_id), provider, prompt);
  }
});

Deno.test("a prompt that no provider takes is refused before money is held, with the length that one takes", async () => {
  await letBeMadeBy({ provider: "runway", units: 10 }, { provider: "replicate", units: 20 });
  for (const prompt of ["a".repeat(21), fox.repeat(11), `${fox.repeat(10)}a`]) {
    const { error, details, balance } = await ask({ prompt });
    assert.deepEqual([error, balance], ["ERR_4008", 100], prompt);
    assert.deepEqual(details, {
      fields: [{ path: "prompt", message: "This model takes at most 20 characters" }],
    });
  }
  assert.equal(await promptMax(), 20);
  await letBeMadeBy({ provider: "runway", units: 10 }, { provider: "fal" });
  assert.equal(await promptMax(), null, "without a maximum of one provider, prompts have none");
  await letBeMadeBy({ provider: "fal", units: 5000 });
  assert.equal(await promptMax(), null, "no less than the API takes");
  await letBeMadeBy({ provider: "runway", units: 10 }, { provider: "replicate", units: 20 });
  await database.sql`update videos.providers set is_enabled = false where name = 'replicate'`;
  assert.equal(await promptMax(), 10, "one that is switched off takes nothing");
  await database.sql`update videos.providers set is_enabled = true where name = 'replicate'`;
});

Deno.test("settings are given to a provider that takes them together, and refused where nobody does", async () => {
  await letBeMadeBy(
    { provider: "runway", takes: { aspect_ratio: ["16:9"], image: [false] } },
    { provider: "replicate", takes: { aspect_ratio: ["9:16"], resolution: ["1080p"] } },
  );
  for (const [aspect_ratio, provider] of [["16:9", "runway"], ["9:16", "replicate"]] as const) {
    const { data } = await ask({ settings: { aspect_ratio } });
    assert.equal(await claimedBy(data?.job_id), provider);
  }
  const { error, details, balance } = await ask({ settings: { aspect_ratio: "1:1" } });
  assert.deepEqual([error, balance], ["ERR_4008", 100]);
  assert.deepEqual(details, {
    fields: [{ path: "settings", message: "This model does not make these settings together" }],
  });
});

Deno.test("a model that no configured provider makes is switched off for now, and nothing is held", async () => {
  await letBeMadeBy({ provider: "runway", units: 10 }, { provider: "fal" });
  const cases: [string, (string | null)[]][] = [
    ["a".repeat(11), ["runway"]],
    ["a fox", ["replicate"]],
    ["a fox", []],
    // A name that is null is nobody's: whoever asks for the job does not find it either.
    ["a fox", [null]],
    ["a fox", ["replicate", null]],
  ];
  for (const [prompt, providers] of cases) {
    const { error, details, balance } = await ask({ prompt, providers });
    assert.deepEqual([error, details, balance], ["ERR_6004", { feature: "generation" }, 100], `${providers}`);
  }
  assert.equal((await ask({ prompt: "a".repeat(11), providers: ["runway", "fal"] })).error, undefined);
});

Deno.test("what no provider could be told is refused when the operator writes it", async () => {
  for (const takes of [[], { fps: [24] }, { resolution: "720p" }, { image: true }]) {
    await assert.rejects(letBeMadeBy({ provider: "fal", takes }), /check constraint/, JSON.stringify(takes));
  }
  await assert.rejects(letBeMadeBy({ provider: "fal", units: 0 }), /check constraint/);
});
