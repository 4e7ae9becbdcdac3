import assert from "node:assert/strict";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { sessionId, userId as adminId } from "../_shared/testing/tokens.ts";
import documentation from "./documentation.ts";
import { GetAdminQueueQuery, PostAdminQueueRequest } from "./schema.ts";
import { listDeadTasks, replayTask } from "./service.ts";

const { kinds, tasks } = documentation.GET.responses[200];
const caller = { p_admin_id: adminId, p_session_id: sessionId };

Deno.test("a page of dead letters is asked for by the admin of the token, and its cursor leads to the next one", async () => {
  const next = { failed_at: "2026-11-20T11:59:00.123456+00:00", id: 7 };
  const { database, calls } = fakeDatabase({ get_admin_queue: () => ({ kinds, tasks, next }) });
  const context = testContext("admin", { database });
  const { status, body } = await listDeadTasks(
    GetAdminQueueQuery.parse({ kind: "store", limit: "1" }),
    context,
  );
  assert(body?.next_cursor);
  assert.deepEqual([status, body.kinds, body.tasks], [200, kinds, tasks]);
  await listDeadTasks(GetAdminQueueQuery.parse({ cursor: body.next_cursor }), context);
  assert.deepEqual(calls.map(({ args }) => args), [
    { ...caller, p_kind: "store", p_limit: 1, p_after: null },
    { ...caller, p_limit: 20, p_after: next },
  ]);
  await assert.rejects(listDeadTasks(GetAdminQueueQuery.parse({ cursor: "made-up" }), context), {
    code: "ERR_4008",
  });
});

Deno.test("a replay is one call, with its reason and its request", async () => {
  const answer = documentation.POST.responses[200];
  const { database, calls } = fakeDatabase({ post_admin_queue: () => answer });
  const request = PostAdminQueueRequest.parse({ task_id: 7, reason: "Storage is back" });
  assert.deepEqual(await replayTask(request, testContext("admin", { database })), {
    status: 200,
    body: answer,
  });
  assert.deepEqual(calls.map(({ args }) => args), [
    { ...caller, p_request_id: "test-request", p_task_id: 7, p_reason: "Storage is back" },
  ]);
});

Deno.test("a task is named by its number, and its replay has a reason", () => {
  const reason = "Storage is back";
  for (
    const request of [{ task_id: 7 }, { reason }, { task_id: "7", reason }, { task_id: 0, reason }, {
      task_id: 1.5,
      reason,
    }]
  ) {
    assert(!PostAdminQueueRequest.safeParse(request).success, JSON.stringify(request));
  }
});
