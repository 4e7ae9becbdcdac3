/** Cancelling and deleting videos, as their users do it. */
import assert from "node:assert/strict";
import { Job } from "../../supabase/functions/_shared/videos/contract.ts";
import { VideoJobsResponse } from "../../supabase/functions/video-jobs/schema.ts";
import { eventually } from "./eventually.ts";
import { bodyOf } from "./support/answer.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import {
  ended,
  eventuallyDone,
  generate,
  priceOfKling,
  submissionIs,
  submissionsOf,
  videoStatus,
} from "./support/videos.ts";

const backend = shared(startBackend);

Deno.test.afterEach(() => backend.proveLedger());

const cancel = (guest: Guest, jobId: string) => guest.call("cancel-video", { body: { job_id: jobId } });
const remove = (guest: Guest, jobId: string) =>
  guest.call(`delete-video-job?job_id=${jobId}`, { method: "DELETE" });

/** The job of a guest who can pay for one video. */
async function order(prompt: string) {
  const guest = await backend.signIn(priceOfKling);
  const { job_id: jobId } = await generate(guest, prompt);
  return { guest, jobId };
}

const codeOf = ({ body }: { body: unknown }) => (body as { error: { code: string } }).error.code;

Deno.test("a job that no provider has is cancelled at once, and its credits are back", async () => {
  const { control } = backend.stack.simulators.fal;
  await control.reset();
  await control.rules({ prompt: "nobody has it", submit: "rate_limited", times: null });
  const { guest, jobId } = await order("nobody has it");
  await submissionIs(backend, jobId, "not_accepted");

  const job = bodyOf(await cancel(guest, jobId), 200, Job);
  assert.deepEqual([job.status, job.credits_used], ["cancelled", 0]);
  assert.equal(await backend.balanceOf(guest), priceOfKling);
  const again = bodyOf(await cancel(guest, jobId), 200, Job);
  assert.deepEqual(again, job, "a second call answers the same");
  await backend.database.advance(120_000);
  await backend.stack.tick();
  assert.equal(submissionsOf(await control.report(), "nobody has it").length, 1, "nobody sends it any more");
});

Deno.test("a job that a provider has is cancelled by the provider's word alone", async () => {
  const { control } = backend.stack.simulators.fal;
  await control.reset();
  await control.rules({ prompt: "takes long", outcome: "never" });
  const { guest, jobId } = await order("takes long");
  await submissionIs(backend, jobId, "accepted");

  const job = bodyOf(await cancel(guest, jobId), 202, Job);
  assert.deepEqual([job.status, job.credits_used], ["processing", priceOfKling]);
  // The provider's word comes with its webhook or, at the latest, with the next poll.
  await eventually("the job is cancelled", async () => {
    await backend.database.advance(60_000);
    await backend.stack.tick();
    return (await videoStatus(guest, jobId)).status === "cancelled" || undefined;
  });
  assert.equal(await backend.balanceOf(guest), priceOfKling);
});

Deno.test("a video that comes although its cancellation was asked for is completed and paid", async () => {
  const { control } = backend.stack.simulators.fal;
  await control.reset();
  await control.rules({ prompt: "too late", cancel: "ignored", runMilliseconds: 60_000 });
  const { guest, jobId } = await order("too late");
  await submissionIs(backend, jobId, "accepted");
  bodyOf(await cancel(guest, jobId), 202, Job);
  await control.elapse(60_000);
  assert.equal((await ended(backend, guest, jobId)).status, "completed");
  assert.equal(await backend.balanceOf(guest), 0);
});

Deno.test("an ended job cannot be cancelled, and another's is not there", async () => {
  await backend.stack.simulators.fal.control.reset();
  const { guest, jobId } = await order("done already");
  await ended(backend, guest, jobId);
  const refused = await cancel(guest, jobId);
  assert.deepEqual([refused.status, codeOf(refused)], [409, "ERR_4009"]);
  const stranger = await backend.signIn();
  for (const answer of [await cancel(stranger, jobId), await remove(stranger, jobId)]) {
    assert.deepEqual([answer.status, codeOf(answer)], [404, "ERR_4007"]);
  }
  assert.equal((await videoStatus(guest, jobId)).status, "completed");
});

Deno.test("a deleted job is gone for its user, its files are removed, and the ledger keeps its entries", async () => {
  await backend.stack.simulators.fal.control.reset();
  const { sql } = backend.database;
  const { guest, jobId } = await order("to be deleted");
  const { video_url: url } = await ended(backend, guest, jobId);
  assert(url);
  assert.equal((await remove(guest, jobId)).status, 204);
  for (const answer of [await guest.call(`video-status?job_id=${jobId}`), await remove(guest, jobId)]) {
    assert.deepEqual([answer.status, codeOf(answer)], [404, "ERR_4007"]);
  }
  assert.deepEqual(bodyOf(await guest.call("video-jobs"), 200, VideoJobsResponse).jobs, []);

  await backend.stack.tick();
  await eventuallyDone(backend, "the files are removed", async () => {
    const [left] =
      await sql`select count(*)::int as files from storage.objects where name like ${`%${jobId}%`}`;
    const [asset] = await sql`
      select bool_and(deleted_at is not null) as deleted from videos.assets where job_id = ${jobId}`;
    return (left?.files === 0 && asset?.deleted === true) || undefined;
  });
  const response = await fetch(url);
  await response.body?.cancel();
  assert.notEqual(response.status, 200);
  const [entries] = await sql`
    select count(*)::int as count from credits.transfers where job_id = ${jobId}`;
  assert.equal(entries?.count, 2, "hold and capture");
});

Deno.test("a job that has not ended cannot be deleted", async () => {
  const { control } = backend.stack.simulators.fal;
  await control.reset();
  await control.rules({ prompt: "still running", outcome: "never" });
  const { guest, jobId } = await order("still running");
  const refused = await remove(guest, jobId);
  assert.deepEqual([refused.status, codeOf(refused)], [409, "ERR_4009"]);
  assert.equal(await backend.balanceOf(guest), 0);
});
