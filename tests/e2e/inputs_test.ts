/** What a model takes beside prompt and size, from the catalogue to the provider. */
import assert from "node:assert/strict";
import { AcceptedVideo } from "../../supabase/functions/_shared/videos/contract.ts";
import { ModelsResponse } from "../../supabase/functions/models/schema.ts";
import { bodyOf, errorOf } from "./support/answer.ts";
import { type Backend, type Guest, startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import { bringUpload } from "./support/uploads.ts";
import { ended, kling, priceOfKling, submissionIs, submissionsOf } from "./support/videos.ts";

const backend = shared(() => startBackend({ fal: { queueMilliseconds: 0, runMilliseconds: 0 } }));
const veo = "0190a000-0000-7000-8000-000000000002";

function ask(guest: Guest, body: Record<string, unknown>) {
  return guest.call("generate-video", {
    body: { model_id: kling, prompt: "A fox", ...body },
    key: crypto.randomUUID(),
  });
}

/** What fal was asked for by this prompt. */
async function sentFor({ stack }: Pick<Backend, "stack">, prompt: string): Promise<Record<string, unknown>> {
  const [request, ...others] = submissionsOf(await stack.simulators.fal.control.report(), prompt);
  assert(request && others.length === 0);
  return { ...request.body as object };
}

Deno.test("an option of a provider's is a row and a mapping: the catalogue shows it, settings take it, the provider gets it", async () => {
  const { sql } = backend.database;
  const added = { name: "cfg_scale", type: "number", min: 0, max: 1, default: 0.5, price_factor: 2 };
  await sql`update videos.models set inputs = inputs || ${sql.json([added])} where id = ${kling}`;
  await sql`
    update videos.model_providers set inputs = inputs || '{"cfg_scale": {"field": "cfg_scale"}}'
    where model_id = ${kling}`;
  await backend.stack.functions.reload();
  try {
    const guest = await backend.signIn(3 * priceOfKling);
    const { models } = bodyOf(await guest.call("models"), 200, ModelsResponse);
    const model = models.find(({ id }) => id === kling);
    assert.deepEqual(model?.inputs.find(({ name }) => name === "cfg_scale"), added);

    const settings = { cfg_scale: 0.7, negative_prompt: "Blur\nand noise" };
    const accepted = bodyOf(await ask(guest, { prompt: "A fox with options", settings }), 202, AcceptedVideo);
    assert.equal(accepted.credits_used, 2 * priceOfKling);
    const job = await ended(backend, guest, accepted.job_id);
    assert.equal(job.status, "completed");
    assert.partialDeepStrictEqual(job.settings, settings);
    assert.partialDeepStrictEqual(await sentFor(backend, "A fox with options"), settings);

    // Its default costs nothing more, and is sent as it is declared.
    const plain = bodyOf(await ask(guest, { prompt: "A fox without" }), 202, AcceptedVideo);
    assert.equal(plain.credits_used, priceOfKling);
    await ended(backend, guest, plain.job_id);
    assert.equal((await sentFor(backend, "A fox without")).cfg_scale, 0.5);

    for (
      const [name, value] of [["cfg_scale", 1.01], ["cfg_scale", "1"], ["motion", 1], ["Motion!", 1], [
        "seed",
        true,
      ]]
    ) {
      const { code, details } = errorOf(await ask(guest, { settings: { [String(name)]: value } }));
      assert.equal(code, "ERR_4008");
      assert.deepEqual((details.fields as { path: string }[]).map(({ path }) => path), [`settings.${name}`]);
    }
    // Forms that no input has are known without the database.
    for (const value of [{}, [1], Array(21).fill(crypto.randomUUID()), "a\u0007", "x".repeat(2001)]) {
      assert.equal(errorOf(await ask(guest, { settings: { negative_prompt: value } })).code, "ERR_4008");
    }
    await backend.proveLedger();
  } finally {
    await sql`
      update videos.models set inputs = jsonb_path_query_array(inputs, '$[*] ? (@.name != "cfg_scale")')
      where id = ${kling}`;
    await sql`update videos.model_providers set inputs = inputs - 'cfg_scale' where model_id = ${kling}`;
  }
});

Deno.test("sound costs what the catalogue says, and is made only where it is asked for", async () => {
  const guest = await backend.signIn(20);
  const make = async (prompt: string, settings: Record<string, unknown>) => {
    const accepted = bodyOf(await ask(guest, { model_id: veo, prompt, settings }), 202, AcceptedVideo);
    await ended(backend, guest, accepted.job_id);
    const { generate_audio, seed } = await sentFor(backend, prompt);
    return [accepted.credits_used, generate_audio, seed];
  };
  assert.deepEqual(await make("A silent sea", {}), [4, false, undefined]);
  assert.deepEqual(await make("A loud sea", { audio: true, seed: 7 }), [6, true, 7]);
  assert.deepEqual(await make("A sea of null", { audio: null, seed: null }), [4, false, undefined]);
});

Deno.test("a text among the settings is judged as the prompt is", async () => {
  const guest = await backend.signIn(priceOfKling);
  const refused = await ask(guest, { settings: { negative_prompt: "lolicon" } });
  assert.partialDeepStrictEqual(errorOf(refused), { code: "ERR_4003", details: { reason: "policy" } });

  // And by the service, which sees both.
  await backend.stack.simulators.openAi.control.rules({
    prompt: "no herons",
    effect: "flagged",
    categories: ["x"],
  });
  const { job_id } = bodyOf(
    await ask(guest, { prompt: "A lake", settings: { negative_prompt: "no herons" } }),
    202,
    AcceptedVideo,
  );
  const job = await ended(backend, guest, job_id);
  assert.deepEqual([job.status, job.error?.code], ["failed", "ERR_4003"]);
  assert.equal(await backend.balanceOf(guest), priceOfKling);
});

Deno.test("a picture among the settings is the caller's own, judged, signed for the provider and kept meanwhile", async () => {
  const { sql } = backend.database;
  const inputs = [{ name: "end_image", type: "image" }, { name: "references", type: "images", max: 2 }];
  await sql`update videos.models set inputs = inputs || ${sql.json(inputs)} where id = ${kling}`;
  await sql`
    update videos.model_providers set inputs = inputs || '{
      "end_image": {"field": "tail_image_url"}, "references": {"field": "image_urls"}
    }' where model_id = ${kling}`;
  try {
    const guest = await backend.signIn(3 * priceOfKling);
    const stranger = await backend.signIn(priceOfKling);
    const [first, second] = [await bringUpload(guest), await bringUpload(guest)];
    const settings = { end_image: first.upload_id, references: [first.upload_id, second.upload_id] };
    for (const foreign of [{ end_image: first.upload_id }, { references: [second.upload_id] }]) {
      assert.equal(errorOf(await ask(stranger, { settings: foreign })).code, "ERR_4007");
    }

    const prompt = "A fox between two pictures";
    await backend.stack.simulators.fal.control.rules({ prompt, runMilliseconds: 60_000 });
    const { job_id } = bodyOf(await ask(guest, { prompt, settings }), 202, AcceptedVideo);
    await submissionIs(backend, job_id, "accepted");
    const { tail_image_url, image_urls } = await sentFor(backend, prompt);
    assert(typeof tail_image_url === "string" && Array.isArray(image_urls));
    assert.equal(image_urls.length, 2);
    for (const url of [tail_image_url, ...image_urls]) {
      const picture = await fetch(url);
      assert.equal(picture.headers.get("content-type"), "image/jpeg");
      await picture.body?.cancel();
    }
    const inUse = await guest.call(`uploads?upload_id=${second.upload_id}`, { method: "DELETE" });
    assert.partialDeepStrictEqual(errorOf(inUse), { code: "ERR_4009", details: { status: "in_use" } });
    await backend.stack.simulators.fal.control.elapse(60_000);
    await ended(backend, guest, job_id);
    assert.equal(
      (await guest.call(`uploads?upload_id=${second.upload_id}`, { method: "DELETE" })).status,
      204,
    );
    assert.equal(errorOf(await ask(guest, { settings })).code, "ERR_4007");
  } finally {
    await sql`
      update videos.models set inputs = jsonb_path_query_array(inputs, '$[*] ? (!(@.type starts with "image"))')
      where id = ${kling}`;
    await sql`
      update videos.model_providers set inputs = inputs - '{end_image,references}'::text[] where model_id = ${kling}`;
  }
});
