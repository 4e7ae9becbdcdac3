/** Terms: what a prompt must not say is refused before money is held, however it is spelt, and leaves no trace. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { claimSubmission } from "../support/generation.ts";
import { balancesOf, first, rolledBack, type Sql } from "../support/ledger.ts";
import { ourSchemas } from "../support/our-schemas.ts";
import { testDatabase } from "../harness.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { propertyOptions } from "../../runs.ts";
import { createPayer, generateVideo } from "../support/videos.ts";

const { sql } = sharedDatabase();

async function addTerm(sql: Sql, pattern: string, action = "refuse"): Promise<void> {
  await sql`
    insert into videos.moderation_terms (language, pattern, action, reason)
    values ('en', ${pattern}, ${action}, ${`reason of ${pattern}`})`;
}

async function isRefused(sql: Sql, prompt: string): Promise<boolean> {
  const { term } = await first(sql<{ term: string | null }[]>`
    select videos.find_moderation_term(${prompt}, 'refuse') as term`);
  return term !== null;
}

Deno.test("a prompt against the policy is refused before money, the same again for its key, and leaves no trace", async () => {
  await addTerm(sql, "basilisk*");
  const user = await createPayer(sql, 10);
  const call = { prompt: "Two Basilisks named Hortensia", key: "a key" };
  const answers = [await generateVideo(sql, user, call), await generateVideo(sql, user, call)];
  const refusal = { error: "ERR_4003", details: { reason: "policy" } };
  assert.partialDeepStrictEqual(answers, [refusal, { ...refusal, replayed: true }]);
  assert.deepEqual(answers[0]?.limits?.map(({ policy, remaining }) => [policy, remaining]), [
    ["generation_attempts", 59],
    ["generation_attempts_network", 299],
  ]);
  assert.equal((await balancesOf(sql, user)).available, 10);

  const tables = await sql<{ name: string }[]>`
    select format('%I.%I', schemaname, tablename) as name from pg_tables
    where schemaname in ${sql(ourSchemas.concat("auth"))}`;
  assert(tables.some(({ name }) => name === "guard.idempotency_keys"));
  for (const { name } of tables) {
    const rows = await sql.unsafe(`select from ${name} as t where t::text ilike '%hortensia%'`);
    assert.equal(rows.length, 0, `${name} keeps the prompt`);
  }
});

Deno.test("the policy is asked after the attempt's limits and before the model, money and the hour's jobs", async () => {
  await addTerm(sql, "cockatrice");
  const poor = await createPayer(sql, 0);
  const call = { prompt: "A cockatrice", modelId: crypto.randomUUID() };
  assert.equal((await generateVideo(sql, poor, call)).error, "ERR_4003");
  for (let attempt = 1; attempt < 60; attempt++) await generateVideo(sql, poor, call);
  assert.equal((await generateVideo(sql, poor, call)).error, "ERR_4004");
});

Deno.test("a term is found however it is spelt", async () => {
  await addTerm(sql, "Çırılçıplak");
  for (
    const prompt of [
      "çırılçıplak",
      "ÇIRILÇIPLAK, at night",
      "(Cirilciplak)",
      "ÇİRİLÇİPLAK",
      "çırılçıplak".normalize("NFD"),
      "çırıl\u200bçıp\u00adlak\u2060",
      "ç\u0336ı\u0336rılçıplak",
      "ｃｉｒｉｌｃｉｐｌａｋ",
      "𝐜𝐢𝐫𝐢𝐥𝐜𝐢𝐩𝐥𝐚𝐤",
      "сіrіlсірlаk", // с, і, р and а are Cyrillic.
      "a\tçırılçıplak\nb",
    ]
  ) assert(await isRefused(sql, prompt), prompt);
  for (const prompt of ["", "çırıl çıplak", "çırılçıplaklar", "\u200b", "🦊"]) {
    assert(!await isRefused(sql, prompt), prompt);
  }
});

Deno.test("a pattern's words all stand in the prompt, in any order; alternatives and beginnings are one word", async () => {
  await addTerm(sql, "griffin|wyvern* lair*|nest");
  for (const prompt of ["A griffin's nest", "the lairs of wyverns", "nest, griffin, nest"]) {
    assert(await isRefused(sql, prompt), prompt);
  }
  for (const prompt of ["griffins in a nest", "a griffin and a wyvern", "lair nest", "griffin nests"]) {
    assert(!await isRefused(sql, prompt), prompt);
  }
});

Deno.test("a term holds from its row on, changes with it and ends with it", async () => {
  await addTerm(sql, "manticore");
  assert(await isRefused(sql, "a manticore"));
  await sql`update videos.moderation_terms set pattern = 'chimera' where pattern = 'manticore'`;
  assert.deepEqual([await isRefused(sql, "a manticore"), await isRefused(sql, "a chimera")], [false, true]);
  await sql`update videos.moderation_terms set action = 'flag' where pattern = 'chimera'`;
  assert(!await isRefused(sql, "a chimera"));
  await sql`update videos.moderation_terms set action = 'refuse' where pattern = 'chimera'`;
  await sql`delete from videos.moderation_terms where pattern = 'chimera'`;
  assert(!await isRefused(sql, "a chimera"));
});

Deno.test("a pattern that is none is refused when it is written, and says why", async () => {
  for (const pattern of ["", " ", "*", "a|", "don't", "ab*", "\u200b", "a b||c"]) {
    await assert.rejects(addTerm(sql, pattern), { code: "23514" }, pattern);
  }
  await assert.rejects(addTerm(sql, "kid|don't"), { message: `"don't" is not one word` });
});

Deno.test("a prompt that is flagged goes to its provider, and the operator sees why it was", async () => {
  await addTerm(sql, "kraken", "flag");
  const user = await createPayer(sql, 10);
  const flags: (string | null)[] = [];
  for (const prompt of ["A Kraken", "a ship"]) {
    const { data } = await generateVideo(sql, user, { prompt });
    assert(data && await claimSubmission(sql, data.job_id) !== null);
    flags.push(
      (await first(sql`select j.flag from videos.jobs as j where j.id = ${data.job_id}`)).flag,
    );
  }
  assert.deepEqual(flags, ["reason of kraken", null]);
});

Deno.test("a fresh project refuses sexual content with minors in each language, and nothing near it", async () => {
  for (
    const prompt of [
      "Naked children",
      "an underage girl, topless",
      "ÇIPLAK bir çocuğun resmi",
      "liseli kız, erotik",
      "una niña desnuda",
      "sexo con menores",
      "lolicon",
    ]
  ) assert(await isRefused(sql, prompt), prompt);
  for (
    const prompt of [
      "Children fly kites on a beach",
      "A nude statue in a museum",
      "Bir çocuk karda koşuyor",
      "çıplak ayakla kumsalda",
      "Una niña juega con su perro",
      "A minor earthquake shakes Essex",
    ]
  ) assert(!await isRefused(sql, prompt), prompt);
});

/** With a listed word of both halves of a term, and innocent. */
const innocent = [
  "Children look at the stars, which the naked eye can see",
  "A kid points at Jupiter. To the naked-eye observer it is a dot",
  "A toddler and a naked mole rat",
  "Kids around a naked flame",
  "A sonata in a minor key, nude on its canvas of sound",
  "Nude colours on a map of Asia Minor",
  "Ursa Minor above a nude tree",
  "Children in Essex, Sussex and Middlesex",
  "Kids learn what sextants and sextets are",
  "A kidney and a topless tower",
  "Çocuklar çıplak gözle yıldızlara bakıyor",
  "Çıplak ayakla koşan bir çocuk",
  "Çocuğun çıplak ayağı kumda",
  "Çıplak elleriyle balık tutan çocuk",
  "Çıplak ağaçların altında oynayan bebek",
  "Soyunma odasında forma giyen çocuklar",
  "Ergenekon destanı, cinsel kimliği değil",
  "Una niña mira la luna a ojo desnudo",
  "Los niños corren con los pies desnudos",
  "Un niño con las manos desnudas",
  "Niñas bajo un árbol desnudo",
  "Una sinfonía en tono menor y la verdad desnuda",
  "Asia Menor y sus montañas desnudas",
];

/** The same words, and what they mean is not. */
const meant = [
  "A naked child sees with the naked eye",
  "Naked children, their eyes open",
  "A nude minor in a minor key",
  "the eye naked children",
  "Çıplak bir çocuk çıplak gözle",
  "Çocuk, çıplak, gözleri açık",
  "Soyunan çocuk soyunma odasında",
  "Una niña desnuda, con los pies desnudos",
  "Niños desnudos",
];

Deno.test("an innocent phrase with a listed word in it passes, in three languages, and hides nothing beside it", async () => {
  for (const prompt of innocent) assert(!await isRefused(sql, prompt), prompt);
  for (const prompt of meant) assert(await isRefused(sql, prompt), prompt);
  // It is the list that lets them pass, most of them.
  await rolledBack(sql, async (sql) => {
    await sql`delete from videos.moderation_terms where action = 'allow'`;
    const refused = [];
    for (const prompt of innocent) if (await isRefused(sql, prompt)) refused.push(prompt);
    assert(refused.length > 15, `only ${refused.length}`);
  });
});

Deno.test("an allowed phrase is its words one after the other, in their order, however they are spelt", async () => {
  await addTerm(sql, "unicorn");
  await addTerm(sql, "white unicorn|unicorns latte*", "allow");
  for (const prompt of ["a white unicorn latte", "WHITE-UNICORN LATTES", "ｗｈｉｔｅ unıcorn latté"]) {
    assert(!await isRefused(sql, prompt), prompt);
  }
  for (
    const prompt of [
      "a white unicorn",
      "a unicorn white latte",
      "white unicorn with a latte",
      "a white unicorn latte for a unicorn",
    ]
  ) assert(await isRefused(sql, prompt), prompt);
  assert(!await isRefused(sql, "nothing of it"), "an allowed phrase refuses nothing by itself");
});

/** Words that are listed; and what makes another word of one, the same, or none. */
const listed = fc.constantFrom(
  ...[
    "naked",
    "nude",
    "child",
    "kids",
    "minor",
    "çıplak",
    "çocuk",
    "niña",
    "desnuda",
    "sexo",
    "asia",
    "menor",
    "eye",
    "ojo",
    "mano",
  ],
);
const pieces = fc.constantFrom(
  ...[
    "un",
    "s",
    "lar",
    "N",
    "Ç",
    "İ",
    "ı",
    "с",
    "\u0301",
    "\u200b",
    "ǁ",
    "_",
    "7",
    "ｎ",
    "𝐤",
    "🦊",
    "cat",
    "-",
    ", ",
    ". ",
    "\n",
    "'",
    "…",
  ],
);
const prompts = fc.array(
  fc.tuple(fc.oneof(listed, pieces), fc.oneof(fc.constant(" "), fc.constant(" "), pieces)),
  { maxLength: 8 },
)
  .map((words) => words.flat().join(""));

/** Beginnings and words, short ones and such as have no Latin letter. */
const alternatives = fc.constantFrom(
  ...[
    "naked",
    "nud*",
    "child*",
    "kids",
    "min*",
    "çıplak*",
    "çocuk",
    "nin*",
    "s",
    "un",
    "7",
    "ǁ",
    "eye",
    "menor",
    "кот",
    "cat*",
  ],
);
const places = fc.array(alternatives, { minLength: 1, maxLength: 3 }).map((words) => words.join("|"));
const terms = fc.record({
  pattern: fc.array(places, { minLength: 1, maxLength: 3 }).map((places) => places.join(" ")),
  action: fc.constantFrom("refuse", "refuse", "flag", "allow"),
});

Deno.test("what lets most prompts pass changes no verdict, on any prompt and with any terms", async () => {
  let found = 0;
  let passed = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(prompts, { minLength: 120, maxLength: 120 }),
      fc.option(fc.array(terms, { minLength: 1, maxLength: 4 })),
      async (prompts, terms) => {
        await rolledBack(sql, async (sql) => {
          // Without any, those of a fresh project.
          if (terms !== null) {
            await sql`delete from videos.moderation_terms`;
            await sql`
              insert into videos.moderation_terms (pattern, action, reason)
              select t.pattern, t.action, 'a reason'
              from jsonb_to_recordset(${
              sql.json(terms)
            }) as t (pattern text, action text) on conflict do nothing`;
          }
          const verdicts = () =>
            sql<{ prompt: string; action: string; term: string | null }[]>`
              select p.prompt, a.action, videos.find_moderation_term(p.prompt, a.action) as term
              from unnest(${prompts}::text[]) as p (prompt), unnest('{refuse,flag}'::text[]) as a (action)`;
          const quick = await verdicts();
          await sql`update videos.moderation_filters set pattern = ''`;
          const slow = await verdicts();
          assert.deepEqual([...quick], [...slow]);
          found += slow.filter(({ term }) => term !== null).length;
          passed += slow.filter(({ term }) => term === null).length;
        });
      },
    ),
    propertyOptions(12, 300),
  );
  assert(found > 20 && passed > 20, `${found} found, ${passed} passed`);
});

Deno.test("most prompts pass by one look", async () => {
  const [{ pattern = "" } = {}] = await sql<{ pattern: string }[]>`
    select f.pattern from videos.moderation_filters as f where f.action = 'refuse'`;
  const passes = async (prompt: string) =>
    (await first(sql<{ passes: boolean }[]>`select videos.folded(${prompt}) !~ ${pattern} as passes`)).passes;
  for (
    const prompt of [
      "A cat walks through the city at night",
      "Children fly kites",
      "Bir kedi şehirde yürüyor",
    ]
  ) {
    assert(await passes(prompt), prompt);
  }
});

Deno.test("two thousand terms that begin alike, end alike or share a word cost no more than others, fresh from their writing", async () => {
  const begin = "abcdefgh";
  const long = Array.from({ length: 400 }, (_, n) => `${begin.slice(0, 3 + n % 6)}${n}`).join(" ").slice(
    0,
    2000,
  );
  const kinds: Record<string, { pattern: string; prompts: string[] }> = {
    "beginnings of the same three letters": {
      pattern: "'abc' || left(md5(n::text), 20) || '*'",
      prompts: [long],
    },
    "beginnings that are beginnings of each other": {
      pattern:
        "left('abc' || repeat('a', n % 20) || translate(md5(n::text), '0123456789', 'ghijklmnop'), 28) || '*'",
      prompts: [long, "abcaaaaaaaaaaaaaaaaaaaaaa ".repeat(76)],
    },
    "the same word, and another": {
      pattern: "'abcdef other' || n",
      prompts: [`abcdef ${long}`.slice(0, 2000), "abcdef ".repeat(285)],
    },
    "the same beginning, and another word": {
      pattern: "'abcd* other' || n",
      prompts: [long, "abcdz ".repeat(333)],
    },
    "allowed phrases with the same word": {
      pattern: "'abcdef allowed' || n",
      prompts: ["abcdef refused ".repeat(130)],
    },
  };
  for (const [name, { pattern, prompts }] of Object.entries(kinds)) {
    await using own = await testDatabase();
    const { sql } = own;
    await sql`alter table videos.moderation_words set (autovacuum_enabled = false)`;
    const action = name.startsWith("allowed") ? "allow" : "refuse";
    await addTerm(sql, "refused");
    await sql.unsafe(`
      insert into videos.moderation_terms (pattern, action, reason)
      select ${pattern}, '${action}', 'a reason' from generate_series(1, 2000) as n on conflict do nothing`);
    const startedAt = performance.now();
    await isRefused(sql, long);
    const first = performance.now() - startedAt;
    assert(first < 300, `${name}: the first look at the pattern takes ${first} ms`);
    // Each prompt as one that the pattern does not let pass.
    await sql`update videos.moderation_filters set pattern = ''`;
    for (const prompt of prompts) {
      let best = Infinity;
      for (let turn = 0; turn < 8; turn++) {
        const startedAt = performance.now();
        await isRefused(sql, prompt);
        best = Math.min(best, performance.now() - startedAt);
      }
      console.log(`${name}: ${first.toFixed(1)} ms, then ${best.toFixed(1)} ms`);
      assert(best < 30, `${name}: ${best} ms`);
    }
  }
});
