/** Who gets prompts and images: shown, accepted, and where the operator asks for it, nobody gets one before. */
import assert from "node:assert/strict";
import * as z from "zod/mini";
import { Profile } from "../../supabase/functions/_shared/accounts/contract.ts";
import { AcceptedVideo } from "../../supabase/functions/_shared/videos/contract.ts";
import { ModelsResponse } from "../../supabase/functions/models/schema.ts";
import { shared } from "../shared.ts";
import { assertError, bodyOf, errorOf } from "./support/answer.ts";
import { type Backend, type Guest, startBackend } from "./support/backend.ts";
import { kling, priceOfKling } from "./support/videos.ts";

const backend: Backend = shared(startBackend);

async function ask(isAsked: boolean): Promise<void> {
  await backend.database.sql`
    update ops.feature_flags set is_enabled = ${isAsked} where key = 'processing_consent'`;
}

const body = { model_id: kling, prompt: "A fox" };
const accept = (guest: Guest, accepted_processors: string[]) =>
  guest.call("user-profile", { method: "PATCH", body: { accepted_processors } });

async function processorsOf(guest: Guest): Promise<string[]> {
  const { models } = bodyOf(await guest.call("models"), 200, ModelsResponse);
  return models.find(({ id }) => id === kling)?.processed_by ?? [];
}

Deno.test("models tell who gets prompts: their providers that are enabled, and the moderation", async () => {
  const guest = await backend.signIn();
  const { sql } = backend.database;
  const providers = await sql<{ provider: string }[]>`
    select provider from videos.model_providers where model_id = ${kling} order by provider`;
  const expected = [...providers.map(({ provider }) => provider), "openai"].sort();
  assert.deepEqual(await processorsOf(guest), expected);
  assert(expected.length > 1);
});

Deno.test("nothing is asked where the operator does not ask", async () => {
  await ask(false);
  const guest = await backend.signIn(priceOfKling);
  assert.equal((await guest.call("generate-video", { key: "k", body })).status, 202);
});

Deno.test("a prompt goes to nobody whom its user has not accepted, and with the same key once they have", async () => {
  await ask(true);
  try {
    const guest = await backend.signIn(2 * priceOfKling);
    const processors = await processorsOf(guest);
    const { openAi, fal } = backend.stack.simulators;
    await Promise.all([openAi.control.reset(), fal.control.reset()]);
    // None of them, others, and all but one.
    for (const accepted of [[], ["somebody-else"], processors.slice(1)]) {
      bodyOf(await accept(guest, accepted), 200, Profile);
      const refused = errorOf(await guest.call("generate-video", { key: "key", body }), "ERR_4021");
      assert.deepEqual(z.array(z.string()).parse(refused.details.processors), processors);
    }
    await backend.stack.tick();
    assert.deepEqual((await openAi.control.report()).requests, [], "nothing was sent");
    assert.equal(await backend.balanceOf(guest), 2 * priceOfKling, "nor held");

    const all = [...processors, "another"].toReversed();
    const profile = bodyOf(await accept(guest, all), 200, Profile);
    assert.deepEqual(profile.accepted_processors, all.toSorted());
    bodyOf(await guest.call("generate-video", { key: "key", body }), 202, AcceptedVideo);

    // What is taken back counts at once; a video that was accepted before goes on, and its key is a replay.
    await accept(guest, []);
    const replayed = await guest.call("generate-video", { key: "key", body });
    assert.equal(replayed.headers.get("idempotency-replayed"), "true");
    assertError(await guest.call("generate-video", { key: "next", body }), "ERR_4021", "taken back");
  } finally {
    await ask(false);
  }
});

Deno.test("a provider that is new asks for consent anew, and one that is switched off is not asked about", async () => {
  await ask(true);
  const { sql } = backend.database;
  const guest = await backend.signIn(2 * priceOfKling);
  const processors = await processorsOf(guest);
  assert(!processors.includes("replicate"));
  try {
    await accept(guest, processors);
    await sql`
      insert into videos.model_providers (model_id, preference, provider, provider_model, cost_cents)
      values (${kling}, 9, 'replicate', 'kwaivgi/kling', 25)`;
    const refused = errorOf(await guest.call("generate-video", { key: "one", body }), "ERR_4021");
    assert.deepEqual(refused.details.processors, [...processors, "replicate"].sort());
    await sql`update videos.providers set is_enabled = false where name = 'replicate'`;
    assert.equal((await guest.call("generate-video", { key: "one", body })).status, 202);
  } finally {
    await sql`delete from videos.model_providers where model_id = ${kling} and provider = 'replicate'`;
    await sql`update videos.providers set is_enabled = true where name = 'replicate'`;
    await ask(false);
  }
});
