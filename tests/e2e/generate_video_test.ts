/** One video's way, from a device's first check to the file, and what every answer on it carries. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import * as z from "zod";
import { deviceToken } from "../../local/simulators/device-check/device-check.ts";
import { DeviceCheckResponse } from "../../supabase/functions/device-check/schema.ts";
import { AcceptedVideo } from "../../supabase/functions/_shared/videos/contract.ts";
import { ModelsResponse } from "../../supabase/functions/models/schema.ts";
import { VideoStatusResponse } from "../../supabase/functions/video-status/schema.ts";
import { type Answer, bodyOf, errorOf } from "./support/answer.ts";
import { startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import { ended, generate, kling, priceOfKling, promptOf, submissionsOf } from "./support/videos.ts";

const backend = shared(startBackend);

Deno.test("a guest proves its device, picks a model and gets the very file that the provider made", async () => {
  const { stack, database } = backend;
  const guest = await backend.signIn();
  const { supabase } = guest;

  const check = await supabase.functions.invoke("device-check", {
    body: { device_token: deviceToken("a phone") },
  });
  const { app_account_token: _, ...checked } = DeviceCheckResponse.parse(check.data);
  assert.deepEqual(checked, {
    user_id: guest.id,
    credits_remaining: 10,
    is_new: true,
    initial_grant: { status: "granted", credits: 10 },
  });

  const { models } = ModelsResponse.parse(
    (await supabase.functions.invoke("models", { method: "GET" })).data,
  );
  const model = models.find(({ id }) => id === kling);
  assert(model);
  assert.deepEqual(model.pricing, { type: "per_video", credits: priceOfKling });

  const prompt = "A fox with a lantern";
  const generated = await supabase.functions.invoke("generate-video", {
    body: { model_id: model.id, prompt, settings: { aspect_ratio: "9:16" } },
    headers: { "Idempotency-Key": crypto.randomUUID() },
  });
  assert.equal(generated.response?.status, 202);
  const accepted = AcceptedVideo.parse(generated.data);
  assert.deepEqual([accepted.credits_used, accepted.credits_remaining], [priceOfKling, 10 - priceOfKling]);
  // Where the job can be watched, as it stands in the answer.
  const location = generated.response?.headers.get("location") ?? "";
  assert.equal(location, `${stack.url}/functions/v1/video-status?job_id=${accepted.job_id}`);

  const status = await ended(backend, guest, accepted.job_id);
  assert.partialDeepStrictEqual(status, {
    job_id: accepted.job_id,
    status: "completed",
    prompt,
    model_id: kling,
    model_name: model.name,
    settings: { duration_seconds: 5, resolution: "1080p", aspect_ratio: "9:16" },
    credits_used: priceOfKling,
    error: null,
    progress: { stage: "done", percent: 100 },
    next_poll_seconds: null,
    created_at: accepted.created_at,
  });
  const followed = await guest.call(location.slice(`${stack.url}/functions/v1/`.length));
  assert.equal(bodyOf(followed, 200, VideoStatusResponse).job_id, accepted.job_id);

  assert(status.video_url && status.video_url_expires_at);
  const secondsLeft = (Date.parse(status.video_url_expires_at) - Date.now()) / 1000;
  assert(secondsLeft >= 600, `The URL has ${secondsLeft} s left`);
  const download = await fetch(status.video_url);
  assert.equal(download.status, 200);
  assert.equal(download.headers.get("content-type"), "video/mp4");
  const [job] = (await stack.simulators.fal.control.report()).jobs.filter(({ input }) =>
    promptOf(input) === prompt
  );
  assert(job);
  const made = await (await fetch(`${stack.simulators.fal.mediaUrl}/files/${job.requestId}/output.mp4`))
    .bytes();
  assert.equal(sha256(new Uint8Array(await download.arrayBuffer())), sha256(made));
  // The first character of the signature: of the last one not every bit counts.
  const tampered = await fetch(
    status.video_url.replace(/\.([^.])([^.]*)$/, (_, first, rest) => `.${first === "A" ? "B" : "A"}${rest}`),
  );
  assert.notEqual(tampered.status, 200);
  await tampered.body?.cancel();

  const [asset] = await database.sql`
    select bytes::int, content_type, duration_milliseconds, width, height, quality
    from videos.assets where job_id = ${accepted.job_id} and kind = 'video'`;
  assert.deepEqual({ ...asset }, {
    bytes: made.byteLength,
    content_type: "video/mp4",
    duration_milliseconds: 5000,
    width: 1080,
    height: 1920,
    quality: 100,
  });
  assert.equal(submissionsOf(await stack.simulators.fal.control.report(), prompt).length, 1);
  assert.equal(await backend.balanceOf(guest), 10 - priceOfKling);
  await backend.proveLedger();
});

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

Deno.test("a catalogue that the client has is not sent again, until it changes", async () => {
  const guest = await backend.signIn();
  const first = await guest.call("models");
  bodyOf(first, 200, ModelsResponse);
  const etag = first.headers.get("etag");
  assert.match(etag ?? "", /^"[^"]+"$/, "A strong entity tag");
  assert.equal(first.headers.get("cache-control"), "private, max-age=60, stale-if-error=3600");

  for (const tags of [etag ?? "", `"another", ${etag}`, `W/${etag}`, "*"]) {
    const again = await guest.call("models", { headers: { "if-none-match": tags } });
    assert.deepEqual([tags, again.status, again.body], [tags, 304, null]);
    assert.equal(again.headers.get("etag"), etag);
    assert.equal(again.headers.get("cache-control"), "private, max-age=60, stale-if-error=3600");
  }
  const other = await guest.call("models", { headers: { "if-none-match": '"another"' } });
  bodyOf(other, 200, ModelsResponse);

  await backend.database.sql`update videos.models set description = description || ' ' where id = ${kling}`;
  // Forgets the catalogue that the isolate remembers for a minute.
  await backend.stack.functions.reload();
  const changed = await guest.call("models", { headers: { "if-none-match": etag ?? "" } });
  assert.equal(changed.status, 200);
  assert.notEqual(changed.headers.get("etag"), etag);
});

/** What every answer carries, whatever it answers. */
function assertStandardHeaders({ headers, status }: Answer): void {
  assert.match(headers.get("x-request-id") ?? "", /^[A-Za-z0-9._-]{8,64}$/);
  assert.match(headers.get("content-language") ?? "", /^(en|tr|es)$/);
  assert(headers.get("cache-control"));
  assert.equal(headers.get("access-control-allow-origin"), "*");
  const exposed = (headers.get("access-control-expose-headers") ?? "").split(/, */);
  for (
    const name of [
      "X-Request-Id",
      "Content-Language",
      "RateLimit",
      "RateLimit-Policy",
      "Retry-After",
      "Idempotency-Replayed",
      "Location",
      "ETag",
    ]
  ) assert(exposed.includes(name), `${name} is exposed`);
  assert.equal(headers.get("x-content-type-options"), "nosniff");
  assert.equal(headers.get("content-security-policy"), "default-src 'none'");
  assert.equal(headers.get("referrer-policy"), "no-referrer");
  assert.match(headers.get("strict-transport-security") ?? "", /^max-age=\d+/);
  if (status >= 400) assert.equal(headers.get("cache-control"), "no-store");
}

Deno.test("every answer carries the standard headers, a success and an error alike", async () => {
  const guest = await backend.signIn(priceOfKling);
  const { job_id } = await generate(guest);
  await ended(backend, guest, job_id);
  const answers = await Promise.all([
    guest.call("models"),
    guest.call(`video-status?job_id=${job_id}`),
    guest.call("health"),
    guest.call("generate-video", { body: { model_id: kling, prompt: "Too dear" }, key: "key-1" }),
    guest.call(`video-status?job_id=${crypto.randomUUID()}`),
    guest.call("video-status"),
    guest.call("models", { method: "DELETE" }),
    backend.call("models"),
    backend.call("provider-webhook?provider=fal", { method: "POST" }),
  ]);
  assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200, 402, 404, 400, 405, 401, 400]);
  for (const answer of answers) assertStandardHeaders(answer);
  assert.equal(answers[6].headers.get("allow"), "GET, HEAD, OPTIONS");
});

Deno.test("a request id of the client's comes back in header and error, and one that is none is replaced", async () => {
  const guest = await backend.signIn();
  const call = (id: string) => guest.call("video-status", { headers: { "x-request-id": id } });
  const own = await call("client-id.1");
  assert.equal(own.headers.get("x-request-id"), "client-id.1");
  assert.equal(errorOf(own, "ERR_4008").request_id, "client-id.1");
  for (const id of ["short", "x".repeat(65), "with spaces in it"]) {
    const replaced = await call(id);
    assert.match(replaced.headers.get("x-request-id") ?? "", z.regexes.uuid());
    assert.equal(errorOf(replaced).request_id, replaced.headers.get("x-request-id"));
  }
});

Deno.test("a rate-limited answer tells its limits, nearest to refusal first, and a refusal when to come again", async () => {
  const { database } = backend;
  const guest = await backend.signIn(20 * priceOfKling);
  const accepted = await guest.call("generate-video", {
    body: { model_id: kling, prompt: "One of ten" },
    key: crypto.randomUUID(),
  });
  bodyOf(accepted, 202, AcceptedVideo);
  assert.match(accepted.headers.get("ratelimit-policy") ?? "", /^"video_generation";q=10;w=3600, /);
  assert.match(accepted.headers.get("ratelimit") ?? "", /^"video_generation";r=9;t=3600, /);

  for (let made = 1; made < 10; made++) await generate(guest, `One of ten, ${made}`);
  const key = crypto.randomUUID();
  const body = { model_id: kling, prompt: "The eleventh" };
  const refused = await guest.call("generate-video", { body, key });
  const { details } = errorOf(refused, "ERR_4004");
  assert.equal(refused.status, 429);
  assert.equal(details.policy, "video_generation");
  assert.equal(refused.headers.get("retry-after"), `${details.retry_after}`);
  assert.match(refused.headers.get("ratelimit") ?? "", /^"video_generation";r=0;t=\d+/);

  // "Same key, later": an hour on, the refusal is not what the key replays. Another isolate remembers nothing.
  await database.advance(3_600_000);
  await backend.stack.functions.reload();
  bodyOf(await guest.call("generate-video", { body, key }), 202, AcceptedVideo);
});
