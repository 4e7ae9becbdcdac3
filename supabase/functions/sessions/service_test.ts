import assert from "node:assert/strict";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { sessionId, userId } from "../_shared/testing/tokens.ts";
import { DeleteSessionsQuery } from "./schema.ts";
import { deleteSessions, getSessions } from "./service.ts";

const other = "0d1e2f3a-4b5c-4d6e-8f70-8192a3b4c5d6";
const sessions = [{
  id: sessionId,
  created_at: "2026-11-20T09:00:00.000Z",
  last_used_at: "2026-11-21T11:58:00.000Z",
  is_current: true,
}];

Deno.test("the sessions are the caller's own, as seen from the current one", async () => {
  const { database, calls } = fakeDatabase({ get_sessions: () => ({ sessions }) });
  const answer = await getSessions(undefined, testContext("user", { database }));
  assert.deepEqual(answer, { status: 200, body: { sessions } });
  assert.deepEqual(calls, [{ name: "get_sessions", args: { p_user_id: userId, p_session_id: sessionId } }]);
});

Deno.test("one session is ended without a word, the others with their number", async () => {
  const { database, calls } = fakeDatabase({ delete_sessions: () => ({ ended: 2 }) });
  const context = testContext("user", { database });
  assert.deepEqual(await deleteSessions({ session_id: other }, context), { status: 204 });
  assert.deepEqual(await deleteSessions({ others: "true" }, context), { status: 200, body: { ended: 2 } });
  assert.deepEqual(calls.map(({ args }) => Reflect.get(args, "p_ended_session_id")), [other, null]);
});

Deno.test("a request names one session, or the others", () => {
  const accepts = (query: unknown) => DeleteSessionsQuery.safeParse(query).success;
  assert(accepts({ session_id: other }));
  assert(accepts({ others: "true" }));
  for (
    const query of [
      {},
      { session_id: other, others: "true" },
      { others: "false" },
      { others: "" },
      { session_id: "x" },
      { session_id: other, user_id: userId },
    ]
  ) assert(!accepts(query), JSON.stringify(query));
});
