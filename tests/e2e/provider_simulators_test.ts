/** What the simulators of Replicate and Runway have beyond the contract, and what their documents leave open. */
import assert from "node:assert/strict";
import { readMp4 } from "../../supabase/functions/_shared/videos/mp4.ts";
import * as z from "zod";
import { holdPorts } from "../../local/ports.ts";
import { simulatorControl } from "../../local/simulators/engine/control.ts";
import { type ReplicateRule, startReplicateSimulator } from "../../local/simulators/replicate/replicate.ts";
import { type RunwayRule, startRunwaySimulator } from "../../local/simulators/runway/runway.ts";
import type { Generation } from "../../supabase/functions/_shared/videos/providers/provider.ts";
import { replicateProvider } from "../../supabase/functions/_shared/videos/providers/replicate/replicate.ts";
import { runwayProvider } from "../../supabase/functions/_shared/videos/providers/runway/runway.ts";
import { eventually } from "./eventually.ts";
import { type Contract, startContract, type Subject, subjects } from "./support/provider-contract.ts";
import { elapseWhileAway } from "./support/simulator-state.ts";

function subject(name: string): Subject {
  const found = subjects.find((each) => each.name === name);
  assert(found !== undefined);
  return found;
}

async function startReplicate(): Promise<
  { contract: Contract; rules: (rule: ReplicateRule) => Promise<void> }
> {
  const contract = await startContract(subject("replicate"));
  const control = simulatorControl<ReplicateRule, unknown>(contract.simulator.url, z.unknown());
  return { contract, rules: (rule) => control.rules(rule) };
}

async function startRunway(): Promise<{ contract: Contract; rules: (rule: RunwayRule) => Promise<void> }> {
  const contract = await startContract(subject("runway"));
  const control = simulatorControl<RunwayRule, unknown>(contract.simulator.url, z.unknown());
  return { contract, rules: (rule) => control.rules(rule) };
}

const imageUrl = "https://images.example.com/first-frame.png";
const videoUrl = "https://videos.example.com/source.mp4";

Deno.test("every model takes what its adapter sends for every option it has", async () => {
  const veo = { providerModel: "google/veo-3-fast", resolution: "720p" };
  const sora = { providerModel: "openai/sora-2", resolution: "720p" };
  const veo31 = { providerModel: "veo3.1", durationSeconds: 4 };
  const options: Readonly<Record<string, Partial<Generation>[]>> = {
    replicate: [
      ...[5, 10].map((durationSeconds) => ({ durationSeconds })),
      ...["9:16", "1:1"].map((aspectRatio) => ({ aspectRatio })),
      { imageUrl },
      ...[4, 6, 8].map((durationSeconds) => ({ ...veo, durationSeconds })),
      { ...veo, durationSeconds: 4, resolution: "1080p", aspectRatio: "9:16", imageUrl },
      ...[4, 8, 12].map((durationSeconds) => ({ ...sora, durationSeconds })),
      { ...sora, durationSeconds: 4, aspectRatio: "9:16", imageUrl },
      ...["16:9", "9:16"].map((aspectRatio) => ({
        providerModel: "runwayml/gen4-aleph",
        aspectRatio,
        videoUrl,
      })),
      { providerModel: "runwayml/gen4-aleph", videoUrl, fields: { reference_images: [imageUrl], seed: 1 } },
    ],
    runway: [
      ...[2, 10].map((durationSeconds) => ({ durationSeconds })),
      { aspectRatio: "9:16" },
      ...["16:9", "9:16", "1:1"].map((aspectRatio) => ({ aspectRatio, imageUrl })),
      ...[4, 6, 8].map((durationSeconds) => ({ ...veo31, durationSeconds })),
      { ...veo31, resolution: "1080p", aspectRatio: "9:16" },
      { ...veo31, providerModel: "veo3.1_fast", resolution: "1080p", imageUrl },
    ],
  };
  for (const [name, changes] of Object.entries(options)) {
    await using contract = await startContract(subject(name));
    for (const change of changes) {
      const outcome = await contract.provider.submit({ ...contract.generation(), ...change });
      assert.equal(
        outcome.outcome,
        "accepted",
        `${name} ${JSON.stringify(change)}: ${JSON.stringify(outcome)}`,
      );
    }
  }
});

Deno.test("an input outside a model's schema is refused when it is submitted", async () => {
  const rejected = { code: "ERR_5003", details: { reason: "rejected" } };
  // What we made of the settings is no fault of the user's.
  const unavailable = { code: "ERR_5002", details: {} };
  const wrong: [string, Partial<Generation>, { code: string; details: object }][] = [
    ["replicate", { durationSeconds: 7 }, unavailable],
    ["replicate", { prompt: "" }, rejected],
    ["runway", { durationSeconds: 11 }, unavailable],
    ["runway", { prompt: "word ".repeat(201) }, rejected],
    ["runway", { imageUrl: "http://images.example.com/a.png" }, rejected],
  ];
  for (const [name, change, expected] of wrong) {
    await using contract = await startContract(subject(name));
    const outcome = await contract.provider.submit({ ...contract.generation(), ...change });
    assert(outcome.outcome === "refused", `${name}: ${JSON.stringify(outcome)}`);
    const { code, details } = outcome.failure;
    assert.deepEqual({ code, details }, expected);
  }
});

Deno.test("Replicate's output may be a list, or files by name, and is gone after its hour", async () => {
  const { contract, rules } = await startReplicate();
  await using _contract = contract;
  await rules({ output: "list" });
  const list = await (await contract.submit()).ended();
  assert(list.state === "succeeded");
  assert.equal(list.thumbnailUrl, null);
  await rules({ output: "files" });
  const files = await (await contract.submit()).ended();
  assert(files.state === "succeeded" && files.thumbnailUrl !== null);
  const thumbnail = await fetch(files.thumbnailUrl);
  assert.equal(thumbnail.headers.get("content-type"), "image/jpeg");
  await thumbnail.body?.cancel();
  await rules({ outputMilliseconds: 0 });
  const removed = await (await contract.submit()).ended();
  assert(removed.state === "failed");
  assert.deepEqual(removed.failure.details, { reason: "invalid_result" });
});

Deno.test("a webhook that Replicate signs with an old and our secret is believed", async () => {
  const { contract, rules } = await startReplicate();
  await using _contract = contract;
  await rules({ webhook: "rotated" });
  const { requestId } = await contract.submit();
  const [arrival] = await contract.endpoint.arrived(1);
  assert.equal(arrival?.headers.get("webhook-signature")?.split(" ").length, 2);
  assert.deepEqual(contract.endpoint.recorded.map((report) => report.requestId), [requestId]);
});

Deno.test("Replicate's word alone ends a prediction, however it answers a cancellation", async () => {
  const { contract, rules } = await startReplicate();
  await using _contract = contract;
  await rules({ outcome: "never", cancel: "signal" });
  const signalled = await contract.submit();
  assert.deepEqual(await signalled.cancel(), { outcome: "requested" });
  assert.deepEqual(await signalled.poll(), { state: "cancelled" });
  const [arrival] = await contract.endpoint.arrived(1);
  assert.equal(arrival?.status, 200);
  assert.equal(contract.endpoint.recorded[0]?.state.state, "cancelled");

  await rules({ runMilliseconds: 60_000, cancel: "ignored" });
  const stubborn = await contract.submit();
  assert.deepEqual(await stubborn.cancel(), { outcome: "requested" });
  await contract.simulator.control.elapse(60_000);
  assert.equal((await stubborn.ended()).state, "succeeded");

  await rules({ outcome: "never", cancel: "forgotten" });
  const forgotten = await contract.submit();
  assert.deepEqual(await forgotten.cancel(), { outcome: "requested" });
  assert.deepEqual(await forgotten.poll(), { state: "not_found" });
});

Deno.test("Runway keeps the tasks beyond the account's limit waiting", async () => {
  const { contract, rules } = await startRunway();
  await using _contract = contract;
  await rules({ throttled: true, queueMilliseconds: 60_000 });
  assert.deepEqual(await (await contract.submit()).poll(), { state: "queued" });
});

Deno.test("a task that Runway remembers as cancelled is cancelled, once more too", async () => {
  const { contract, rules } = await startRunway();
  await using _contract = contract;
  await rules({ outcome: "never", cancel: "remembered" });
  const { cancel, poll } = await contract.submit();
  assert.deepEqual(await cancel(), { outcome: "cancelled" });
  assert.deepEqual(await poll(), { state: "cancelled" });
  assert.deepEqual(await cancel(), { outcome: "cancelled" });
});

Deno.test("what a simulator had accepted, and still has to deliver, survives a restart", async () => {
  const folder = await Deno.makeTempDir({ prefix: "kinora-providers-" });
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => Deno.remove(folder, { recursive: true }));
  const arrivals: unknown[] = [];
  const receiver = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    arrivals.push(await request.json());
    return new Response();
  });
  cleanup.defer(() => receiver.shutdown());
  const generation: Generation = {
    ...{
      prompt: "a kite",
      durationSeconds: 5,
      resolution: "720p",
      aspectRatio: "9:16",
      imageUrl: null,
      videoUrl: null,
      fields: {},
    },
    ...{ providerModel: "gen4.5", webhookUrl: `http://127.0.0.1:${receiver.addr.port}/` },
  };
  const times = { queueMilliseconds: 0, runMilliseconds: 60_000 };

  const replicateFile = { ...times, stateFile: `${folder}/replicate.json` };
  const held = cleanup.use(holdPorts());
  const replicatePorts = { port: held.take(), mediaPort: held.take() };
  const firstReplicate = cleanup.use(await startReplicateSimulator({ ...replicateFile, ...replicatePorts }));
  const { token, webhookSecret } = firstReplicate;
  const replicate = replicateProvider({
    config: { token, webhookSecret, apiUrl: firstReplicate.url, resultHosts: [] },
    fetch,
  });
  const prediction = await replicate.submit({ ...generation, providerModel: "kwaivgi/kling-v2.5-turbo-pro" });
  assert(prediction.outcome === "accepted");

  const runwayFile = { ...times, stateFile: `${folder}/runway.json` };
  const runwayPorts = { port: held.take(), mediaPort: held.take() };
  const firstRunway = cleanup.use(await startRunwaySimulator({ ...runwayFile, ...runwayPorts }));
  const runway = runwayProvider({
    config: { secret: firstRunway.secret, apiUrl: firstRunway.url, resultHosts: [] },
    fetch,
  });
  const task = await runway.submit(generation);
  assert(task.outcome === "accepted");
  await firstReplicate[Symbol.asyncDispose]();
  await firstRunway[Symbol.asyncDispose]();
  for (const { stateFile } of [replicateFile, runwayFile]) await elapseWhileAway(stateFile, 60_000);

  cleanup.use(await startReplicateSimulator({ ...replicateFile, ...replicatePorts }));
  cleanup.use(await startRunwaySimulator({ ...runwayFile, ...runwayPorts }));
  assert.partialDeepStrictEqual(await eventually("the webhook that was due", () => arrivals[0]), {
    ...{ id: prediction.requestId, status: "succeeded" },
  });
  const ended = await eventually("the task ends", async () => {
    const state = await runway.poll(task.requestId, {}, "gen4.5");
    return state.state === "running" || state.state === "queued" ? undefined : state;
  });
  assert(ended.state === "succeeded");
  // The picture of the shape that was asked for.
  const video = new Uint8Array(await (await fetch(ended.videoUrl)).arrayBuffer());
  const reader = readMp4();
  assert(reader.push(video));
  assert.partialDeepStrictEqual(reader.finish(), { width: 720, height: 1280 });
});
