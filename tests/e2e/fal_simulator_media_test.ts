import assert from "node:assert/strict";
import type { FalRule } from "../../local/simulators/fal/fal.ts";
import { ended, type FalHarness, startFal } from "./fal-harness.ts";

const none = { queueMilliseconds: 0, runMilliseconds: 0 };

/** The answer to the request for a generation's video. */
async function video(fal: FalHarness, rule: FalRule = {}, aspectRatio = "16:9"): Promise<Response> {
  await fal.simulator.control.rules(rule);
  const { poll } = await fal.submit({ aspectRatio });
  const state = await ended(poll);
  assert(state.state === "succeeded");
  return await fetch(state.videoUrl, { redirect: "manual" });
}

/** The text of a box's type, of which an MP4 is a sequence. */
const boxType = (bytes: Uint8Array, offset = 0) =>
  new TextDecoder().decode(bytes.subarray(offset + 4, offset + 8));

Deno.test("a result is an MP4 in the shape that was asked for, whose index comes first", async () => {
  await using fal = await startFal(none);
  const sizes = await Promise.all(["16:9", "9:16"].map(async (aspectRatio) => {
    const response = await video(fal, {}, aspectRatio);
    assert.equal(response.headers.get("content-type"), "video/mp4");
    const bytes = await response.bytes();
    assert.equal(response.headers.get("content-length"), String(bytes.byteLength));
    assert.equal(boxType(bytes), "ftyp");
    assert.equal(boxType(bytes, new DataView(bytes.buffer).getUint32(0)), "moov");
    assert(bytes.byteLength < 150_000);
    return bytes.byteLength;
  }));
  assert.notEqual(sizes[0], sizes[1]);
});

Deno.test("a model that makes thumbnails has a JPEG beside its video", async () => {
  await using fal = await startFal(none);
  const change = { providerModel: "fal-ai/sora-2/text-to-video", durationSeconds: 4, resolution: "720p" };
  const state = await ended((await fal.submit(change)).poll);
  assert(state.state === "succeeded" && state.thumbnailUrl !== null);
  const bytes = await (await fetch(state.thumbnailUrl)).bytes();
  assert.deepEqual([...bytes.subarray(0, 3)], [0xff, 0xd8, 0xff]);
});

Deno.test("a result can be missing, no video, elsewhere, or end too early", async () => {
  await using fal = await startFal(none);
  const missing = await video(fal, { media: "missing" });
  assert.equal(missing.status, 404);
  await missing.body?.cancel();

  const page = await video(fal, { media: "not_a_video" });
  assert.equal(page.headers.get("content-type"), "video/mp4");
  assert.match(await page.text(), /^<!doctype html>/);

  const redirected = await video(fal, { media: "redirected" });
  assert.equal(redirected.status, 302);
  assert.equal(new URL(redirected.headers.get("location") ?? "").origin, fal.simulator.url);
  await redirected.body?.cancel();

  const truncated = await video(fal, { media: "truncated" });
  await assert.rejects(truncated.bytes());
});

Deno.test("a huge result comes as a stream without a length", async () => {
  await using fal = await startFal(none);
  const response = await video(fal, { media: "huge", mediaBytes: 3_000_000 });
  assert.equal(response.headers.get("content-length"), null);
  const bytes = await response.bytes();
  assert.equal(boxType(bytes), "ftyp");
  assert.equal(bytes.byteLength, 3_000_000);
});
