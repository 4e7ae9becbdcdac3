import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { AppError } from "../_shared/errors/app-error.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { fakeDataApi } from "../_shared/testing/data-api.ts";
import { testServer } from "../_shared/testing/server.ts";
import { sessionId, userId } from "../_shared/testing/tokens.ts";
import endpoint from "./index.ts";
import type { ModelsResponse } from "./schema.ts";
import { listModels } from "./service.ts";

const catalogue: ModelsResponse = {
  models: [{
    id: "0190a000-0000-7000-8000-000000000002",
    name: "Veo 3 Fast",
    description: "Fast and detailed videos from a text, without sound.",
    category: "text_to_video",
    thumbnail_url: null,
    is_featured: false,
    requires_image: false,
    processed_by: ["fal"],
    pricing: { type: "per_second", credits: 1 },
    options: {
      duration_seconds: { values: [4, 6, 8], default: 4 },
      resolution: { values: ["720p", "1080p"], default: "720p" },
      aspect_ratio: { values: ["16:9", "9:16"], default: "16:9" },
    },
    inputs: [{ name: "audio", type: "boolean", default: false, price_factor: 1.5 }],
  }],
};
const limit = {
  policy: "reads",
  allowed: true,
  current: 1,
  limit: 120,
  window: 60,
  remaining: 119,
  reset: 1,
};

/** An isolate whose database answers as it is told, and who asked it. */
function isolate(answer: (userId: string) => Promise<ModelsResponse> = () => Promise.resolve(catalogue)) {
  const asked: string[] = [];
  const { database } = fakeDatabase({
    models: ({ p_user_id }) => {
      asked.push(p_user_id ?? "");
      return answer(p_user_id ?? "");
    },
  });
  const context = testContext("user", { database });
  const ask = (userId: string) =>
    listModels(undefined, { ...context, caller: { ...context.caller, userId } });
  return { asked, ask, clock: context.clock };
}

Deno.test("the catalogue is what the database says", async () => {
  assert.deepEqual(await isolate().ask(userId), { status: 200, body: { models: catalogue.models } });
});

Deno.test("for a minute everybody is answered from memory, and then the database is asked again", async () => {
  let models = catalogue.models;
  const { ask, asked, clock } = isolate(() => Promise.resolve({ models }));
  await ask("a");
  models = [];
  clock.advance(59_999);
  assert.equal((await ask("b")).body?.models.length, 1);
  assert.deepEqual(asked, ["a"]);
  clock.advance(1);
  assert.equal((await ask("b")).body?.models.length, 0);
  assert.deepEqual(asked, ["a", "b"]);
});

Deno.test("many at once cost one question", async () => {
  const { promise, resolve } = Promise.withResolvers<ModelsResponse>();
  const { ask, asked } = isolate(() => promise);
  const answers = Array.from({ length: 20 }, (_, index) => ask(`user ${index}`));
  resolve(catalogue);
  for (const answer of await Promise.all(answers)) assert.deepEqual(answer.body, catalogue);
  assert.deepEqual(asked, ["user 0"]);
});

Deno.test("a refusal is its caller's own: who waited with them asks for themselves", async () => {
  const { promise: refused, resolve: refuse } = Promise.withResolvers<void>();
  const { ask, asked } = isolate(async (userId) => {
    await refused;
    if (userId === "banned") throw new AppError("ERR_4017");
    return catalogue;
  });
  const banned = ask("banned");
  const other = ask("other");
  refuse();
  await assert.rejects(banned, { code: "ERR_4017" });
  assert.equal((await other).status, 200);
  assert.deepEqual(asked, ["banned", "other"]);
  await ask("third");
  assert.deepEqual(asked, ["banned", "other"], "what was answered is remembered");
});

Deno.test("a failure is not remembered", async () => {
  let isAway = true;
  const { ask, asked } = isolate(() =>
    isAway ? Promise.reject(new AppError("ERR_6001")) : Promise.resolve(catalogue)
  );
  await assert.rejects(ask("a"), { code: "ERR_6001" });
  isAway = false;
  assert.equal((await ask("a")).status, 200);
  assert.equal(asked.length, 2);
});

Deno.test("a failure that comes late does not forget what was learnt meanwhile", async () => {
  const { promise: late, reject: fail } = Promise.withResolvers<ModelsResponse>();
  const { ask, asked, clock } = isolate((userId) => userId === "slow" ? late : Promise.resolve(catalogue));
  const slow = ask("slow");
  clock.advance(60_000);
  await ask("quick");
  fail(new AppError("ERR_6001"));
  await assert.rejects(slow);
  await ask("third");
  assert.deepEqual(asked, ["slow", "quick"]);
});

Deno.test("GET models is one call, or none, and may be kept by the client for a minute", async () => {
  // Beyond ASCII, as the tag is one of bytes.
  const models = catalogue.models.map((model) => ({ ...model, name: "Veo 3 Hızlı ⚡" }));
  const { fetch, calls } = fakeDataApi({ models: () => ({ data: { models }, limits: [limit] }) });
  const server = await testServer(endpoint.operations, {}, { fetch });
  const first = await server.send({ path: "models" });
  assert.equal(first.status, 200);
  const bytes = new Uint8Array(await first.arrayBuffer());
  assert.deepEqual(JSON.parse(new TextDecoder().decode(bytes)), { models });
  const etag = `"${createHash("sha256").update(bytes).digest("base64url")}"`;
  assert.deepEqual([first.headers.get("etag"), first.headers.get("cache-control")], [
    etag,
    "private, max-age=60",
  ]);
  assert.equal(first.headers.get("ratelimit"), '"reads";r=119;t=1');

  const second = await server.send({ path: "models", headers: { "If-None-Match": etag } });
  assert.deepEqual([second.status, second.body, second.headers.get("etag")], [304, null, etag]);
  assert.equal(second.headers.get("ratelimit"), null, "nothing was counted");
  assert.deepEqual(server.lines.map(({ data_api_calls }) => data_api_calls), [1, 0]);
  assert.deepEqual(calls, [{
    name: "models",
    args: { p_user_id: userId, p_session_id: sessionId, p_moderated_by: null },
  }]);
});

Deno.test("whoever has no valid token is not answered from memory either", async () => {
  const { fetch } = fakeDataApi({ models: () => ({ data: catalogue }) });
  const server = await testServer(endpoint.operations, {}, { fetch });
  assert.equal((await server.send({ path: "models" })).status, 200);
  assert.equal((await server.send({ path: "models", as: "nobody" })).status, 401);
});
