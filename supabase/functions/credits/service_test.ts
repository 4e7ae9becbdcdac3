import assert from "node:assert/strict";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { fakeDataApi } from "../_shared/testing/data-api.ts";
import { testServer } from "../_shared/testing/server.ts";
import { sessionId, userId } from "../_shared/testing/tokens.ts";
import endpoint from "./index.ts";
import type { CreditsPage } from "./schema.ts";
import { listCredits } from "./service.ts";

const page: CreditsPage = {
  credits_remaining: 6,
  credits_held: 4,
  credits_owed: 0,
  expiring: [{ credits: 6, expires_at: "2026-12-01T00:00:00.000Z" }],
  transactions: [{
    id: "0190a000-0000-7000-8000-0000000000aa",
    amount: -4,
    kind: "hold",
    balance_after: 6,
    job_id: "0190a000-0000-7000-8000-0000000000bb",
    created_at: "2026-11-20T12:00:00.000Z",
  }],
  next: { number: 2 },
};

function setting(next = page.next) {
  const { database, calls } = fakeDatabase({ credits: () => ({ ...page, next }) });
  return { context: testContext("user", { database }), calls };
}

Deno.test("the caller's credits are told with a page of what moved them, and the cursor leads to the next", async () => {
  const { context, calls } = setting();
  const { status, body } = await listCredits({ limit: 1 }, context);
  const { next: _, ...credits } = page;
  const cursor = body?.next_cursor;
  assert(cursor);
  assert.deepEqual([status, body], [200, { ...credits, next_cursor: cursor }]);
  await listCredits({ limit: 50, cursor }, context);
  assert.deepEqual(calls, [
    { name: "credits", args: { p_user_id: userId, p_session_id: sessionId, p_limit: 1, p_after: null } },
    {
      name: "credits",
      args: { p_user_id: userId, p_session_id: sessionId, p_limit: 50, p_after: { number: 2 } },
    },
  ]);
});

Deno.test("the last page has no cursor", async () => {
  const { body } = await listCredits({ limit: 1 }, setting(null).context);
  assert.equal(body?.next_cursor, null);
});

Deno.test("a cursor that was made up is refused before the database is asked", async () => {
  const { context, calls } = setting();
  for (const refused of ["made-up", btoa("2"), ""]) {
    await assert.rejects(listCredits({ limit: 1, cursor: refused }, context), { code: "ERR_4008" });
  }
  assert.deepEqual(calls, []);
});

Deno.test("GET credits is one call, of 20 transactions where nothing else is said", async () => {
  const { fetch, calls } = fakeDataApi({ credits: () => ({ data: page }) });
  const server = await testServer(endpoint.operations, {}, { fetch });
  const response = await server.send({ path: "credits" });
  const { next_cursor: cursor } = await response.json();
  assert.equal(response.status, 200);
  assert.equal((await server.send({ path: `credits?limit=5&cursor=${cursor}` })).status, 200);
  assert.deepEqual(calls.map(({ args }) => args), [
    { p_user_id: userId, p_session_id: sessionId, p_limit: 20, p_after: null },
    { p_user_id: userId, p_session_id: sessionId, p_limit: 5, p_after: { number: 2 } },
  ]);
  for (const query of ["limit=0", "limit=101", "limit=x", `cursor=${cursor}A`, "cursor=", "before=1"]) {
    const refused = await server.send({ path: `credits?${query}` });
    assert.deepEqual([refused.status, (await refused.json()).error.code], [400, "ERR_4008"], query);
  }
});
