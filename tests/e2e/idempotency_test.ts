/** What a client's repeats cost, one after the other and all at once: nothing. */
import assert from "node:assert/strict";
import { AcceptedVideo } from "../../supabase/functions/_shared/videos/contract.ts";
import { eventually } from "./eventually.ts";
import { bodyOf, errorOf } from "./support/answer.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import { ended, kling, priceOfKling, submissionsOf } from "./support/videos.ts";

const backend = shared(startBackend);

Deno.test("the same key with the same request replays the answer, however it is written, and costs nothing", async () => {
  const guest = await backend.signIn(10 * priceOfKling);
  const key = "intention-1";
  const body = { model_id: kling, prompt: "  A fox,  once\n" };
  const first = await guest.call("generate-video", { body, key });
  const accepted = bodyOf(first, 202, AcceptedVideo);
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
    assert.deepEqual(bodyOf(again, 202, AcceptedVideo), accepted);
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
    AcceptedVideo,
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
  assert.notEqual(bodyOf(theirs, 202, AcceptedVideo).job_id, accepted.job_id);
});

/** Holds a guest's account, as a slow transaction would, until `work` says that it is enough. */
async function whileHeld<T>(guest: Guest, work: (release: () => void) => Promise<T>): Promise<T> {
  const held = Promise.withResolvers<void>();
  const enough = Promise.withResolvers<void>();
  const holding = backend.database.sql.begin(async (sql) => {
    await sql`select from credits.accounts where owner_id = ${guest.id} for update`;
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
    const { job_id } = bodyOf(answer, 202, AcceptedVideo);
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
  const { job_id } = bodyOf(first, 202, AcceptedVideo);
  assert.equal((await ended(backend, guest, job_id)).status, "completed");
  const [counts] = await backend.database.sql`
    select (select count(*)::int from videos.jobs where user_id = ${guest.id}) as jobs,
           (select count(*)::int from credits.transfers where kind = 'hold' and job_id = ${job_id}) as holds`;
  assert.deepEqual({ ...counts }, { jobs: 1, holds: 1 });
  assert.equal(await backend.balanceOf(guest), 9 * priceOfKling);
  assert.equal(submissionsOf(await backend.stack.simulators.fal.control.report(), prompt).length, 1);
  await backend.proveLedger();
});
