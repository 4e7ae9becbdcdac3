import assert from "node:assert/strict";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";
import { fakeDataApi } from "../_shared/testing/data-api.ts";
import { testServer } from "../_shared/testing/server.ts";
import endpoint from "./index.ts";
import { TakedownNoticesRequest } from "./schema.ts";

const request = { job_id: exampleIds.job, contact: "ada@example.com", statement: "It is my face" };

Deno.test("a stranger without any credentials is heard, and counts by network", async () => {
  const notice = {
    notice_id: exampleIds.notice,
    job_id: exampleIds.job,
    received_at: "2026-11-20T12:00:00.000Z",
    due_at: "2026-11-22T12:00:00.000Z",
  };
  const { fetch, calls } = fakeDataApi({ takedown_notices: () => ({ data: notice }) });
  const server = await testServer(endpoint.operations, {}, { fetch });
  const answer = await server.send({ method: "POST", path: "takedown-notices", as: "nobody", json: request });
  assert.deepEqual([answer.status, await answer.json()], [202, notice]);
  const [call] = calls;
  assert.deepEqual(Object.keys(call?.args ?? {}).sort(), [
    "p_contact",
    "p_job_id",
    "p_network",
    "p_statement",
  ]);
  // What they wrote is theirs, and no line of the log has it.
  assert(!JSON.stringify(server.lines).includes("ada@example.com"));
  assert(!JSON.stringify(server.lines).includes("my face"));
});

Deno.test("a notice says which video, how its sender can be reached, and why", () => {
  const read = (changes: object) => TakedownNoticesRequest.safeParse({ ...request, ...changes }).success;
  assert(read({}) && read({ contact: "+90 212 000 00 00", statement: "x\ny" }));
  for (
    const wrong of [
      { contact: "" },
      { contact: "ab" },
      { contact: "a\nb@example.com" },
      {
        contact: "x".repeat(201),
      },
      { statement: "" },
      { statement: "x".repeat(4_001) },
      { job_id: undefined },
      { reason: "hate" },
    ]
  ) assert(!read(wrong), JSON.stringify(wrong).slice(0, 80));
});
