/**
 * One guest's whole journey, as an app makes it with the client package (docs/clients.md), a line a step. Exits non-zero as soon as anything
 * is not as it should be.
 */
import { strict as assert } from "node:assert";
import { createClient } from "@supabase/supabase-js";
import { Kinora } from "../client/src/kinora.ts";
import { readMp4 } from "../supabase/functions/_shared/videos/mp4.ts";
import { readArguments } from "./arguments.ts";
import { proveLedger, readMetrics, switchModel } from "./demo/operator.ts";
import { startDemoServer } from "./demo/server.ts";
import { playShop } from "./demo/shop.ts";
import { holdDemoDirectory, pushOn, step, watch } from "./demo/steps.ts";
import { exitOnTermination, unlessTerminating } from "./processes/process.ts";
import { defaultDirectory, demoDirectory, firstCalls, showStep, writeStatus } from "./served.ts";
import { newPushToken } from "./simulators/apns/apns.ts";
import { deviceToken } from "./simulators/device-check/device-check.ts";
import { startStackFor } from "./stack.ts";

const { values: options } = readArguments(
  `deno task demo [--serve]

Boots the whole backend and plays one guest's journey.
  --serve   go on serving afterwards, until Ctrl-C; deno task status says where`,
  { options: { serve: { type: "boolean", default: false } } },
);

const photoFile = new URL("simulators/media/landscape.jpg", import.meta.url);

/** Written anew by each demo. */
const videoFile = `${defaultDirectory}/demo.mp4`;

async function play(): Promise<void> {
  await using cleanup = new AsyncDisposableStack();
  using _termination = exitOnTermination(async () => {
    const video = await Deno.stat(videoFile).then(() => ` but ${videoFile}`, () => "");
    console.log(`\nEnding. Nothing of it stays${video}.`);
    await cleanup.disposeAsync();
  });
  if (options.serve) await holdDemoDirectory(cleanup);
  const stack = await step(
    "boot",
    "",
    () => startStackFor(cleanup, { tickMilliseconds: 1_000, onStep: showStep }),
    ({ url }) => `${url}, all of it, without Docker`,
  );
  const supabase = createClient(stack.url, stack.publishableKey, { auth: { persistSession: false } });
  const kinora = new Kinora(supabase);

  const check = await step(
    "start",
    "a guest, and a fresh token of a new device",
    () => kinora.start(() => Promise.resolve(deviceToken(`demo ${crypto.randomUUID()}`))),
    ({ user_id, initial_grant, credits_remaining }) =>
      `guest ${user_id}, ${initial_grant.status}, ${credits_remaining} credits`,
  );
  assert.deepEqual(check.initial_grant, { status: "granted", credits: 10 });

  const phone = newPushToken();
  await kinora.push.register(phone);

  const server = await startDemoServer(cleanup, stack, ["video.completed"]);
  const models = await step(
    "models",
    "",
    () => kinora.models(),
    (models) => models.map(({ name, pricing }) => `${name} (${pricing.credits} ${pricing.type})`).join(", "),
  );
  const model = models[0];
  assert(model);
  await switchModel(stack, models);

  const request = { model_id: model.id, prompt: "A red fox runs through fresh snow at dawn" };
  const intention = {
    key: crypto.randomUUID(),
    request,
    user_id: check.user_id,
    made_at: new Date().toISOString(),
  };
  const accepted = await step(
    "generate",
    `"${request.prompt}"`,
    () => kinora.generate(intention),
    (data) => `accepted, ${data.credits_used} credits held, ${data.credits_remaining} left`,
  );
  assert.equal(accepted.credits_remaining, 10 - accepted.credits_used);

  const watched = await step(
    "watch",
    `job ${accepted.job_id}`,
    () => watch(kinora, accepted.job_id),
    ({ stages, last }) => `${stages.join(" → ")}: ${last.status}`,
  );
  assert.equal(watched.last.status, "completed");

  const pushed = await step(
    "push",
    "the app is closed, and the phone shows",
    () => pushOn(phone, stack.simulators.apns),
    ({ alert }) => `"${alert.title}": ${alert.body}`,
  );
  assert.deepEqual(pushed.data, { job_id: accepted.job_id });

  await step(
    "download",
    "the signed URL",
    async () => {
      const bytes = new Uint8Array(await (await kinora.download(accepted.job_id)).arrayBuffer());
      const reader = readMp4();
      reader.push(bytes);
      const mp4 = reader.finish();
      assert(mp4, "What was stored is a playable MP4");
      await Deno.mkdir(defaultDirectory, { recursive: true });
      await Deno.writeFile(videoFile, bytes);
      return { bytes, mp4 };
    },
    ({ bytes, mp4 }) =>
      `${videoFile}: ${bytes.length} bytes, ${
        (mp4.durationMilliseconds ?? 0) / 1000
      } s, ${mp4.width}×${mp4.height}`,
  );

  const told = await step(
    "webhook",
    "another server, which verifies its signature",
    () => server.told("video.completed"),
    ({ id, data }) => `told of job ${data.job_id}, as event ${id}`,
  );
  assert.equal(told.data.job_id, accepted.job_id);

  const replay = await step(
    "same key again",
    "the same request",
    () => kinora.generate(intention),
    ({ job_id }) => `still job ${job_id}`,
  );
  assert.deepEqual(replay, accepted);

  await stack.simulators.fal.control.rules({ outcome: "failed" });
  const doomed = await step(
    "second video",
    "the provider will fail it",
    () => kinora.generate(request),
    (data) => `accepted, ${data.credits_used} credits held, ${data.credits_remaining} left`,
  );
  const failed = await step(
    "watch",
    `job ${doomed.job_id}`,
    () => watch(kinora, doomed.job_id),
    ({ stages, last }) =>
      `${stages.join(" → ")}: ${last.status} with ${last.error?.code} "${last.error?.message}"`,
  );
  assert.deepEqual([failed.last.status, failed.last.credits_used], ["failed", 0]);

  const profile = await kinora.account.profile();
  const left = profile.credits_remaining;
  assert.equal(left, 10 - accepted.credits_used, "The failed video's credits are back");

  const subscribed = await playShop(kinora, stack, { profile, left, request });
  const imageModel = models.find(({ requires_image }) => requires_image);
  assert(imageModel);
  const animated = await step(
    "a photo",
    "uploaded, cleaned, and animated",
    async () => {
      const photo = await kinora.uploads.send(
        new Blob([await Deno.readFile(photoFile)], { type: "image/jpeg" }),
      );
      const { job_id } = await kinora.generate({
        model_id: imageModel.id,
        prompt: "The dunes begin to move",
        image_upload_id: photo.upload_id,
      });
      return { photo, ...await watch(kinora, job_id), ...await kinora.credits() };
    },
    ({ photo, last, credits_remaining }) =>
      `${photo.width}×${photo.height}, ${last.status}, ${credits_remaining} credits left`,
  );
  assert.equal(animated.last.status, "completed");
  assert.equal(animated.credits_remaining, subscribed.credits_remaining - animated.last.credits_used);

  const somebody = await step(
    "link",
    "Apple's identity token",
    async () => {
      const token = await stack.simulators.appleId.identityToken({ sub: `demo ${crypto.randomUUID()}` });
      const { data, error } = await supabase.auth.linkIdentity({ provider: "apple", token });
      if (error !== null) throw error;
      return data.user;
    },
    (user) => `${user?.id}, the same, who can sign in elsewhere now`,
  );
  assert.deepEqual([somebody?.id, somebody?.is_anonymous], [check.user_id, false]);
  const merged = await step(
    "merge",
    "the guest of a second device, with 10 credits",
    async () => {
      const second = createClient(stack.url, stack.publishableKey, { auth: { persistSession: false } });
      await new Kinora(second).start(() => Promise.resolve(deviceToken(`demo ${crypto.randomUUID()}`)));
      const { data } = await second.auth.getSession();
      return await kinora.account.merge(data.session?.access_token ?? "");
    },
    ({ credits_moved, credits_remaining }) =>
      `${credits_moved} came along, ${credits_remaining} credits left`,
  );
  assert.deepEqual([merged.credits_moved, merged.credits_remaining], [10, animated.credits_remaining + 10]);

  await proveLedger(stack, merged.credits_remaining);
  await readMetrics(stack);

  if (options.serve) {
    await writeStatus(demoDirectory, stack);
    console.log(`
Serving until Ctrl-C; data and keys go with it (deno task dev keeps them).

  API               ${stack.url}
  publishable key   ${stack.publishableKey}

${firstCalls(stack)}`);
    await new Promise(() => {});
  }
}

await unlessTerminating(play);
Deno.exit(0);
