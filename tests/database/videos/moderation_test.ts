/** Terms: what a prompt must not say is refused before money is held, however it is spelt, and leaves no trace. */
import assert from "node:assert/strict";
import { claimSubmission } from "../support/generation.ts";
import { balancesOf, first, type Sql } from "../support/ledger.ts";
import { ourSchemas } from "../support/our-schemas.ts";
import { sharedDatabase } from "../support/shared-database.ts";
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
