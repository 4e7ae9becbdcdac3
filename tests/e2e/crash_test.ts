/**
 * The functions' process is killed, as a crash or the platform's end of an isolate would: what was accepted is carried to
 * its end by the rows that are there, and is paid once.
 */
import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";
import * as z from "zod";
import { eventually } from "./eventually.ts";
import type { Stack } from "../../local/stack.ts";
import { type Backend, type Guest, startBackend } from "./support/backend.ts";
import { deliveryOf, makeUntold, send } from "./support/fal-webhook.ts";
import {
  acceptedOf,
  beyondDeadline,
  ended,
  generate,
  kling,
  priceOfKling,
  submissionIs,
  videoStatus,
} from "./support/videos.ts";

let backend: Backend;

/** A host of results that answers when a test says so. */
interface SlowMedia extends AsyncDisposable {
  readonly url: string;
  readonly host: string;
  /** How often the video was asked for. */
  asked: number;
  /** Answers all requests, those that wait and those to come. */
  release(): void;
}

async function startSlowMedia(): Promise<SlowMedia> {
  const video = await Deno.readFile(new URL("../../local/simulators/media/landscape.mp4", import.meta.url));
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async () => {
    started.asked++;
    await released;
    return new Response(video, { headers: { "content-type": "video/mp4" } });
  });
  const host = `127.0.0.1:${server.addr.port}`;
  const started = {
    url: `http://${host}/video.mp4`,
    host,
    asked: 0,
    release,
    async [Symbol.asyncDispose]() {
      release();
      await server.shutdown();
    },
  };
  return started;
}

Deno.test.beforeAll(async () => {
  backend = await startBackend();
});
Deno.test.afterAll(() => backend[Symbol.asyncDispose]());

async function assertPaidOnce(
  guest: Guest,
  jobId: string,
  prompt: string,
  where: Backend = backend,
): Promise<void> {
  const job = await ended(where, guest, jobId);
  assert.deepEqual([job.status, job.credits_used], ["completed", priceOfKling]);
  assert.equal(await where.balanceOf(guest), priceOfKling);
  const report = await where.stack.simulators.fal.control.report();
  assert.equal(acceptedOf(report, prompt).length, 1, "requests at the provider");
  const [counts] = await where.database.sql`
    select (select count(*)::int from credits.transfers where job_id = ${jobId} and kind = 'capture') as captures,
           (select count(*)::int from generation.assets where job_id = ${jobId} and kind = 'video') as videos,
           (select count(*)::int from generation.tasks where subject = ${jobId}) as tasks`;
  assert.deepEqual({ ...counts }, { captures: 1, videos: 1, tasks: 0 });
  await where.proveLedger();
}

/** Kills the functions, and starts them again after `meanwhile`. */
async function crash({ functions }: Stack, meanwhile?: () => Promise<unknown>): Promise<void> {
  await functions.kill();
  await meanwhile?.();
  await functions.start();
}

Deno.test("killed while the provider takes the job: its webhook brings the video, and nobody sends the job again", async () => {
  const prompt = "Killed while submitting";
  await backend.stack.simulators.fal.control.rules({
    prompt,
    submit: "slow",
    submitMilliseconds: 60_000,
    runMilliseconds: 500,
  });
  const guest = await backend.signIn(2 * priceOfKling);
  const { job_id: jobId } = await generate(guest, prompt);
  await eventually("the provider has the job", async () => {
    return acceptedOf(await backend.stack.simulators.fal.control.report(), prompt).length === 1 || undefined;
  });
  await crash(backend.stack);
  // Its lease is over: whoever sent it did not come back.
  await backend.database.advance(61_000);
  await backend.stack.tick();
  await assertPaidOnce(guest, jobId, prompt);
});

Deno.test("killed while the provider works: the webhook that nobody took comes again", async () => {
  const prompt = "Killed while generating";
  await backend.stack.simulators.fal.control.rules({ prompt, runMilliseconds: 300 });
  const guest = await backend.signIn(2 * priceOfKling);
  const { job_id: jobId } = await generate(guest, prompt);
  await submissionIs(backend, jobId, "accepted");
  await crash(backend.stack, () =>
    eventually("a webhook was not taken", async () => {
      const { deliveries } = await backend.stack.simulators.fal.control.report();
      return deliveries.some(({ attempts, state }) => state === "due" && attempts > 0) || undefined;
    }));
  await assertPaidOnce(guest, jobId, prompt);
});

Deno.test("killed while the video is stored: it is fetched again when the lease is over, and stored once", async () => {
  const prompt = "Killed while storing";
  await using media = await startSlowMedia();
  await using slow = await startBackend({ environment: { FAL_RESULT_HOSTS: media.host } });
  const guest = await slow.signIn(2 * priceOfKling);
  const video = await makeUntold(slow, guest, prompt);
  assert.equal((await send(slow, await deliveryOf(slow, video, {}, media.url))).status, 200);
  await eventually("the video is being fetched", () => media.asked === 1 || undefined);
  assert.equal((await videoStatus(guest, video.jobId)).progress.stage, "storing");
  await crash(slow.stack);
  assert.equal(await slow.stack.tick(), 0, "the lease still holds");

  media.release();
  await slow.database.advance(181_000);
  assert.equal(await slow.stack.tick(), 1);
  await assertPaidOnce(guest, video.jobId, prompt, slow);
  assert.equal(media.asked, 2);
});

Deno.test("killed right after the answer, with every webhook lost: the scheduler alone brings the video", async () => {
  const prompt = "Only the scheduler";
  await backend.stack.simulators.fal.control.rules({ prompt, webhook: "lost" });
  const guest = await backend.signIn(2 * priceOfKling);
  // What the endpoint does before its answer, and nothing after it.
  const service = createClient(backend.stack.url, backend.stack.secretKey, {
    auth: { persistSession: false },
  });
  const { data, error } = await service.rpc("generate_video", {
    p_user_id: guest.id,
    p_network: null,
    p_idempotency_key: "scheduler",
    p_fingerprint: "0".repeat(64),
    p_request_id: "only-the-scheduler",
    p_model_id: kling,
    p_prompt: prompt,
    p_settings: {},
    p_image_url: null,
  });
  assert.equal(error, null);
  const { data: { job_id: jobId } } = z.object({ data: z.object({ job_id: z.uuid() }) }).parse(data);
  assert.equal(await backend.stack.tick(), 0, "the endpoint would submit at once");
  await backend.database.advance(2_000);
  assert.equal(await backend.stack.tick(), 1);
  await submissionIs(backend, jobId, "accepted");
  // A poll finds it, and the worker that polled stores it.
  await backend.database.advance(60_000);
  assert.equal(await backend.stack.tick(), 1);
  await assertPaidOnce(guest, jobId, prompt);
});

Deno.test("ten jobs, through three kills: each is completed and paid, or was never at the provider and is free", async () => {
  const { stack, database } = backend;
  const prompts = Array.from({ length: 10 }, (_, number) => `Through three kills, ${number}`);
  await stack.simulators.fal.control.rules({
    prompt: "Through three kills",
    runMilliseconds: 100,
    times: null,
  });
  const guest = await backend.signIn(11 * priceOfKling);
  const jobs = await Promise.all(
    prompts.map(async (prompt) => ({ prompt, ...await generate(guest, prompt) })),
  );
  for (let kills = 0; kills < 3; kills++) {
    await crash(stack);
    await stack.tick();
  }
  await eventually("every webhook has been taken", async () => {
    const { deliveries } = await stack.simulators.fal.control.report();
    return deliveries.every(({ state }) => state !== "due") || undefined;
  });
  // Beyond every lease; then those are left whose sender was killed between its claim and its request.
  await database.advance(181_000);
  await stack.tick();
  await eventually("nobody is at work", async () => {
    await stack.tick();
    const [left] = await database.sql<
      { tasks: number }[]
    >`select count(*)::int as tasks from generation.tasks`;
    return left?.tasks === 0 || undefined;
  });
  await database.advance(beyondDeadline);
  await stack.tick();

  let completed = 0;
  for (const { job_id, prompt } of jobs) {
    const job = await ended(backend, guest, job_id);
    const { length } = acceptedOf(await stack.simulators.fal.control.report(), prompt);
    if (job.status === "completed") completed++;
    else assert.deepEqual([job.status, job.error?.code, job.credits_used], ["failed", "ERR_5001", 0]);
    assert.equal(length, job.status === "completed" ? 1 : 0, "requests at the provider");
  }
  assert.equal(await backend.balanceOf(guest), (11 - completed) * priceOfKling);
  await backend.proveLedger();
});
