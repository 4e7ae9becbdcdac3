/** What an event makes due is the work of whoever brought it. */
import assert from "node:assert/strict";
import { stillDatabase } from "../support/frozen-clock.ts";
import {
  claimSubmission,
  claimTasks,
  failed,
  loadTask,
  type ProviderState,
  startVideo,
  type Submission,
  submit,
  succeeded,
  type Task,
} from "../support/generation.ts";
import { first } from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const database = sharedDatabase(stillDatabase);
const { sql } = database;

interface Given {
  state?: ProviderState;
  eventId?: string;
  /** The kinds that the caller has no room for; null is a function that does not know of tasks. */
  without?: string[] | null;
}

async function receive({ submissionId, requestId }: Submission, given: Given = {}): Promise<Task[]> {
  const { state = succeeded, eventId = crypto.randomUUID(), without = [] } = given;
  const { tasks } = await first(sql<{ tasks: Task[] }[]>`
    select api.provider_webhook(u.reference, 'fal', s.id, ${eventId}, ${requestId}, ${
    sql.json(state)
  }, ${without})
      #> '{data,tasks}' as tasks
    from videos.submissions as s join accounts.users as u on u.id = s.owner_id
    where s.id = ${submissionId}`);
  return tasks;
}

Deno.test("a success hands its store task to whoever brought it, with the facts, and to nobody else", async () => {
  const jobId = await startVideo(sql);
  const submission = await submit(sql, jobId);
  const eventId = crypto.randomUUID();
  const tasks = await receive(submission, { eventId });
  assert.deepEqual(tasks.map(({ kind, subject, attempt }) => [kind, subject, attempt]), [[
    "store",
    jobId,
    1,
  ]]);
  assert.equal(tasks[0]?.payload["video_url"], "https://provider.example/video.mp4");
  assert.deepEqual({ ...tasks[0]?.facts }, { ...await loadTask(sql, { subject: jobId }) });
  assert.equal(tasks[0]?.facts?.submission?.request_id, submission.requestId);
  assert.deepEqual(await claimTasks(sql, 10, jobId), []);
  assert.deepEqual(await receive(submission, { eventId }), [], "a replay brings nothing");
  await database.advance(16_000);
  assert.deepEqual((await claimTasks(sql, 10, jobId)).map(({ kind, attempt }) => [kind, attempt]), [[
    "store",
    2,
  ]]);
});

Deno.test("what there is no room for, and what nobody asked for, waits for a worker", async () => {
  for (const without of [["store"], null]) {
    const jobId = await startVideo(sql);
    assert.deepEqual(await receive(await submit(sql, jobId), { without }), []);
    assert.deepEqual((await claimTasks(sql, 10, jobId)).map(({ kind }) => kind), ["store"]);
  }
});

Deno.test("an event that makes nothing due brings nothing; one that has to be asked about brings its poll", async () => {
  const ended = await submit(sql, await startVideo(sql));
  assert.deepEqual(await receive(ended, { state: failed }), []);
  const running = await submit(sql, await startVideo(sql));
  assert.deepEqual(await receive(running, { state: { state: "running" } }), []);
  const stranger = { ...running, requestId: ended.requestId };
  assert.deepEqual(await receive(stranger), []);

  const jobId = await startVideo(sql);
  const submissionId = await claimSubmission(sql, jobId);
  assert(submissionId !== null);
  const tasks = await receive({ submissionId, requestId: "named-by-the-event" });
  assert.deepEqual(tasks.map(({ kind, payload }) => [kind, payload]), [
    ["poll", { request_id: "named-by-the-event" }],
  ]);
});
