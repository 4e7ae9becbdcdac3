/** One video's way, from a device's first check to the file, and what a client's repeats cost: nothing. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import * as z from "zod";
import { deviceToken } from "../../local/simulators/device-check.ts";
import { DeviceCheckResponse } from "../../supabase/functions/device-check/schema.ts";
import { GenerateVideoResponse } from "../../supabase/functions/generate-video/schema.ts";
import { ModelsResponse } from "../../supabase/functions/models/schema.ts";
import { VideoStatusResponse } from "../../supabase/functions/video-status/schema.ts";
import { eventually } from "./eventually.ts";
import { type Answer, bodyOf, errorOf } from "./support/answer.ts";
import { type Backend, type Guest, startBackend } from "./support/backend.ts";
import { ended, generate, kling, priceOfKling, submissionsOf } from "./support/videos.ts";

let backend: Backend;

Deno.test.beforeAll(async () => {
  backend = await startBackend();
});
Deno.test.afterAll(() => backend[Symbol.asyncDispose]());

Deno.test("a guest proves its device, picks a model and gets the very file that the provider made", async () => {
  const { stack, database } = backend;
  const guest = await backend.signIn();
  const { supabase } = guest;

  const check = await supabase.functions.invoke("device-check", {
    body: { device_token: deviceToken("a phone") },
  });
  assert.deepEqual(DeviceCheckResponse.parse(check.data), {
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
  const accepted = GenerateVideoResponse.parse(generated.data);
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
  const made = await Deno.readFile(new URL("../../local/simulators/media/portrait.mp4", import.meta.url));
  assert.equal(sha256(new Uint8Array(await download.arrayBuffer())), sha256(made));
  // The first character of the signature: of the last one not every bit counts.
  const tampered = await fetch(
    status.video_url.replace(/\.([^.])([^.]*)$/, (_, first, rest) => `.${first === "A" ? "B" : "A"}${rest}`),
  );
  assert.notEqual(tampered.status, 200);
  await tampered.body?.cancel();

  const [asset] = await database.sql`
    select bytes::int, sha256, content_type, duration_milliseconds, width, height
    from generation.assets where job_id = ${accepted.job_id} and kind = 'video'`;
  assert.deepEqual({ ...asset }, {
    bytes: made.byteLength,
    sha256: sha256(made),
    content_type: "video/mp4",
    duration_milliseconds: 4000,
    width: 720,
    height: 1280,
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
  assert.equal(first.headers.get("cache-control"), "private, max-age=60");

  for (const tags of [etag ?? "", `"another", ${etag}`, `W/${etag}`, "*"]) {
    const again = await guest.call("models", { headers: { "if-none-match": tags } });
    assert.deepEqual([tags, again.status, again.body], [tags, 304, null]);
    assert.equal(again.headers.get("etag"), etag);
    assert.equal(again.headers.get("cache-control"), "private, max-age=60");
  }
  const other = await guest.call("models", { headers: { "if-none-match": '"another"' } });
  bodyOf(other, 200, ModelsResponse);

  await backend.database.sql`update public.models set description = description || ' ' where id = ${kling}`;
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
  bodyOf(accepted, 202, GenerateVideoResponse);
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
  bodyOf(await guest.call("generate-video", { body, key }), 202, GenerateVideoResponse);
});

Deno.test("the same key with the same request replays the answer, however it is written, and costs nothing", async () => {
  const guest = await backend.signIn(10 * priceOfKling);
  const key = "intention-1";
  const body = { model_id: kling, prompt: "  A fox,  once\n" };
  const first = await guest.call("generate-video", { body, key });
  const accepted = bodyOf(first, 202, GenerateVideoResponse);
  assert.equal(first.headers.get("idempotency-replayed"), null);

  const repeats: { key: string; headers?: Record<string, string>; body?: unknown }[] = [
    { key },
    { key: `"${key}"` },
    { key, headers: { "accept-language": "tr" } },
    // The same request in other words: members in another order, the prompt as it is after trimming, defaults said.
    { key, body: { settings: {}, prompt: "A fox,  once", model_id: kling } },
  ];
  for (const repeat of repeats) {
    const again = await guest.call("generate-video", { body, ...repeat });
    assert.deepEqual(bodyOf(again, 202, GenerateVideoResponse), accepted);
    assert.equal(again.headers.get("idempotency-replayed"), "true");
    assert.equal(again.headers.get("location"), first.headers.get("location"));
    assert.notEqual(again.headers.get("x-request-id"), first.headers.get("x-request-id"));
    assert.equal(again.headers.get("ratelimit"), null);
  }
  await ended(backend, guest, accepted.job_id);
  assert.equal(await backend.balanceOf(guest), 9 * priceOfKling);
  const report = await backend.stack.simulators.fal.control.report();
  assert.equal(submissionsOf(report, "A fox,  once").length, 1);
  // One hit of each limit, that of the first request.
  const hits = await backend.database.sql<{ policy: string; hits: number }[]>`
    select policy, cardinality(hits) as hits from guard.hits
    where subject = ${guest.id} and policy in ('video_generation', 'generation_attempts') order by policy`;
  assert.deepEqual(hits.map(({ policy, hits }) => [policy, hits]), [
    ["generation_attempts", 1],
    ["video_generation", 1],
  ]);
});

Deno.test("a refusal of the business is replayed too, in the language of the repeat", async () => {
  const guest = await backend.signIn();
  const call = (language: string) =>
    guest.call("generate-video", {
      body: { model_id: kling, prompt: "Too dear" },
      key: "poor",
      headers: { "accept-language": language },
    });
  const first = errorOf(await call("en"), "ERR_4001");
  assert.deepEqual(first.details, { required: priceOfKling, available: 0 });
  await backend.database.sql`select credits.add_credits(${guest.id}, 10, 'for a test')`;
  const again = await call("es");
  const replayed = errorOf(again, "ERR_4001");
  assert.equal(again.status, 402);
  assert.equal(again.headers.get("idempotency-replayed"), "true");
  assert.deepEqual(replayed.details, first.details);
  assert.notEqual(replayed.message, first.message);
  assert.notEqual(replayed.request_id, first.request_id);
  assert.equal(await backend.balanceOf(guest), 10);
});

Deno.test("the same key with another request is refused and does nothing; another caller's key is another key", async () => {
  const [guest, stranger] = await Promise.all([
    backend.signIn(2 * priceOfKling),
    backend.signIn(2 * priceOfKling),
  ]);
  const body = { model_id: kling, prompt: "The first intention" };
  const accepted = bodyOf(
    await guest.call("generate-video", { body, key: "shared" }),
    202,
    GenerateVideoResponse,
  );
  for (
    const other of [
      { ...body, prompt: "The second intention" },
      { ...body, settings: { aspect_ratio: "9:16" } },
    ]
  ) {
    const refused = await guest.call("generate-video", { body: other, key: "shared" });
    errorOf(refused, "ERR_4011");
    assert.equal(refused.status, 422);
  }
  assert.equal(await backend.balanceOf(guest), priceOfKling);
  const theirs = await stranger.call("generate-video", { body, key: "shared" });
  assert.notEqual(bodyOf(theirs, 202, GenerateVideoResponse).job_id, accepted.job_id);
});

/** Holds a guest's account, as a slow transaction would, until `work` says that it is enough. */
async function whileHeld<T>(guest: Guest, work: (release: () => void) => Promise<T>): Promise<T> {
  const held = Promise.withResolvers<void>();
  const enough = Promise.withResolvers<void>();
  const holding = backend.database.sql.begin(async (sql) => {
    await sql`select from credits.accounts where user_id = ${guest.id} for update`;
    held.resolve();
    await enough.promise;
  });
  await held.promise;
  try {
    return await work(enough.resolve);
  } finally {
    enough.resolve();
    await holding;
  }
}

/** How many wait in the database for what another transaction holds. */
async function countWaiting(): Promise<number> {
  const [row] = await backend.database.sql<{ count: number }[]>`
    select count(*)::int from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
  return row?.count ?? 0;
}

Deno.test("of 20 requests at once with credits for two, two are accepted and 18 are told to buy", async () => {
  const guest = await backend.signIn(2 * priceOfKling + priceOfKling / 2);
  const prompt = "Twenty keys";
  const answers = await whileHeld(guest, async (release) => {
    const calls = Array.from(
      { length: 20 },
      (_, number) =>
        guest.call("generate-video", { body: { model_id: kling, prompt }, key: `key-${number}` }),
    );
    await eventually(
      "several are in the database at once",
      async () => await countWaiting() >= 3 || undefined,
    );
    release();
    return await Promise.all(calls);
  });
  const accepted = answers.filter(({ status }) => status === 202);
  const refused = answers.filter(({ status }) => status !== 202);
  assert.equal(accepted.length, 2);
  for (const answer of refused) {
    assert.deepEqual(errorOf(answer, "ERR_4001").details, {
      required: priceOfKling,
      available: priceOfKling / 2,
    });
  }
  for (const answer of accepted) {
    const { job_id } = bodyOf(answer, 202, GenerateVideoResponse);
    assert.equal((await ended(backend, guest, job_id)).status, "completed");
  }
  assert.equal(await backend.balanceOf(guest), priceOfKling / 2);
  assert.equal(submissionsOf(await backend.stack.simulators.fal.control.report(), prompt).length, 2);
  await backend.proveLedger();
});

Deno.test("20 requests at once with one key make one job, one hold and one submission; who comes while it runs is told so", async () => {
  const guest = await backend.signIn(10 * priceOfKling);
  // Makes the user's row; in the very first requests of a user, the others wait for whoever makes it.
  errorOf(await guest.call(`video-status?job_id=${crypto.randomUUID()}`), "ERR_4007");
  const prompt = "One key";
  const request = { body: { model_id: kling, prompt }, key: "one" };
  const answers = await whileHeld(guest, async (release) => {
    let answered = 0;
    const calls = Array.from(
      { length: 20 },
      () => guest.call("generate-video", request).finally(() => answered++),
    );
    await eventually("all but the first are answered while it runs", () => answered === 19 || undefined);
    release();
    return await Promise.all(calls);
  });
  const [first, ...others] = answers.toSorted((one, other) => one.status - other.status);
  assert(first);
  assert.equal(first.headers.get("idempotency-replayed"), null);
  for (const answer of others) {
    assert.equal(answer.status, 409);
    assert.deepEqual(errorOf(answer, "ERR_4012").details, { retry_after: 1 });
    assert.equal(answer.headers.get("retry-after"), "1");
  }
  for (
    const answer of await Promise.all(Array.from({ length: 5 }, () => guest.call("generate-video", request)))
  ) {
    // Replays at once may meet each other.
    if (answer.status === 409) errorOf(answer, "ERR_4012");
    else assert.deepEqual([answer.status, answer.body], [202, first.body]);
  }
  const { job_id } = bodyOf(first, 202, GenerateVideoResponse);
  assert.equal((await ended(backend, guest, job_id)).status, "completed");
  const [counts] = await backend.database.sql`
    select (select count(*)::int from public.video_jobs where user_id = ${guest.id}) as jobs,
           (select count(*)::int from credits.transfers where kind = 'hold' and job_id = ${job_id}) as holds`;
  assert.deepEqual({ ...counts }, { jobs: 1, holds: 1 });
  assert.equal(await backend.balanceOf(guest), 9 * priceOfKling);
  assert.equal(submissionsOf(await backend.stack.simulators.fal.control.report(), prompt).length, 1);
  await backend.proveLedger();
});
