/** What a model takes beside prompt and size is declared in its row: held to it, priced by it, sent by it. */
import assert from "node:assert/strict";
import { first, type Sql } from "../support/ledger.ts";
import { cheapModel } from "../support/jobs.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { type Answer, createPayer } from "../support/videos.ts";

const database = sharedDatabase();
const { sql } = database;
const upload = "0190a000-0000-7000-8000-0000000000e1";

const declared = [
  { name: "seed", type: "integer", min: 0, max: 10 },
  { name: "strength", type: "number", min: 0.1, max: 1, default: 0.5, price_factor: 3 },
  { name: "audio", type: "boolean", default: false, price_factor: 1.5 },
  { name: "negative_prompt", type: "text", min: 2, max: 20 },
  { name: "mode", type: "choice", values: ["standard", "pro"], default: "standard", price_factor: 2 },
  { name: "end_image", type: "image", price_factor: 1.1 },
  { name: "references", type: "images", max: 2 },
];

/** Lets the model of the tests, of 4 credits and 35 cents, take these; `fields` is what its provider makes of them. */
async function declare(sql: Sql, inputs: unknown, fields: unknown = allFields): Promise<void> {
  await sql`update videos.models set inputs = ${
    JSON.stringify(inputs)
  }::text::jsonb where id = ${cheapModel}`;
  await sql`
    update videos.model_providers set inputs = ${
    JSON.stringify(fields)
  }::text::jsonb where model_id = ${cheapModel}`;
}
const allFields = Object.fromEntries(declared.map(({ name }) => [name, { field: `its_${name}` }]));

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

async function generate(sql: Sql, settings: unknown, credits = 100): Promise<Answer & { userId: string }> {
  const userId = await createPayer(sql, credits);
  const { answer } = await first(sql<{ answer: Answer }[]>`
    select api.generate_video(
      ${userId}, '192.0.2.1', ${crypto.randomUUID()}, ${"f".repeat(64)}, 'request', ${cheapModel}, 'a prompt',
      ${JSON.stringify(settings)}::text::jsonb, null
    ) as answer`);
  return { ...answer, userId };
}

Deno.test("what is not declared, of another type or out of bounds is named, and nothing is held", async () => {
  const cases: [name: string, value: unknown, message: RegExp][] = [
    ["cfg_scale", 1, /no such setting/],
    ["seed", -1, /whole number from 0 to 10/],
    ["seed", 11, /whole number from 0 to 10/],
    ["seed", 1.5, /whole number from 0 to 10/],
    ["seed", "1", /whole number from 0 to 10/],
    ["strength", 0.09, /number from 0.1 to 1/],
    ["strength", true, /number from 0.1 to 1/],
    ["audio", "true", /true or false/],
    ["audio", 1, /true or false/],
    ["negative_prompt", "a", /text of 2 to 20 characters/],
    ["negative_prompt", "a".repeat(21), /text of 2 to 20 characters/],
    ["negative_prompt", 12, /text of 2 to 20 characters/],
    ["mode", "ultra", /one of \["standard", "pro"\]/],
    ["mode", ["pro"], /one of/],
    ["end_image", "an upload", /id of an upload/],
    ["end_image", [upload], /id of an upload/],
    ["references", upload, /list of 1 to 2 ids/],
    ["references", [], /list of 1 to 2 ids/],
    ["references", [upload, upload, upload], /list of 1 to 2 ids/],
    ["references", [upload, "x"], /list of 1 to 2 ids/],
  ];
  await undone(async (sql) => {
    await declare(sql, declared);
    for (const [name, value, message] of cases) {
      const { error, details, userId } = await generate(sql, { [name]: value });
      assert.equal(error, "ERR_4008", `${name}: ${value}`);
      const fields = details?.fields as { path: string; message: string }[];
      assert.deepEqual(fields.map(({ path }) => path), [`settings.${name}`]);
      assert.match(fields[0]?.message ?? "", message);
      assert.equal((await sql`select from videos.jobs where user_id = ${userId}`).length, 0);
    }
    const { details } = await generate(sql, { seed: 99, audio: 1, resolution: "8k" });
    const fields = details?.fields as { path: string }[];
    assert.deepEqual(fields.map(({ path }) => path).sort(), [
      "settings.audio",
      "settings.resolution",
      "settings.seed",
    ]);
  });
});

Deno.test("a price factor is part of the price once, where its input is used, in the hold and in the cost", async () => {
  const cases: [settings: Record<string, unknown>, credits: number, cents: number][] = [
    [{}, 4, 35],
    [{ seed: 3, negative_prompt: "blur" }, 4, 35],
    [{ audio: true }, 6, 52.5],
    [{ audio: false, strength: 0.5, mode: "standard" }, 4, 35],
    [{ mode: "pro" }, 8, 35],
    [{ audio: true, mode: "pro" }, 12, 52.5],
    [{ strength: 0.7 }, 12, 35],
    // A part of a credit is a whole one.
    [{ end_image: upload }, 5, 35],
  ];
  await undone(async (sql) => {
    await declare(sql, declared, { ...allFields, audio: { field: "sound", cost_factor: 1.5 } });
    for (const [settings, credits, cents] of cases) {
      const { price, cost } = await first(sql<{ price: number; cost: number }[]>`
        select videos.price(m, m.defaults || ${JSON.stringify(settings)}::text::jsonb)::int as price,
          videos.cost_cents(p, m, m.defaults || ${JSON.stringify(settings)}::text::jsonb)::float as cost
        from videos.models as m join videos.model_providers as p on p.model_id = m.id
        where m.id = ${cheapModel}`);
      assert.deepEqual([price, cost], [credits, cents], JSON.stringify(settings));
      if ("end_image" in settings) continue;
      const { data } = await generate(sql, settings);
      assert.equal(data?.credits_used, credits);
      assert.equal(data?.credits_remaining, 100 - credits);
      const { submission } = await first(sql<{ submission: { submission_id: string } }[]>`
        select api.claim_submission(${data?.job_id ?? ""}, '{fal}') -> 'data' as submission`);
      const { counted } = await first(sql<{ counted: number }[]>`
        select s.cost_cents::float as counted from videos.submissions as s where s.id = ${submission.submission_id}`);
      assert.equal(counted, cents);
    }
    const { error, details } = await generate(sql, { audio: true }, 5);
    assert.deepEqual([error, details], ["ERR_4001", { required: 6, available: 5 }]);
  });
});

Deno.test("a job tells the inputs it is made with, defaults included, and its provider gets its own words for them", async () => {
  await undone(async (sql) => {
    await declare(sql, declared, {
      ...allFields,
      mode: { field: "quality", values: { pro: "high", standard: "low" } },
      audio: { field: "sound", values: { true: "on", false: "off" } },
      // What it does anyhow.
      strength: {},
    });
    const { data } = await generate(sql, { seed: 7, audio: true });
    const { settings, fields } = await first(sql<{ settings: unknown; fields: unknown }[]>`
      select j.settings, api.claim_submission(j.id, '{fal}') #> '{data,fields}' as fields
      from videos.jobs as j where j.id = ${data?.job_id ?? ""}`);
    assert.deepEqual(settings, {
      ...{ duration_seconds: 5, resolution: "1080p", aspect_ratio: "16:9" },
      ...{ seed: 7, audio: true, strength: 0.5, mode: "standard" },
    });
    assert.deepEqual(fields, { its_seed: 7, sound: "on", quality: "low" });
  });
});

Deno.test("a provider that has no field for an input, or not for its value, is not asked for it", async () => {
  await undone(async (sql) => {
    const [seed] = declared;
    await declare(sql, [seed], {});
    const refused = await generate(sql, { seed: 1 });
    assert.equal(refused.error, "ERR_4008");
    assert((await generate(sql, {})).data, "without it the provider is asked as before");
    await declare(sql, [{ ...seed, default: 3 }], {});
    assert((await generate(sql, {})).data, "and with what it does anyhow");
    assert((await generate(sql, { seed: 3 })).data);
    assert.equal((await generate(sql, { seed: 4 })).error, "ERR_4008");
    await declare(sql, [seed], {});

    // Another one has it, and no more than 5.
    await sql`
      insert into videos.model_providers (model_id, preference, provider, provider_model, cost_cents, inputs, takes)
      values (${cheapModel}, 2, 'replicate', 'a-model', 40, '{"seed": {"field": "seed"}}', '{"seed": [1, 5]}')`;
    const { data } = await generate(sql, { seed: 1 });
    const { provider } = await first(sql<{ provider: string }[]>`
      select api.claim_submission(${
      data?.job_id ?? ""
    }, '{fal,replicate}') #>> '{data,provider}' as provider`);
    assert.equal(provider, "replicate");
    assert.equal((await generate(sql, { seed: 6 })).error, "ERR_4008");
  });
});

Deno.test("a declaration that no request could fit is refused when it is written", async () => {
  const wrong: unknown[] = [
    {},
    "seed",
    [1],
    [{ type: "boolean" }],
    [{ name: "Seed", type: "boolean" }],
    [{ name: "resolution", type: "boolean" }],
    [{ name: "a", type: "boolean" }, { name: "a", type: "boolean" }],
    [{ name: "a" }],
    [{ name: "a", type: "video" }],
    [{ name: "a", type: "boolean", color: "red" }],
    [{ name: "a", type: "integer", min: 1 }],
    [{ name: "a", type: "number", min: "0", max: 1 }],
    [{ name: "a", type: "text" }],
    [{ name: "a", type: "text", max: 2001 }],
    [{ name: "a", type: "images" }],
    [{ name: "a", type: "choice" }],
    [{ name: "a", type: "choice", values: ["a b"] }],
    [{ name: "a", type: "choice", values: ["b"], default: "c" }],
    [{ name: "a", type: "integer", min: 1, max: 2, default: 3 }],
    [{ name: "a", type: "integer", min: 1, max: 2, default: null }],
    [{ name: "a", type: "image", default: upload }],
    [{ name: "a", type: "boolean", price_factor: 0 }],
    [{ name: "a", type: "boolean", price_factor: "2" }],
    Array.from({ length: 21 }, (_, index) => ({ name: `a${index}`, type: "boolean" })),
  ];
  for (const inputs of wrong) {
    await assert.rejects(declare(sql, inputs), { code: /23514|22023/ }, JSON.stringify(inputs));
  }
  for (
    const fields of [[], { a: 1 }, { a: { field: 1 } }, { a: { values: [] } }, { a: { cost_factor: 0 } }]
  ) {
    await assert.rejects(declare(sql, [], fields), { code: "23514" }, JSON.stringify(fields));
  }
});
