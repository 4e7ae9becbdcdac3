import assert from "node:assert/strict";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { sessionId, userId } from "../_shared/testing/tokens.ts";
import { postUserExport } from "./service.ts";

Deno.test("an export is the caller's own, and where its file is in storage is told to nobody", async () => {
  const asked = {
    status: "pending",
    requested_at: "2026-11-20T12:00:00.000Z",
    bytes: null,
    expires_at: null,
  };
  const { database, calls } = fakeDatabase({
    user_export: () => ({ ...asked, path: "canary/exports/1.json" }),
  });
  const answer = await postUserExport(undefined, testContext("user", { database }));
  assert.deepEqual(answer, { status: 202, body: { ...asked, url: null } });
  assert.deepEqual(calls, [{ name: "user_export", args: { p_user_id: userId, p_session_id: sessionId } }]);
});
