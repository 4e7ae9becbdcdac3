import assert from "node:assert/strict";
import { AppError } from "../errors/app-error.ts";
import type { Submission } from "./procedures.ts";
import type { ProviderState } from "./providers/provider.ts";
import { attemptOf, NeedsOperator, type Task } from "../queue/task.ts";
import { mp4 } from "../testing/mp4.ts";
import { withoutPauses } from "../testing/pauses.ts";
import {
  cancelTask,
  deleteFilesTask,
  jobId,
  pollTask,
  storeTask,
  submission,
  submitTask,
} from "../testing/tasks.ts";
import { videoTasks } from "./tasks.ts";
import { elsewhere, lost, queued, setting } from "../testing/video-tasks.ts";

Deno.test("there is a handler for each kind of task that videos have", () => {
  assert.deepEqual(Object.keys(videoTasks).sort(), [
    ...[
      "cancel",
      "delete_files",
      "fingerprint",
      "poll",
      "read_provider_accounts",
      "store",
      "submit",
      "tidy_upload",
    ],
  ]);
});

Deno.test("a submit task submits its job, and needs nothing else of it", async () => {
  const { run, told } = setting();
  await run({ ...submitTask, facts: null });
  assert.deepEqual(told, [["claim_submission", {
    p_job_id: jobId,
    p_providers: ["fal"],
    p_moderates: false,
  }]]);
});

Deno.test("every other task needs what the database said of its job with the claim", async () => {
  for (const task of [pollTask, cancelTask, storeTask, deleteFilesTask]) {
    const { run, told } = setting({
      provider: { ...queued, cancel: () => Promise.resolve({ outcome: "requested" }) },
    });
    await run(task);
    assert.equal(told.length, 1, task.kind);

    for (const facts of [null, undefined, { folder: "f" }]) {
      const failing = setting();
      await assert.rejects(failing.run({ ...task, facts }), { name: "$ZodError" }, task.kind);
      assert.deepEqual(failing.told, []);
    }
  }
});

Deno.test("a poll asks for the request that is recorded, and records the provider's word with the names that SQL reads", async () => {
  const words: [ProviderState, object][] = [
    [{ state: "running", percent: 40 }, { state: "running", percent: 40 }],
    [
      { state: "succeeded", videoUrl: "v", thumbnailUrl: null },
      { state: "succeeded", video_url: "v", thumbnail_url: null },
    ],
    [
      { state: "unreachable", cause: "401", needsOperator: true },
      { state: "unreachable", cause: "401", needs_operator: true },
    ],
  ];
  for (const [state, written] of words) {
    const asked: unknown[] = [];
    const { run, told } = setting({
      provider: {
        poll: (...args) => {
          asked.push(args);
          return Promise.resolve(state);
        },
      },
    });
    await run(pollTask);
    assert.deepEqual(asked, [["request-1", submission.references, "fal-ai/veo3/fast"]]);
    assert.deepEqual(told, [["record_poll", {
      ...attemptOf(pollTask),
      p_submission_id: submission.submission_id,
      p_request_id: "request-1",
      p_state: written,
      p_interval_seconds: 2,
    }]]);
  }
});

Deno.test("the id that an event named is asked for only where we never learned one", async () => {
  const task = { ...pollTask, payload: { request_id: "request-9" } };
  const cases: [Submission, unknown[]][] = [
    [lost, ["request-9", {}]],
    [submission, ["request-1", submission.references]],
  ];
  for (const [submission, expected] of cases) {
    const asked: unknown[] = [];
    const { run, told } = setting({
      facts: { submission },
      provider: {
        poll: (requestId, references) => {
          asked.push(requestId, references);
          return Promise.resolve({ state: "queued" });
        },
      },
    });
    await run(task);
    assert.deepEqual(asked, expected);
    assert.deepEqual(told.map(([name]) => name), ["record_poll"]);
  }
});

/** What is recorded of a cancel task. */
const ofCancel = (outcome: object) => ({ ...attemptOf(cancelTask), p_job_id: jobId, p_outcome: outcome });

Deno.test("a cancel asks the provider where it has the job, and records its word", async () => {
  const asked: unknown[] = [];
  const { run, told } = setting({
    provider: {
      cancel: (...args) => {
        asked.push(args);
        return Promise.resolve({ outcome: "requested" });
      },
    },
  });
  await run(cancelTask);
  assert.deepEqual(asked, [["request-1", submission.references, "fal-ai/veo3/fast"]]);
  assert.deepEqual(told, [["record_cancel", ofCancel({ outcome: "requested" })]]);
});

Deno.test("a cancel without anybody to ask says so", async () => {
  for (const submission of [null, lost, elsewhere]) {
    const { run, told } = setting({ facts: { submission } });
    await run(cancelTask);
    assert.deepEqual(told, [["record_cancel", ofCancel({ outcome: "no_request_id" })]]);
  }
});

Deno.test("a task that cannot be done here fails: no submission, no request, no payload that its makers promise", async () => {
  const cases: [Task, Submission | null, RegExp][] = [
    [pollTask, null, /No submission to poll/],
    [storeTask, null, /No submission to store/],
    [pollTask, lost, /There is no request to ask for/],
    [{ ...pollTask, payload: { request_id: 9 } }, lost, /request_id/],
    [{ ...storeTask, payload: {} }, submission, /video_url/],
    [{ ...storeTask, payload: null }, submission, /object/],
  ];
  for (const [task, submission, reason] of cases) {
    const { run, told } = setting({ facts: { submission } });
    // What is no AppError is a bug by its code.
    await assert.rejects(run(task), (error: unknown) => {
      assert(error instanceof Error && !(error instanceof AppError));
      assert.match(error.message, reason);
      return true;
    });
    assert.deepEqual(told, []);
  }
});

Deno.test("a provider whose keys are gone is the operator's to bring back, and the job waits", async () => {
  for (const task of [pollTask, storeTask]) {
    const { run, told } = setting({ facts: { submission: elsewhere } });
    await assert.rejects(run(task), (error: Error) => {
      assert(error.cause instanceof NeedsOperator);
      assert.deepEqual(error.cause.alert, {
        rule: "provider_not_configured",
        subject: "runway",
        details: {},
      });
      return true;
    });
    assert.deepEqual(told, []);
  }
});

Deno.test("what was done is recorded when the database is back, and not done again", async () => {
  const cases: [Task, string][] = [
    [pollTask, "record_poll"],
    [cancelTask, "record_cancel"],
    [storeTask, "record_stored"],
    [deleteFilesTask, "record_files_deleted"],
  ];
  for (const [task, recorded] of cases) {
    let done = 0;
    const once = <const Result>(result: Result) => () => {
      done += 1;
      return Promise.resolve(result);
    };
    const { run, told } = setting({
      away: 2,
      provider: { poll: once({ state: "queued" }), cancel: once({ outcome: "requested" }) },
      storage: { remove: once(undefined) },
      fetch: once(new Response(mp4())),
    });
    const pauses = await withoutPauses(() => run(task));
    assert.deepEqual(told.map(([name]) => name), [recorded]);
    const [, args] = told[0] ?? [];
    assert.deepEqual(
      { ...args, ...attemptOf(task) },
      args,
      "with its attempt, which fences off a late worker",
    );
    assert.deepEqual([done, pauses.slice(0, 2)], [1, [500, 1_000]], recorded);
  }
});
