import assert from "node:assert/strict";
import { fakeDataApi } from "../_shared/testing/data-api.ts";
import { testServer } from "../_shared/testing/server.ts";
import { sessionId, userId } from "../_shared/testing/tokens.ts";
import endpoint from "./index.ts";

const on = { key: "new_editor", value: true, variant: "on", reason: "SPLIT" } as const;
const all = "flags/ofrep/v1/evaluate/flags";

async function serve(flags: readonly unknown[] = [on]) {
  const { fetch, calls } = fakeDataApi({ flags: () => ({ data: { flags } }) });
  const server = await testServer(endpoint.operations, {}, { fetch });
  const send = (path: string, json: unknown, headers: Record<string, string> = {}) =>
    server.send({ method: "POST", path, json, headers });
  return { send, calls };
}

const context = {
  targetingKey: "somebody else",
  platform: "ios",
  app_version: "2.0.0",
  plan: { is: ["open"] },
};

Deno.test("all flags are one call, with what the app says of itself and the token's user, and nothing else of the context", async () => {
  const { send, calls } = await serve();
  const response = await send(all, { context: { ...context, locale: null } });
  assert.deepEqual([response.status, await response.json()], [200, { flags: [on] }]);
  assert.deepEqual(calls, [{
    name: "flags",
    args: {
      p_context: { app_version: "2.0.0", platform: "ios" },
      p_user_id: userId,
      p_session_id: sessionId,
    },
  }]);
});

Deno.test("what has not changed is not sent again", async () => {
  const { send } = await serve();
  const etag = (await send(all, { context })).headers.get("etag") ?? "";
  const response = await send(all, { context }, { "if-none-match": etag });
  assert.deepEqual([response.status, response.body], [304, null]);
});

Deno.test("one flag is asked for by its key, as the URL has it", async () => {
  const { send, calls } = await serve();
  const response = await send(`${all}/new%5Feditor`, { context: {} });
  assert.deepEqual([response.status, await response.json()], [200, on]);
  assert.equal(calls[0]?.args["p_key"], "new_editor");
});

Deno.test("a flag that is not there, or cannot be, has the protocol's error beside ours; what no key is asks nothing", async () => {
  const { send, calls } = await serve([]);
  for (const key of ["unknown", "a%00b", "%ff", "a%2Fb", "x".repeat(101)]) {
    const response = await send(`${all}/${key}`, { context: {} });
    const { error, ...members } = await response.json();
    assert.deepEqual([response.status, error.code, members.errorCode], [404, "ERR_4007", "FLAG_NOT_FOUND"]);
    assert.equal(typeof members.key, "string");
  }
  assert.equal(calls.length, 1);
});

Deno.test("what is wrong in the context is told in the protocol's words, and what is wrong beside it in others", async () => {
  const { send, calls } = await serve();
  const told = async (json: unknown) => {
    const { errorCode, errorDetails } = await (await send(all, json)).json();
    return [errorCode, errorDetails.split(":")[0]];
  };
  assert.deepEqual(await told({}), ["INVALID_CONTEXT", "context"]);
  assert.deepEqual(await told({ context: { platform: 1 } }), ["INVALID_CONTEXT", "context.platform"]);
  assert.deepEqual(await told({ context: {}, user_id: userId }), ["PARSE_ERROR", "user_id"]);
  assert.deepEqual(calls, []);
});
