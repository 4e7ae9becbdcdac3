import assert from "node:assert/strict";
import type { CancelOutcome, ProviderState, SubmitOutcome } from "../videos/providers/provider.ts";
import { fakeDataApi } from "../testing/data-api.ts";
import { testRuntime } from "../testing/runtime.ts";
import {
  cancelTask,
  deleteFilesTask,
  eraseAccountTask,
  facts,
  jobId,
  ownerReference,
  pollTask,
  storeTask,
} from "../testing/tasks.ts";
import { generation, type StoredAsset } from "./generation.ts";

/** The database, where every procedure answers with this data, and the arguments of its last call. */
function fakeDatabase(data: unknown) {
  const answer = () => ({ data });
  const { fetch, calls } = fakeDataApi({
    claim_submission: answer,
    record_moderation: answer,
    record_submission: answer,
    provider_webhook: answer,
    load_video_task: answer,
    record_poll: answer,
    record_cancel: answer,
    record_stored: answer,
    record_unusable_result: answer,
    record_files_deleted: answer,
    load_erasure: answer,
    erase_account: answer,
  });
  return { database: generation(testRuntime(fetch)), last: () => calls.at(-1) };
}

Deno.test("a claimed submission comes in the terms of the provider port", async () => {
  const { database, last } = fakeDatabase({
    claimed: true,
    submission_id: "s",
    owner_reference: ownerReference,
    provider: "fal",
    provider_model: "fal-ai/veo3/fast",
    prompt: "a red fox",
    settings: { duration_seconds: 8, resolution: "720p", aspect_ratio: "9:16" },
    image_url: "https://example.com/fox.png",
  });
  assert.deepEqual(await database.claimSubmission(jobId, { providers: ["fal", "runway"], moderates: true }), {
    submissionId: "s",
    ownerReference,
    provider: "fal",
    generation: {
      providerModel: "fal-ai/veo3/fast",
      prompt: "a red fox",
      durationSeconds: 8,
      resolution: "720p",
      aspectRatio: "9:16",
      imageUrl: "https://example.com/fox.png",
    },
  });
  assert.deepEqual(last(), {
    name: "claim_submission",
    args: { p_job_id: jobId, p_providers: ["fal", "runway"], p_moderates: true },
  });
});

Deno.test("a claim that got nothing is null, or the prompt that has to be moderated before", async () => {
  const offer = { providers: [], moderates: true };
  const { database } = fakeDatabase({ claimed: false });
  assert.equal(await database.claimSubmission(jobId, offer), null);
  const unmoderated = fakeDatabase({ claimed: false, prompt: "a red fox" });
  assert.deepEqual(await unmoderated.database.claimSubmission(jobId, offer), { prompt: "a red fox" });
});

Deno.test("a verdict is written with the names that SQL reads", async () => {
  const { database, last } = fakeDatabase({ status: "pending" });
  await database.recordModeration(jobId, { verdict: "unavailable", cause: "429", retryAfterSeconds: 3 });
  const verdict = { verdict: "unavailable", cause: "429", retry_after_seconds: 3 };
  assert.deepEqual(last(), { name: "record_moderation", args: { p_job_id: jobId, p_verdict: verdict } });
});

Deno.test("a submission's outcome is written with the names that SQL reads", async () => {
  const failure = { code: "ERR_4003", details: { reason: "provider_policy" }, cause: "c" } as const;
  const cases: [SubmitOutcome, object][] = [
    [
      { outcome: "accepted", requestId: "r", references: { status_url: "u" } },
      { outcome: "accepted", request_id: "r", references: { status_url: "u" } },
    ],
    [{ outcome: "refused", failure }, { outcome: "refused", failure }],
    [
      { outcome: "not_accepted", cause: "c", retryAfterSeconds: 3, isBusy: true, needsOperator: true },
      { outcome: "not_accepted", cause: "c", retry_after_seconds: 3, is_busy: true, needs_operator: true },
    ],
    [{ outcome: "unknown", cause: "c" }, { outcome: "unknown", cause: "c" }],
  ];
  for (const [outcome, written] of cases) {
    const { database, last } = fakeDatabase({ status: "processing" });
    const provider = { reportsStart: true, pollSeconds: 2, providers: ["fal", "runway"] };
    assert.deepEqual(await database.recordSubmission("s", outcome, provider), { status: "processing" });
    assert.deepEqual(last(), {
      name: "record_submission",
      args: {
        p_submission_id: "s",
        p_outcome: { ...written, reports_start: true },
        p_poll_seconds: 2,
        p_providers: ["fal", "runway"],
      },
    });
  }
});

Deno.test("a provider's word is written with the names that SQL reads, by webhook and by poll", async () => {
  const state: ProviderState = { state: "succeeded", videoUrl: "v", thumbnailUrl: null };
  const written = { state: "succeeded", video_url: "v", thumbnail_url: null };
  const { database, last } = fakeDatabase({});
  await database.recordProviderEvent({
    ownerReference,
    provider: "fal",
    submissionId: "s",
    eventId: "e",
    requestId: "r",
    state,
  });
  assert.deepEqual(last(), {
    name: "provider_webhook",
    args: {
      p_owner_reference: ownerReference,
      p_provider: "fal",
      p_submission_id: "s",
      p_event_id: "e",
      p_request_id: "r",
      p_state: written,
    },
  });
  await database.recordPoll(pollTask, { submissionId: "s", requestId: "r", state, intervalSeconds: 2 });
  assert.deepEqual(last(), {
    name: "record_poll",
    args: {
      p_task_id: pollTask.task_id,
      p_attempt: pollTask.attempt,
      p_submission_id: "s",
      p_request_id: "r",
      p_state: written,
      p_interval_seconds: 2,
    },
  });
});

Deno.test("what a task's handler needs to know is loaded by what the task is about", async () => {
  const { database, last } = fakeDatabase(facts);
  assert.deepEqual(await database.loadTask(pollTask), facts);
  assert.deepEqual(last(), { name: "load_video_task", args: { p_job_id: jobId } });

  const erasure = fakeDatabase({ paths: ["p"] });
  assert.deepEqual(await erasure.database.loadErasure(eraseAccountTask), { paths: ["p"] });
  assert.deepEqual(erasure.last(), { name: "load_erasure", args: { p_user_id: eraseAccountTask.subject } });
});

Deno.test("what became of a task is told with its attempt, which fences off a late worker", async () => {
  const { database, last } = fakeDatabase({ status: "completed" });
  const task = { ...storeTask, attempt: 3 };
  const ofTask = { p_task_id: storeTask.task_id, p_attempt: 3 };
  const asset: StoredAsset = {
    kind: "video",
    path: "p",
    bytes: 1,
    content_type: "video/mp4",
    duration_milliseconds: 5000,
    width: 16,
    height: 9,
  };
  const urls = { video_url: "v", thumbnail_url: null, video_url_expires_at: "2026-11-20T13:00:00.000Z" };
  assert.deepEqual(await database.recordStored(task, [asset], urls), { status: "completed" });
  assert.deepEqual(last(), {
    name: "record_stored",
    args: { ...ofTask, p_job_id: jobId, p_assets: [asset], p_urls: urls },
  });
  await database.recordUnusableResult(task, "no video");
  assert.deepEqual(last(), {
    name: "record_unusable_result",
    args: { ...ofTask, p_job_id: jobId, p_cause: "no video" },
  });

  await database.recordFilesDeleted({ ...deleteFilesTask, attempt: 3 });
  assert.deepEqual(last(), {
    name: "record_files_deleted",
    args: { p_task_id: deleteFilesTask.task_id, p_attempt: 3, p_job_id: jobId },
  });
  await database.eraseAccount({ ...eraseAccountTask, attempt: 3 });
  assert.deepEqual(last(), {
    name: "erase_account",
    args: { p_task_id: eraseAccountTask.task_id, p_attempt: 3, p_user_id: eraseAccountTask.subject },
  });

  const outcomes: (CancelOutcome | { outcome: "no_request_id" })[] = [
    { outcome: "requested" },
    { outcome: "unreachable", cause: "c" },
    { outcome: "no_request_id" },
  ];
  for (const outcome of outcomes) {
    await database.recordCancel({ ...cancelTask, attempt: 3 }, outcome);
    assert.deepEqual(last(), {
      name: "record_cancel",
      args: { p_task_id: cancelTask.task_id, p_attempt: 3, p_job_id: jobId, p_outcome: outcome },
    });
  }
});
