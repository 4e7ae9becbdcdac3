import assert from "node:assert/strict";
import { AppError } from "../_shared/errors/app-error.ts";
import type { AdministeredUser } from "../_shared/ops/contract.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { fakeDataApi } from "../_shared/testing/data-api.ts";
import { testServer } from "../_shared/testing/server.ts";
import { sessionId, userId as adminId } from "../_shared/testing/tokens.ts";
import endpoint from "./index.ts";
import { banUser, readUser } from "./service.ts";

const userId = "0190a000-0000-7000-8000-0000000000bb";
const user: AdministeredUser = {
  user: {
    user_id: userId,
    is_guest: true,
    email: null,
    display_name: null,
    language: null,
    theme_preference: "system",
    credits_remaining: 6,
    created_at: "2026-11-20T12:00:00.000Z",
    is_banned: false,
    closed_at: null,
    merged_into: null,
  },
  credits: { remaining: 6, held: 4, owed: 0 },
  jobs: { pending: 0, processing: 1, completed: 0, failed: 0, cancelled: 0 },
  guests: [],
  legal_hold: null,
  erasure: null,
  recent_actions: [{
    id: "0190a000-0000-7000-8000-0000000000cc",
    action: "unban",
    admin_id: adminId,
    amount: null,
    reason: "a mistake",
    job_id: null,
    created_at: "2026-11-20T12:00:00.000Z",
  }],
  lots: [],
  statement: [],
  purchases: [],
  sessions: [],
  devices: { registered: 0, first_granted_at: null },
};

Deno.test("a user is asked for in one call, by the admin of the token", async () => {
  const { database, calls } = fakeDatabase({ get_admin_users: () => user });
  const context = testContext("admin", { database });
  assert.deepEqual(await readUser({ user_id: userId }, context), { status: 200, body: user });
  assert.deepEqual(calls, [{
    name: "get_admin_users",
    args: { p_admin_id: adminId, p_session_id: sessionId, p_user_id: userId },
  }]);
});

Deno.test("a ban, a hold and their lifting are one call each, with their reason", async () => {
  for (const action of ["ban", "unban", "hold", "lift_hold"] as const) {
    const { database, calls } = fakeDatabase({ post_admin_users: () => user });
    const request = { user_id: userId, action, reason: "for a reason" };
    assert.deepEqual(await banUser(request, testContext("admin", { database })), { status: 200, body: user });
    assert.deepEqual(calls, [{
      name: "post_admin_users",
      args: {
        p_admin_id: adminId,
        p_session_id: sessionId,
        p_request_id: "test-request",
        p_user_id: userId,
        p_action: action,
        p_reason: "for a reason",
      },
    }]);
  }
});

Deno.test("a refusal of the database is the answer", async () => {
  const refusal = new AppError("ERR_4009", { details: { status: "closed" } });
  const context = testContext("admin", fakeDatabase({ post_admin_users: () => Promise.reject(refusal) }));
  await assert.rejects(banUser({ user_id: userId, action: "ban", reason: "for a reason" }, context), refusal);
});

Deno.test("admin-users reads by GET and bans by POST, and knows no other action", async () => {
  const { fetch, calls } = fakeDataApi({
    get_admin_users: () => ({ data: user }),
    post_admin_users: () => ({ data: user }),
  });
  const server = await testServer(endpoint.operations, {}, { fetch });
  const token = await server.issuer.sign({ is_anonymous: false, aal: "aal2" });
  const read = await server.send({ path: `admin-users?user_id=${userId.toUpperCase()}`, token });
  assert.deepEqual([read.status, await read.json()], [200, user]);
  const json = { user_id: userId, action: "ban", reason: "for a reason" };
  const banned = await server.send({ method: "POST", path: "admin-users", token, json });
  assert.deepEqual([banned.status, await banned.json()], [200, user]);
  assert.deepEqual(calls.map(({ name, args }) => [name, args["p_user_id"]]), [
    ["get_admin_users", userId],
    ["post_admin_users", userId],
  ]);
  for (const wrong of [{ action: "delete" }, { action: undefined }, { reason: "" }, { user_id: "1" }]) {
    const refused = await server.send({
      method: "POST",
      path: "admin-users",
      token,
      json: { ...json, ...wrong },
    });
    assert.deepEqual([refused.status, (await refused.json()).error.code], [400, "ERR_4008"]);
  }
  assert.equal((await server.send({ path: "admin-users", token })).status, 400);
  assert.equal(calls.length, 2);
});
