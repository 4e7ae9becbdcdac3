/** A video that is made from another one of the same user's. */
import assert from "node:assert/strict";
import { AcceptedVideo } from "../../supabase/functions/_shared/videos/contract.ts";
import { GenerateVideosResponse } from "../../supabase/functions/generate-videos/schema.ts";
import { bodyOf, errorOf } from "./support/answer.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import { ended, generate, kling, priceOfKling, submissionIs, submissionsOf } from "./support/videos.ts";

const backend = shared(() => startBackend({ fal: { queueMilliseconds: 0, runMilliseconds: 0 } }));
const restyle = "0190a000-0000-7000-8000-000000000004";
const priceOfRestyle = 3;

function ask(guest: Guest, body: Record<string, unknown>) {
  return guest.call("generate-video", {
    body: { model_id: restyle, prompt: "In oil", ...body },
    key: crypto.randomUUID(),
  });
}

/** A completed video of a new guest, who has so many credits left. */
async function withSource(credits: number): Promise<{ guest: Guest; source: string }> {
  const guest = await backend.signIn(priceOfKling + credits);
  const { job_id: source } = await generate(guest);
  assert.equal((await ended(backend, guest, source)).status, "completed");
  return { guest, source };
}

Deno.test("a video is made from the stored file of another one, by a URL that lives until it has started", async () => {
  const { guest, source } = await withSource(priceOfRestyle);
  const prompt = "A fox in oil";
  const { job_id, credits_used } = bodyOf(
    await ask(guest, { prompt, source_job_id: source, settings: { strength: 0.6 } }),
    202,
    AcceptedVideo,
  );
  assert.equal(credits_used, priceOfRestyle);
  const job = await ended(backend, guest, job_id);
  assert.equal(job.status, "completed");

  const [request] = submissionsOf(await backend.stack.simulators.fal.control.report(), prompt);
  const { video_url, strength } = request?.body as { video_url: string; strength: number };
  assert.equal(strength, 0.6);
  const [asset] = await backend.database.sql<{ path: string; bytes: number }[]>`
    select path, bytes::int from videos.assets where job_id = ${source} and kind = 'video'`;
  assert(asset);
  const file = await fetch(video_url);
  assert.deepEqual([file.headers.get("content-type"), (await file.bytes()).length], [
    "video/mp4",
    asset.bytes,
  ]);
  assert(new URL(video_url).pathname.endsWith(asset.path));
  const payload: { exp: number; iat: number } = JSON.parse(
    atob((new URL(video_url).searchParams.get("token") ?? "").split(".")[1] ?? ""),
  );
  const seconds = payload.exp - payload.iat;
  assert(seconds > 14 * 60 && seconds <= 15 * 60, `it lives ${seconds} s`);
  assert.equal(await backend.balanceOf(guest), 0);
  await backend.proveLedger();
});

Deno.test("only a completed video of one's own is a source, for models that take one", async () => {
  const { guest, source } = await withSource(20);
  const stranger = await backend.signIn(20);
  const { sql } = backend.database;
  const refusal = async (asker: Guest, body: Record<string, unknown>) => {
    const { code, details } = errorOf(await ask(asker, body));
    const fields = details.fields as { path: string }[] | undefined;
    return [code, details.status ?? fields?.map(({ path }) => path) ?? null];
  };
  assert.deepEqual(await refusal(stranger, { source_job_id: source }), ["ERR_4007", null]);
  assert.deepEqual(await refusal(guest, { source_job_id: crypto.randomUUID() }), ["ERR_4007", null]);
  assert.deepEqual(await refusal(guest, {}), ["ERR_4008", ["source_job_id"]]);
  assert.deepEqual(await refusal(guest, { source_job_id: "x" }), ["ERR_4008", ["source_job_id"]]);
  assert.deepEqual(await refusal(guest, { source_job_id: source, image_url: "https://example.com/a.png" }), [
    "ERR_4008",
    ["image_url"],
  ]);
  assert.deepEqual(await refusal(guest, { model_id: kling, source_job_id: source }), [
    "ERR_4008",
    ["source_job_id"],
  ]);

  const prompt = "A fox that takes its time";
  await backend.stack.simulators.fal.control.rules({ prompt, runMilliseconds: 60_000 });
  const running = await generate(guest, prompt);
  await submissionIs(backend, running.job_id, "accepted");
  assert.deepEqual(await refusal(guest, { source_job_id: running.job_id }), ["ERR_4009", "processing"]);
  await backend.stack.simulators.fal.control.elapse(60_000);
  await ended(backend, guest, running.job_id);

  await backend.stack.simulators.fal.control.rules({ prompt: "A fox that fails", outcome: "failed" });
  const failed = await generate(guest, "A fox that fails");
  await ended(backend, guest, failed.job_id);
  assert.deepEqual(await refusal(guest, { source_job_id: failed.job_id }), ["ERR_4009", "failed"]);

  assert.equal((await guest.call(`delete-video-job?job_id=${source}`, { method: "DELETE" })).status, 204);
  assert.deepEqual(await refusal(guest, { source_job_id: source }), ["ERR_4007", null]);
  // One whose file is gone for another reason is none either.
  await sql`update videos.assets set deleted_at = core.now() where job_id = ${running.job_id}`;
  assert.deepEqual(await refusal(guest, { source_job_id: running.job_id }), ["ERR_4007", null]);
});

Deno.test("a source stays while a video is made from it, and may go then", async () => {
  const { guest, source } = await withSource(2 * priceOfRestyle);
  const prompt = "In water colours";
  await backend.stack.simulators.fal.control.rules({ prompt, runMilliseconds: 60_000 });
  const { job_id } = bodyOf(await ask(guest, { prompt, source_job_id: source }), 202, AcceptedVideo);
  await submissionIs(backend, job_id, "accepted");
  const remove = () => guest.call(`delete-video-job?job_id=${source}`, { method: "DELETE" });
  assert.partialDeepStrictEqual(errorOf(await remove()), { code: "ERR_4009", details: { status: "in_use" } });
  await backend.stack.simulators.fal.control.elapse(60_000);
  assert.equal((await ended(backend, guest, job_id)).status, "completed");
  assert.equal((await remove()).status, 204);
});

Deno.test("of a deletion and a video from what is deleted, at the same time, one is refused", async () => {
  for (let round = 0; round < 5; round += 1) {
    const { guest, source } = await withSource(priceOfRestyle);
    const prompt = `In chalk ${round}`;
    await backend.stack.simulators.fal.control.rules({ prompt, outcome: "never" });
    const [made, removed] = await Promise.all([
      ask(guest, { prompt, source_job_id: source }),
      guest.call(`delete-video-job?job_id=${source}`, { method: "DELETE" }),
    ]);
    assert([`${[202, 409]}`, `${[404, 204]}`].includes(`${[made.status, removed.status]}`), `${made.status}`);
  }
});

Deno.test("items of several have sources of their own", async () => {
  const { guest, source } = await withSource(2 * priceOfRestyle);
  const item = (prompt: string, source_job_id: string) => ({ model_id: restyle, prompt, source_job_id });
  const several = (mode: string, items: unknown[]) =>
    guest.call("generate-videos", { body: { mode, items }, key: crypto.randomUUID() });
  const items = [item("In ink", source), item("In ink too", crypto.randomUUID())];
  const refused = errorOf(await several("all", items));
  assert.deepEqual([refused.code, refused.details.index], ["ERR_4007", 1]);
  const { results: [first, second] } = bodyOf(await several("any", items), 202, GenerateVideosResponse);
  assert(first && "job_id" in first && second && "error" in second);
  assert.equal(second.error.code, "ERR_4007");
  assert.equal((await ended(backend, guest, first.job_id)).status, "completed");
});
