import assert from "node:assert/strict";
import { fakeDataApi } from "../_shared/testing/data-api.ts";
import { testServer } from "../_shared/testing/server.ts";
import { sessionId, userId as adminId } from "../_shared/testing/tokens.ts";
import endpoint from "./index.ts";

Deno.test("what a user sends is looked up in one call, without the white space around it", async () => {
  const found = { users: [], jobs: [] };
  const { fetch, calls } = fakeDataApi({ admin_search: () => ({ data: found }) });
  const server = await testServer(endpoint.operations, {}, { fetch });
  const token = await server.issuer.sign({ is_anonymous: false, aal: "aal2" });
  const search = (query: string) =>
    server.send({ path: `admin-search?${new URLSearchParams({ query })}`, token });
  const answer = await search(" Ada@example.com ");
  assert.deepEqual([answer.status, await answer.json()], [200, found]);
  assert.deepEqual(calls.map(({ args }) => args), [
    { p_admin_id: adminId, p_session_id: sessionId, p_query: "Ada@example.com" },
  ]);
  for (const query of ["", " ", "a\u0000b", "x".repeat(321)]) {
    assert.equal((await search(query)).status, 400, JSON.stringify(query));
  }
});
