import assert from "node:assert/strict";
import { fakeDataApi } from "../testing/data-api.ts";
import { testRuntime } from "../testing/runtime.ts";
import { jobId, pollTask, storeTask } from "../testing/tasks.ts";
import { queue } from "./queue.ts";

/** The database, where every procedure answers with this data, and the arguments of its last call. */
function fakeDatabase(data: unknown) {
  const answer = () => ({ data });
  const { fetch, calls } = fakeDataApi({ claim_tasks: answer, renew_tasks: answer, retry_task: answer });
  return { database: queue(testRuntime(fetch)), last: () => calls.at(-1) };
}

Deno.test("tasks are claimed for everybody or for one subject, and come as the database names them", async () => {
  const { database, last } = fakeDatabase([pollTask]);
  assert.deepEqual(await database.claimTasks(10), [pollTask]);
  assert.deepEqual(last(), { name: "claim_tasks", args: { p_limit: 10, p_subject: null, p_without: [] } });
  await database.claimTasks(1, jobId, ["store"]);
  assert.deepEqual(last(), {
    name: "claim_tasks",
    args: { p_limit: 1, p_subject: jobId, p_without: ["store"] },
  });
});

Deno.test("leases are renewed by task and attempt, and it is told of each whether it is kept", async () => {
  const { database, last } = fakeDatabase({ kept: [false, true] });
  assert.deepEqual(await database.renewTasks([{ ...storeTask, attempt: 3 }, pollTask]), [false, true]);
  assert.deepEqual(last(), {
    name: "renew_tasks",
    args: { p_task_ids: [storeTask.task_id, pollTask.task_id], p_attempts: [3, 1] },
  });
});

Deno.test("a task is given back with its attempt, which fences off a late worker, and with why it failed", async () => {
  const { database, last } = fakeDatabase({ state: "waiting" });
  const error = { code: "ERR_6002", reason: "why" } as const;
  assert.deepEqual(await database.retryTask({ ...storeTask, attempt: 3 }, error), { state: "waiting" });
  assert.deepEqual(last(), {
    name: "retry_task",
    args: { p_task_id: storeTask.task_id, p_attempt: 3, p_error: "why", p_code: "ERR_6002" },
  });
});
