import assert from "node:assert/strict";
import type { Task } from "../_shared/queue/task.ts";
import { fakeDataApi } from "../_shared/testing/data-api.ts";
import { testServer } from "../_shared/testing/server.ts";
import { eraseAccountTask, jobId, submitTask } from "../_shared/testing/tasks.ts";
import endpoint from "./index.ts";

/** The endpoint before a database with these tasks. */
async function serve(...tasks: Task[]) {
  const batches = [tasks];
  const { fetch, calls } = fakeDataApi({
    claim_tasks: () => ({ data: batches.shift() ?? [] }),
    claim_submission: () => ({ data: { claimed: false } }),
    load_erasure: () => ({ data: { paths: [], uploads: [] } }),
    erase_account: () => ({ data: { state: "erased" } }),
    retry_task: () => ({ data: { state: "waiting" } }),
  });
  return { calls, server: await testServer(endpoint.operations, {}, { fetch }) };
}

Deno.test("the answer is 202 before any work, which is then done", async () => {
  const { server, calls } = await serve(submitTask);
  const response = await server.send({ method: "POST", path: "process-jobs", as: "service" });
  assert.deepEqual([response.status, await response.json()], [202, { accepted: true }]);
  assert.equal(server.lines.find(({ event }) => event === "request")?.data_api_calls, 0);
  await server.settled();
  assert.deepEqual(calls.map(({ name }) => name), ["claim_tasks", "claim_submission", "claim_tasks"]);
});

Deno.test("the tasks of every domain are done, each by its kind, and a kind that is new goes back", async () => {
  const unknown = { ...submitTask, task_id: 9, kind: "upscale" };
  const { server, calls } = await serve(submitTask, eraseAccountTask, unknown);
  await server.send({ method: "POST", path: "process-jobs", as: "service" });
  await server.settled();
  assert.deepEqual(calls[0], { name: "claim_tasks", args: { p_limit: 10, p_subject: null, p_without: [] } });
  const { subject: userId, task_id, attempt } = eraseAccountTask;
  for (
    const expected of [
      ["claim_submission", { p_job_id: jobId, p_moderates: false, p_providers: [] }],
      ["load_erasure", { p_user_id: userId }],
      ["erase_account", { p_task_id: task_id, p_attempt: attempt, p_user_id: userId }],
      ["retry_task", {
        p_task_id: 9,
        p_attempt: 1,
        p_code: "ERR_6003",
        p_error: "Error: Unknown kind of task: upscale",
      }],
    ]
  ) {
    assert.deepEqual(calls.filter(({ name }) => name === expected[0]).map(({ args }) => args), [expected[1]]);
  }
});

Deno.test("whatever body the scheduler sends is not looked at", async () => {
  const { server } = await serve();
  const response = await server.send({ method: "POST", path: "process-jobs", as: "service", json: {} });
  assert.equal(response.status, 202);
  await server.settled();
});

Deno.test("a database that is away is no failure of the answer, and is logged", async () => {
  const { fetch } = fakeDataApi({ claim_tasks: () => new Response("", { status: 503 }) });
  const server = await testServer(endpoint.operations, {}, { fetch });
  assert.equal((await server.send({ method: "POST", path: "process-jobs", as: "service" })).status, 202);
  await server.settled();
  assert(server.lines.some(({ event, level }) => event === "background_work_failed" && level === "error"));
});

Deno.test("nobody but a server with a secret key wakes the worker", async () => {
  const { server, calls } = await serve();
  for (const as of ["guest", "nobody"] as const) {
    assert.equal((await server.send({ method: "POST", path: "process-jobs", as })).status, 401);
  }
  await server.settled();
  assert.deepEqual(calls, []);
});
