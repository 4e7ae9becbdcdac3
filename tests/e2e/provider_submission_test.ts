/**
 * What a provider may do to a submission, and what becomes of the job: it is sent again only where that is proved to be
 * safe, and whoever gets no video pays nothing.
 */
import assert from "node:assert/strict";
import { holdPorts } from "../../local/ports.ts";
import type { FalRule } from "../../local/simulators/fal/fal.ts";
import { startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import {
  beyondDeadline,
  ended,
  eventuallyDone,
  generate,
  priceOfKling,
  submissionIs,
  submissionsOf,
  videoStatus,
} from "./support/videos.ts";

const backend = shared(async () => {
  const backend = await startBackend();
  // Nobody is told here: what is due is the submissions' own.
  await backend.database.sql`delete from events.subscriptions`;
  return backend;
});

/** Has fal meet the next submission of `prompt` like this, and has a guest with the price of one video submit it. */
async function submit(prompt: string, ...rules: FalRule[]) {
  const { control } = backend.stack.simulators.fal;
  await control.reset();
  // What earlier submissions met is held against the provider, and is no matter here.
  await backend.database.sql`update videos.providers set breaker = 'closed', failures = 0`;
  await control.rules(...rules.map((rule) => ({ prompt, ...rule })));
  const guest = await backend.signIn(priceOfKling);
  const { job_id: jobId } = await generate(guest, prompt);
  return { guest, jobId };
}

/** Moves the clock, and lets the scheduler and the worker do what is due then. Gives how many tasks were. */
async function tickAfter(milliseconds: number): Promise<number> {
  await backend.database.advance(milliseconds);
  return await backend.stack.tick();
}

/** How often the provider was asked for this video. Wherever else a request went, our key did not go there. */
async function assertSubmissions(prompt: string, expected: number): Promise<void> {
  const report = await backend.stack.simulators.fal.control.report();
  assert.equal(submissionsOf(report, prompt).length, expected, "submissions at the provider");
  assert(report.requests.every(({ host, authorization }) => host !== "media" || authorization === "none"));
}

/** Of a `submit` task, in milliseconds. */
const maxBackoff = 60_000;

// The provider has proved that it did not take it, or it is refused for good.

for (
  const [what, rule] of [
    ["too many at once", { submit: "rate_limited" }],
    ["an account without balance", { submit: "locked" }],
    ["a 503 in the provider's own words", { submit: "error", status: 503 }],
  ] as const
) {
  Deno.test(`a submission that meets ${what} goes back to the queue, and is sent again later`, async () => {
    const { guest, jobId } = await submit(what, rule);
    await submissionIs(backend, jobId, "not_accepted");
    const waiting = await videoStatus(guest, jobId);
    assert.deepEqual([waiting.status, waiting.progress.stage, waiting.error], ["pending", "queued", null]);
    assert.equal(await backend.balanceOf(guest), 0, "the credits stay held");

    await tickAfter(maxBackoff);
    assert.equal((await ended(backend, guest, jobId)).status, "completed");
    await assertSubmissions(what, 2);
    assert.equal(await backend.balanceOf(guest), 0);
    await backend.proveLedger();
  });
}

Deno.test("a submission is not sent again before the time that the provider names", async () => {
  const prompt = "Too many for 90 seconds";
  const { guest, jobId } = await submit(prompt, { submit: "rate_limited", retryAfterSeconds: 90 });
  await submissionIs(backend, jobId, "not_accepted");
  assert.equal(await tickAfter(80_000), 0, "nothing is due");
  await tickAfter(11_000);
  assert.equal((await ended(backend, guest, jobId)).status, "completed");
  await assertSubmissions(prompt, 2);
});

for (
  const [what, rule, code, details] of [
    ["does not take the input", { submit: "refused" }, "ERR_5003", { reason: "rejected" }],
    ["does not like the prompt", { submit: "content_policy" }, "ERR_4003", { reason: "provider_policy" }],
  ] as const
) {
  Deno.test(`a provider that ${what} ends the job with ${code}, and the credits come back`, async () => {
    const { guest, jobId } = await submit(what, rule);
    const job = await ended(backend, guest, jobId);
    assert.deepEqual([job.status, job.error?.code, job.error?.details], ["failed", code, details]);
    assert.deepEqual([job.credits_used, job.video_url, job.progress.stage], [0, null, "done"]);
    await assertSubmissions(what, 1);
    assert.equal(await backend.balanceOf(guest), priceOfKling);
    await backend.proveLedger();
  });
}

// Whether the provider took it is not known: it is never sent again.

for (
  const [what, rule] of [
    ["an answer that is lost after it was taken", { submit: "answer_lost" }],
    ["an answer without an id", { submit: "malformed_answer" }],
  ] as const
) {
  Deno.test(`${what} is made good by its webhook, after the provider has confirmed the id to us`, async () => {
    const { guest, jobId } = await submit(what, rule);
    const job = await ended(backend, guest, jobId);
    assert.equal(job.status, "completed");
    await assertSubmissions(what, 1);

    const { requests } = await backend.stack.simulators.fal.control.report();
    assert(
      requests.some(({ method, path, authorization }) =>
        method === "GET" && path.endsWith("/status") && authorization === "ours"
      ),
      "The id was asked for, with our key",
    );
    const events = await backend.database.sql<{ effect: string; confirmed: boolean }[]>`
      select e.effect, s.request_id = e.request_id as confirmed
      from videos.provider_events e join videos.submissions s on s.id = e.submission_id where s.job_id = ${jobId}`;
    assert.deepEqual([...events].map((event) => ({ ...event })), [{ effect: "asked", confirmed: true }]);
    assert.equal(await backend.balanceOf(guest), 0);
    await backend.proveLedger();
  });
}

for (
  const [what, rule] of [
    ["a connection that closes", { submit: "reset" }],
    ["a gateway's 502", { submit: "error", status: 502, ownBody: false }],
    ["a gateway's 503, which is not the provider's word", { submit: "error", status: 503, ownBody: false }],
    ["a 500 in the provider's own words", { submit: "error", status: 500 }],
    ["a redirect", { submit: "redirected" }],
    ["a lost answer and a lost webhook", { submit: "answer_lost", webhook: "lost" }],
  ] as const
) {
  Deno.test(`after ${what} nobody sends again: the deadline ends the job with ERR_5001`, async () => {
    const { guest, jobId } = await submit(what, rule);
    await submissionIs(backend, jobId, "unknown");
    const waiting = await videoStatus(guest, jobId);
    assert.deepEqual([waiting.status, waiting.progress.stage], ["processing", "submitted"]);
    // Long after every lease and backoff of a submission.
    assert.equal(await tickAfter(10 * 60_000), 0, "nothing is due");
    assert.equal((await videoStatus(guest, jobId)).status, "processing");

    await tickAfter(beyondDeadline - 10 * 60_000);
    const job = await ended(backend, guest, jobId);
    assert.deepEqual([job.status, job.error?.code, job.credits_used], ["failed", "ERR_5001", 0]);
    await assertSubmissions(what, 1);
    assert.equal(await backend.balanceOf(guest), priceOfKling);
    await backend.proveLedger();
  });
}

Deno.test("a slow answer is waited for: nobody else sends the job meanwhile", async () => {
  const prompt = "A slow answer";
  const { guest, jobId } = await submit(prompt, {
    submit: "slow",
    submitMilliseconds: 20_000,
    webhook: "lost",
  });
  await submissionIs(backend, jobId, "sending");
  assert.equal(await tickAfter(30_000), 0, "nothing is due");
  await backend.stack.simulators.fal.control.elapse(20_000);
  await submissionIs(backend, jobId, "accepted");
  await tickAfter(10_000);
  assert.equal((await ended(backend, guest, jobId)).status, "completed");
  await assertSubmissions(prompt, 1);
  await backend.proveLedger();
});

Deno.test("an answer that comes after its worker was given up still counts, and nobody has sent the job again", async () => {
  const prompt = "A very slow answer";
  const { guest, jobId } = await submit(prompt, {
    submit: "slow",
    submitMilliseconds: 20_000,
    webhook: "lost",
  });
  await submissionIs(backend, jobId, "sending");
  // The lease of a submission is 60 seconds.
  await tickAfter(61_000);
  await submissionIs(backend, jobId, "unknown");
  await backend.stack.simulators.fal.control.elapse(20_000);
  await submissionIs(backend, jobId, "accepted");
  await tickAfter(10_000);
  assert.equal((await ended(backend, guest, jobId)).status, "completed");
  await assertSubmissions(prompt, 1);
  await backend.proveLedger();
});

Deno.test("URLs on another host than the provider's queue never get its key", async () => {
  const prompt = "Foreign URLs";
  const { guest, jobId } = await submit(prompt, { submit: "foreign_urls", webhook: "lost" });
  await submissionIs(backend, jobId, "accepted");
  await tickAfter(10_000);
  assert.equal((await ended(backend, guest, jobId)).status, "completed");
  await assertSubmissions(prompt, 1);
  await backend.proveLedger();
});

Deno.test("a provider that takes nothing until the deadline ends the job with ERR_5002, and is not asked after it", async () => {
  const prompt = "Locked for ever";
  const { guest, jobId } = await submit(prompt, { submit: "locked", times: null });
  await submissionIs(backend, jobId, "not_accepted");
  await tickAfter(maxBackoff);
  await eventuallyDone(backend, "it is sent again", async () => {
    const report = await backend.stack.simulators.fal.control.report();
    return submissionsOf(report, prompt).length === 2 || undefined;
  });
  await submissionIs(backend, jobId, "not_accepted");

  await tickAfter(beyondDeadline);
  const job = await ended(backend, guest, jobId);
  assert.deepEqual([job.status, job.error?.code, job.error?.details], ["failed", "ERR_5002", {}]);
  await assertSubmissions(prompt, 2);
  assert.equal(await backend.balanceOf(guest), priceOfKling);
  await backend.proveLedger();
});

Deno.test("a provider that cannot be reached has not taken the job: it is sent when there is a connection", async () => {
  using nobody = holdPorts();
  const environment = { FAL_QUEUE_URL: `http://127.0.0.1:${nobody.take()}` };
  await using away = await startBackend({ environment });
  const guest = await away.signIn(priceOfKling);
  const { job_id: jobId } = await generate(guest);
  await submissionIs(away, jobId, "not_accepted");
  assert.equal((await videoStatus(guest, jobId)).status, "pending");

  await away.database.advance(beyondDeadline);
  await away.stack.tick();
  const job = await ended(away, guest, jobId);
  assert.deepEqual([job.status, job.error?.code], ["failed", "ERR_5002"]);
  assert.equal(await away.balanceOf(guest), priceOfKling);
  await away.proveLedger();
});
