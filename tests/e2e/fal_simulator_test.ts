import assert from "node:assert/strict";
import { type FalRule, startFalSimulator } from "../../local/simulators/fal/fal.ts";
import { eventually } from "./eventually.ts";
import { ended, startFal } from "./fal-harness.ts";

const minute = 60_000;

const veo = { providerModel: "fal-ai/veo3/fast", durationSeconds: 4, resolution: "720p" };
const sora = { providerModel: "fal-ai/sora-2/text-to-video", durationSeconds: 4, resolution: "720p" };

Deno.test("a generation passes through the queue, runs, and results in a video", async () => {
  await using fal = await startFal({ queueMilliseconds: minute, runMilliseconds: minute });
  const { poll } = await fal.submit();
  assert.deepEqual(await poll(), { state: "queued" });
  await fal.simulator.control.elapse(minute);
  assert.deepEqual(await poll(), { state: "running", percent: null });
  await fal.simulator.control.elapse(minute);
  const state = await poll();
  assert(state.state === "succeeded");
  assert.equal(new URL(state.videoUrl).host, fal.simulator.mediaHost);
  assert.equal(state.thumbnailUrl, null);
});

Deno.test("every model takes what the adapter sends for every option it has", async () => {
  await using fal = await startFal({ queueMilliseconds: 0, runMilliseconds: 0 });
  const imageUrl = "https://images.example.com/first-frame.png";
  const videoUrl = "https://videos.example.com/source.mp4";
  const options = [
    ...[5, 10].map((durationSeconds) => ({ durationSeconds })),
    ...["9:16", "1:1"].map((aspectRatio) => ({ aspectRatio })),
    ...[4, 6, 8].map((durationSeconds) => ({ ...veo, durationSeconds })),
    { ...veo, aspectRatio: "9:16", resolution: "1080p" },
    ...[4, 8, 12].map((durationSeconds) => ({ ...sora, durationSeconds })),
    { ...sora, aspectRatio: "9:16" },
    { ...sora, providerModel: "fal-ai/sora-2/image-to-video", imageUrl },
    { providerModel: "fal-ai/krea-wan-14b/video-to-video", videoUrl, fields: { strength: 0.5, seed: 1 } },
    { ...veo, durationSeconds: 4, fields: { generate_audio: true, negative_prompt: "blur", seed: 1 } },
  ];
  for (const change of options) {
    const { poll } = await fal.submit(change);
    assert.equal((await ended(poll)).state, "succeeded", JSON.stringify(change));
  }
});

Deno.test("a model refuses an input outside its schema when it runs", async () => {
  await using fal = await startFal({ queueMilliseconds: 0, runMilliseconds: 0 });
  for (
    const change of [{ durationSeconds: 7 }, { ...veo, durationSeconds: 5 }, { ...sora, resolution: "4k" }]
  ) {
    const { poll } = await fal.submit(change);
    const state = await ended(poll);
    assert(state.state === "failed");
    // What we made of the settings is no fault of the user's.
    assert.equal(state.failure.code, "ERR_5002");
    assert.match(state.failure.cause, /literal_error/);
  }
});

Deno.test("what only fal does to a submission decides as much whether it may be sent again", async () => {
  await using fal = await startFal();
  const cases: [FalRule, string, { jobs: number }][] = [
    [{ submit: "foreign_urls" }, "accepted", { jobs: 1 }],
    [{ submit: "error", status: 503, errorType: "runner_scheduling_failure" }, "not_accepted", { jobs: 0 }],
    [{ submit: "content_policy" }, "refused", { jobs: 0 }],
  ];
  for (const [rule, expected, { jobs }] of cases) {
    await fal.simulator.control.reset();
    const before = (await fal.simulator.control.report()).jobs.length;
    await fal.simulator.control.rules(rule);
    const outcome = await fal.fal.submit(fal.generation());
    const name = JSON.stringify(rule);
    assert.equal(outcome.outcome, expected, name);
    const report = await fal.simulator.control.report();
    assert.equal(report.jobs.length - before, jobs, name);
    assert.equal(report.requests.filter(({ method }) => method === "POST").length, 1, `${name}: sent once`);
    assert.deepEqual(report.requests.filter(({ host }) => host === "media"), [], `${name}: no key elsewhere`);
    if (rule.submit === "content_policy") {
      assert(outcome.outcome === "refused" && outcome.failure.code === "ERR_4003");
    }
  }
});

Deno.test("a submission whose answer was lost is found by the id that its webhook names", async () => {
  await using fal = await startFal({ queueMilliseconds: 0, runMilliseconds: 0 });
  await fal.simulator.control.rules({ submit: "answer_lost" });
  assert.equal((await fal.fal.submit(fal.generation())).outcome, "unknown");
  const verdict = await eventually("its webhook", () => fal.receiver.deliveries[0]?.verdict);
  assert(verdict.valid);
  const state = await fal.fal.poll(verdict.event.requestId, {}, fal.generation().providerModel);
  assert.deepEqual(state, verdict.event.state);
});

Deno.test("a generation that fails does so in the terms of our registry", async () => {
  await using fal = await startFal({ queueMilliseconds: 0, runMilliseconds: 0 });
  const cases: [FalRule, string, string | undefined][] = [
    [{ outcome: "failed" }, "ERR_5002", undefined],
    [{ outcome: "failed", errorType: "request_timeout" }, "ERR_5001", undefined],
    [{ outcome: "content_policy" }, "ERR_4003", "provider_policy"],
    [{ outcome: "result_missing" }, "ERR_5003", "invalid_result"],
    [{ outcome: "result_malformed" }, "ERR_5003", "invalid_result"],
  ];
  for (const [rule, code, reason] of cases) {
    await fal.simulator.control.rules(rule);
    const { poll, requestId } = await fal.submit();
    const state = await ended(poll);
    assert(state.state === "failed", JSON.stringify(rule));
    assert.deepEqual([state.failure.code, state.failure.details.reason], [code, reason]);
    const { verdict } = await eventually(
      "its webhook",
      () =>
        fal.receiver.deliveries.find(({ verdict }) => verdict.valid && verdict.event.requestId === requestId),
    );
    assert(verdict.valid);
    // fal cannot put what is not JSON into a webhook; all else it tells the same way there.
    const expected = rule.outcome === "result_malformed" ? { state: "unreachable" } : state;
    assert.partialDeepStrictEqual(verdict.event.state, expected);
  }
});

Deno.test("a cancellation ends a generation by fal's own word alone", async () => {
  await using fal = await startFal();
  const { providerModel } = fal.generation();
  const cancel = (requestId: string) => fal.fal.cancel(requestId, {}, providerModel);

  await fal.simulator.control.rules({ queueMilliseconds: minute });
  const queued = await fal.submit();
  assert.deepEqual(await cancel(queued.requestId), { outcome: "requested" });
  assert.deepEqual(await queued.poll(), { state: "cancelled", isUnbilled: true });
  assert.deepEqual(await cancel(queued.requestId), { outcome: "too_late" });

  await fal.simulator.control.rules({ queueMilliseconds: 0, outcome: "never" });
  const running = await fal.submit();
  assert.equal((await running.poll()).state, "running");
  assert.deepEqual(await cancel(running.requestId), { outcome: "requested" });
  assert.deepEqual(await running.poll(), { state: "cancelled", isUnbilled: true });
  const { verdict } = await eventually("the runner's word", () => fal.receiver.deliveries[0]);
  assert(verdict.valid);
  assert.deepEqual([verdict.event.requestId, verdict.event.state.state], [running.requestId, "cancelled"]);

  await fal.simulator.control.rules({ cancel: "ignored", runMilliseconds: minute });
  const stubborn = await fal.submit();
  assert.deepEqual(await cancel(stubborn.requestId), { outcome: "requested" });
  await fal.simulator.control.elapse(2 * minute);
  assert.equal((await ended(stubborn.poll)).state, "succeeded");

  await fal.simulator.control.rules({ cancel: "forgotten", runMilliseconds: minute });
  const forgotten = await fal.submit();
  assert.deepEqual(await cancel(forgotten.requestId), { outcome: "requested" });
  assert.deepEqual(await forgotten.poll(), { state: "not_found" });
  assert.deepEqual(await cancel(forgotten.requestId), { outcome: "not_found" });
});

Deno.test("a generation that fal has forgotten has no video any more", async () => {
  await using fal = await startFal({ queueMilliseconds: 0, runMilliseconds: minute });
  const statusOf = async (requestId: string) => {
    const response = await fetch(`${fal.simulator.mediaUrl}/files/${requestId}/output.mp4`);
    await response.body?.cancel();
    return response.status;
  };
  await fal.simulator.control.rules({ cancel: "forgotten" });
  const { requestId } = await fal.submit();
  assert.equal(await statusOf(requestId), 200);
  await fal.fal.cancel(requestId, {}, fal.generation().providerModel);
  assert.equal(await statusOf(requestId), 404);
});

Deno.test("a state file that is not the simulator's is named, and stays as it is", async () => {
  const stateFile = await Deno.makeTempFile({ suffix: ".json" });
  try {
    const text = '{"jobs": [{"endpoint": "of an earlier version"}]}';
    await Deno.writeTextFile(stateFile, text);
    await assert.rejects(startFalSimulator({ stateFile }), (error) => {
      assert(error instanceof Error && error.message.includes(`${stateFile} is no state`), String(error));
      return true;
    });
    assert.equal(await Deno.readTextFile(stateFile), text);
  } finally {
    await Deno.remove(stateFile);
  }
});
