import assert from "node:assert/strict";
import { fakeDataApi } from "../_shared/testing/data-api.ts";
import { testServer } from "../_shared/testing/server.ts";
import { submitTask } from "../_shared/testing/tasks.ts";
import endpoint from "./index.ts";

/** The endpoint before a database with one task. */
async function serve() {
  const batches = [[submitTask]];
  const { fetch, calls } = fakeDataApi({
    claim_tasks: () => ({ data: batches.shift() ?? [] }),
    claim_submission: () => ({ data: { claimed: false } }),
  });
  return { calls, server: await testServer(endpoint.operations, {}, { fetch }) };
}

Deno.test("the answer is 202 before any work, which is then done", async () => {
  const { server, calls } = await serve();
  const response = await server.send({ method: "POST", path: "process-jobs", as: "service" });
  assert.deepEqual([response.status, await response.json()], [202, { accepted: true }]);
  assert.equal(server.lines.find(({ event }) => event === "request")?.data_api_calls, 0);
  await server.settled();
  assert.deepEqual(calls.map(({ name }) => name), ["claim_tasks", "claim_submission", "claim_tasks"]);
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
