/**
 * How a generation that a provider has may end, how its end may be told, and what becomes of the job: it ends once, in
 * one way, and is paid for when there is a video.
 */
import assert from "node:assert/strict";
import type { FalRule } from "../../local/simulators/fal/fal.ts";
import { eventually } from "./eventually.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import {
  beyondDeadline,
  ended,
  eventuallyDone,
  filesOf,
  generate,
  priceOfKling,
  requestOf,
  submissionIs,
  submissionsOf,
  type VideoStatus,
  videoStatus,
} from "./support/videos.ts";

const backend = shared(startBackend);

/** Has fal treat the video of `prompt` like this, and a guest with the price of two videos order it. */
async function order(prompt: string, rule: FalRule): Promise<{ guest: Guest; jobId: string }> {
  const { control } = backend.stack.simulators.fal;
  await control.reset();
  await control.rules({ prompt, ...rule });
  const guest = await backend.signIn(2 * priceOfKling);
  const { job_id: jobId } = await generate(guest, prompt);
  return { guest, jobId };
}

/** Moves the clock, and lets the scheduler and the worker do what is due then. Gives how many tasks were. */
async function tickAfter(milliseconds: number): Promise<number> {
  await backend.database.advance(milliseconds);
  return await backend.stack.tick();
}

/** The longest that passes between two polls of a generation, in milliseconds. */
const maxPollPause = 60_000;

/** Waits until fal has sent all that it had to send about this video. Gives the receiver's last answers. */
async function delivered(prompt: string, deliveries = 1): Promise<(number | null)[]> {
  return await eventually(`${deliveries} webhooks about "${prompt}" are sent`, async () => {
    const report = await backend.stack.simulators.fal.control.report();
    const requestId = requestOf(report, prompt);
    const sent = report.deliveries.filter((delivery) =>
      delivery.requestId === requestId && delivery.state !== "due"
    );
    return sent.length === deliveries ? sent.map(({ lastStatus }) => lastStatus) : undefined;
  });
}

async function assertPaid(guest: Guest, prompt: string, job: VideoStatus): Promise<void> {
  assert.deepEqual([job.status, job.error, job.credits_used], ["completed", null, priceOfKling]);
  assert(job.video_url);
  assert.equal(await backend.balanceOf(guest), priceOfKling);
  await assertProved(prompt, job);
}

async function assertFailed(
  guest: Guest,
  prompt: string,
  job: VideoStatus,
  code: string,
  details: Record<string, unknown> = {},
): Promise<void> {
  assert.deepEqual([job.status, job.error?.code, job.error?.details], ["failed", code, details]);
  assert.deepEqual([job.credits_used, job.video_url, job.thumbnail_url], [0, null, null]);
  assert.deepEqual([job.progress.stage, job.next_poll_seconds], ["done", null]);
  assert.equal(await backend.balanceOf(guest), 2 * priceOfKling);
  await assertProved(prompt, job);
  const files = (await filesOf(backend, guest)).filter((path) => path.includes(job.job_id));
  assert.equal(files.length, 0, "no file is kept for it");
}

/** One submission, nothing left to do, and books that agree. */
async function assertProved(prompt: string, { job_id }: VideoStatus): Promise<void> {
  const report = await backend.stack.simulators.fal.control.report();
  assert.equal(submissionsOf(report, prompt).length, 1, "submissions at the provider");
  assert(report.requests.every(({ host, authorization }) => host !== "media" || authorization === "none"));
  await eventuallyDone(backend, "nothing is left to do", async () => {
    const tasks = await backend.database.sql`select from queue.tasks where subject = ${job_id}`;
    return tasks.length === 0 || undefined;
  });
  await backend.proveLedger();
}

async function eventsOf(jobId: string): Promise<string[]> {
  const events = await backend.database.sql<{ effect: string }[]>`
    select e.effect from videos.provider_events e join videos.submissions s on s.id = e.submission_id
    where s.job_id = ${jobId}`;
  return events.map(({ effect }) => effect);
}

// What the provider says about the end.

for (
  const [what, rule, code, details] of [
    ["breaks down", { outcome: "failed" }, "ERR_5002", {}],
    ["runs out of time", { outcome: "failed", errorType: "request_timeout" }, "ERR_5001", {}],
    ["does not understand us as it runs", { outcome: "failed", errorType: "bad_request" }, "ERR_5002", {}],
    ["flags the content", { outcome: "content_policy" }, "ERR_4003", { reason: "provider_policy" }],
    ["results in what is no JSON", { outcome: "result_malformed" }, "ERR_5003", { reason: "invalid_result" }],
    ["results in no video", { outcome: "result_missing" }, "ERR_5003", { reason: "invalid_result" }],
  ] as const
) {
  for (const webhook of [undefined, "lost"] as const) {
    const learned = webhook === undefined ? "by its webhook" : "by a poll";
    Deno.test(`a generation that ${what} ends its job with ${code}, learned ${learned}`, async () => {
      const prompt = `${what} ${learned}`;
      const { guest, jobId } = await order(prompt, {
        ...rule,
        ...(webhook === undefined ? {} : { webhook }),
      });
      if (webhook === "lost") {
        await submissionIs(backend, jobId, "accepted");
        await tickAfter(maxPollPause);
      }
      await assertFailed(guest, prompt, await ended(backend, guest, jobId), code, details);
    });
  }
}

Deno.test("a generation that never ends is cancelled at its deadline, ends with ERR_5001 and costs nothing", async () => {
  const prompt = "Never";
  const { guest, jobId } = await order(prompt, { outcome: "never" });
  await submissionIs(backend, jobId, "accepted");
  await tickAfter(maxPollPause);
  await eventuallyDone(
    backend,
    "its start is known",
    async () => (await stageOf(jobId)) === "generating" || undefined,
  );
  const running = await videoStatus(guest, jobId);
  assert.deepEqual([running.status, running.progress.stage], ["processing", "generating"]);

  // The bound runs from the reported start, not from acceptance.
  await backend.database.advance(beyondDeadline - maxPollPause);
  await backend.stack.tick();
  assert.equal((await videoStatus(guest, jobId)).status, "processing");
  await tickAfter(maxPollPause);
  await assertFailed(guest, prompt, await ended(backend, guest, jobId), "ERR_5001");
  const { requests } = await backend.stack.simulators.fal.control.report();
  assert.equal(requests.filter(({ method, path }) => method === "PUT" && path.endsWith("/cancel")).length, 1);
});

async function stageOf(jobId: string): Promise<string | undefined> {
  const [job] = await backend.database.sql<{ stage: string }[]>`
    select videos.job_stage(j) as stage from videos.jobs as j where j.id = ${jobId}`;
  return job?.stage;
}

Deno.test("polls that meet a gateway's errors end nothing", async () => {
  const prompt = "Unreachable";
  // A poll asks three times.
  const { guest, jobId } = await order(prompt, { webhook: "lost", pollFailures: 6 });
  await submissionIs(backend, jobId, "accepted");
  const polled = (times: number) =>
    eventuallyDone(backend, `${times} polls`, async () => {
      const [task] = await backend.database.sql<{ attempts: number; leased_until: Date | null }[]>`
        select attempts, leased_until from queue.tasks where subject = ${jobId} and kind = 'poll'`;
      return (task?.attempts === times && task.leased_until === null) || undefined;
    });
  for (const times of [1, 2]) {
    await tickAfter(maxPollPause);
    await polled(times);
    assert.equal((await videoStatus(guest, jobId)).status, "processing");
  }
  await tickAfter(maxPollPause);
  await assertPaid(guest, prompt, await ended(backend, guest, jobId));
});

// How the end is told.

Deno.test("a webhook that is lost is made good by a poll", async () => {
  const prompt = "Lost";
  const { guest, jobId } = await order(prompt, { webhook: "lost" });
  await submissionIs(backend, jobId, "accepted");
  await tickAfter(maxPollPause);
  await assertPaid(guest, prompt, await ended(backend, guest, jobId));
  assert.deepEqual(await eventsOf(jobId), []);
});

Deno.test("a webhook that comes twice is stored once, and the video is paid once", async () => {
  const prompt = "Twice";
  const { guest, jobId } = await order(prompt, { webhook: "duplicated" });
  const job = await ended(backend, guest, jobId);
  assert.deepEqual(await delivered(prompt, 2), [200, 200]);
  await assertPaid(guest, prompt, job);
  // One row, whichever came first: the webhook may be quicker than the record of the submission.
  assert.equal((await eventsOf(jobId)).length, 1);
});

Deno.test("a webhook that comes before the answer to its submission is believed after the provider has confirmed it", async () => {
  const prompt = "Early";
  const { guest, jobId } = await order(prompt, { webhook: "early" });
  await assertPaid(guest, prompt, await ended(backend, guest, jobId));
  assert.deepEqual(await eventsOf(jobId), ["asked"]);
});

Deno.test("a webhook without its payload has the provider asked", async () => {
  const prompt = "Without payload";
  const { guest, jobId } = await order(prompt, { webhook: "without_payload" });
  await assertPaid(guest, prompt, await ended(backend, guest, jobId));
  assert.deepEqual(await eventsOf(jobId), ["asked"]);
});

for (const webhook of ["forged", "other_account"] as const) {
  Deno.test(`a webhook that is ${webhook} is refused and changes nothing; a poll finds the end`, async () => {
    const { guest, jobId } = await order(webhook, { webhook });
    await submissionIs(backend, jobId, "accepted");
    assert.deepEqual(await delivered(webhook), [401]);
    assert.equal((await videoStatus(guest, jobId)).status, "processing");
    assert.deepEqual(await eventsOf(jobId), []);
    await tickAfter(maxPollPause);
    await assertPaid(guest, webhook, await ended(backend, guest, jobId));
  });
}

Deno.test("a success that comes after the deadline is recorded, and not charged", async () => {
  const prompt = "Late";
  // fal completes it at once, but neither its webhook nor a poll gets through before the deadline.
  const { guest, jobId } = await order(prompt, {
    webhook: "late",
    webhookMilliseconds: 60_000,
    pollFailures: 100,
  });
  await submissionIs(backend, jobId, "accepted");
  await tickAfter(beyondDeadline);
  const job = await ended(backend, guest, jobId);
  assert.equal(job.error?.code, "ERR_5001");
  assert.deepEqual(await eventsOf(jobId), [], "the job ended before the webhook came");

  await backend.stack.simulators.fal.control.elapse(60_000);
  assert.deepEqual(await delivered(prompt), [200]);
  const [row] = await backend.database.sql<{ late: boolean }[]>`
    select late_success_at is not null as late from videos.jobs where id = ${jobId}`;
  assert.equal(row?.late, true);
  assert.deepEqual(await videoStatus(guest, jobId), job, "an ended job stays as it is");
  await assertFailed(guest, prompt, job, "ERR_5001");
});

// What becomes of the file.

for (
  const [what, rule] of [
    ["is no video", { media: "not_a_video" }],
    ["is elsewhere", { media: "redirected" }],
  ] as const
) {
  Deno.test(`a result that ${what} ends the job with ERR_5003, and the credits come back`, async () => {
    const { guest, jobId } = await order(what, rule);
    const job = await ended(backend, guest, jobId);
    await assertFailed(guest, what, job, "ERR_5003", { reason: "invalid_result" });
    const { requests } = await backend.stack.simulators.fal.control.report();
    assert(requests.every(({ path }) => path !== "/_elsewhere"), "a redirect is not followed");
  });
}

Deno.test("a result that is longer than any video ends the job with ERR_5003, and is not kept", async () => {
  const prompt = "Huge";
  const { guest, jobId } = await order(prompt, { media: "huge" });
  await assertFailed(guest, prompt, await ended(backend, guest, jobId), "ERR_5003", {
    reason: "invalid_result",
  });
});

for (const media of ["truncated", "missing"] as const) {
  Deno.test(`a result that is ${media} is fetched again, and ends the job with ERR_6002 when no try is left`, async () => {
    const prompt = `It is ${media}`;
    const { guest, jobId } = await order(prompt, { media });
    const storing = await eventuallyDone(backend, "the first try is over", async () => {
      const [task] = await backend.database.sql<{ attempts: number; leased: boolean }[]>`
      select attempts, leased_until is not null as leased from queue.tasks
      where subject = ${jobId} and kind = 'store'`;
      return task !== undefined && task.attempts > 0 && !task.leased ? task : undefined;
    });
    assert.equal(storing.attempts, 1);
    const watched = await videoStatus(guest, jobId);
    assert.deepEqual([watched.status, watched.progress.stage], ["processing", "storing"]);
    // Storing has no deadline, only tries.
    await backend.database.advance(beyondDeadline);
    for (let tries = 2; tries <= 8; tries++) {
      await tickAfter(120_000);
      await eventuallyDone(backend, `try ${tries} is over`, async () => {
        const [task] = await backend.database.sql<{ attempts: number; leased: boolean }[]>`
        select attempts, leased_until is not null as leased from queue.tasks
        where subject = ${jobId} and kind = 'store'`;
        // On a busy machine the tick of `eventuallyDone` may bring the next try before this looks.
        return task === undefined || (task.attempts >= tries && !task.leased) || undefined;
      });
    }
    await assertFailed(guest, prompt, await ended(backend, guest, jobId), "ERR_6002");
  });
}
