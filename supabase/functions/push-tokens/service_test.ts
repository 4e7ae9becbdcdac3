import assert from "node:assert/strict";
import { examplePushToken } from "../_shared/notify/contract.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { sessionId, userId } from "../_shared/testing/tokens.ts";
import { PushTokensQuery, PushTokensRequest } from "./schema.ts";
import { registerToken, removeToken } from "./service.ts";

const token = examplePushToken;
const caller = { p_user_id: userId, p_session_id: sessionId };

Deno.test("a device is registered and removed for the caller of the token", async () => {
  const { database, calls } = fakeDatabase({ post_push_tokens: () => ({}), delete_push_tokens: () => ({}) });
  const context = testContext("user", { database });
  assert.deepEqual(await registerToken({ token, environment: "sandbox" }, context), { status: 204 });
  assert.deepEqual(await removeToken({ token }, context), { status: 204 });
  assert.deepEqual(calls, [
    { name: "post_push_tokens", args: { ...caller, p_token: token, p_environment: "sandbox" } },
    { name: "delete_push_tokens", args: { ...caller, p_token: token } },
  ]);
});

Deno.test("a token is hexadecimal, in whichever case, and of one device whatever the case", () => {
  const environment = "production";
  for (const good of [token, token.toUpperCase(), "0".repeat(64), "f".repeat(200)]) {
    assert.equal(PushTokensRequest.parse({ token: good, environment }).token, good.toLowerCase());
    assert.equal(PushTokensQuery.parse({ token: good }).token, good.toLowerCase());
  }
  for (
    const bad of [
      "",
      "0".repeat(63),
      "0".repeat(201),
      `${token.slice(1)}g`,
      `${token.slice(2)}/x`,
      `<${token}>`,
      ` ${token}`,
      `${token}\n`,
      7,
      null,
      undefined,
    ]
  ) {
    assert(!PushTokensRequest.safeParse({ token: bad, environment }).success, String(bad));
    assert(!PushTokensQuery.safeParse({ token: bad }).success, String(bad));
  }
});

Deno.test("an environment is one of Apple's two, and nobody registers for another", () => {
  for (const environment of ["production", "sandbox"]) {
    assert(PushTokensRequest.safeParse({ token, environment }).success);
  }
  for (const environment of ["Production", "development", "", null, undefined]) {
    assert(!PushTokensRequest.safeParse({ token, environment }).success, String(environment));
  }
  assert(!PushTokensRequest.safeParse({ token, environment: "sandbox", user_id: userId }).success);
});
