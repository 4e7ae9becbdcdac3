import assert from "node:assert/strict";
import { createHash } from "node:crypto";
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

Deno.test("the catalogue is what the database says", async () => {
  const { database } = fakeDatabase({ models: () => Promise.resolve(catalogue) });
  const answer = await listModels(undefined, testContext("user", { database }));
  assert.deepEqual(answer, { status: 200, body: { models: catalogue.models } });
});

Deno.test("GET models is one call, or none, and may be kept by the client until it is a minute old", async () => {
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
    "private, max-age=60, stale-if-error=3600",
  ]);
  assert.equal(first.headers.get("ratelimit"), '"reads";r=119;t=1');

  const second = await server.send({ path: "models", headers: { "If-None-Match": etag } });
  assert.deepEqual([second.status, second.body, second.headers.get("etag")], [304, null, etag]);
  assert.equal(second.headers.get("ratelimit"), null, "nothing was counted");
  assert.deepEqual([first.headers.get("age"), second.headers.get("age")], [null, "0"]);
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
