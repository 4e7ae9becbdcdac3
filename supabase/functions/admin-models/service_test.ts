import assert from "node:assert/strict";
import { AppError } from "../_shared/errors/app-error.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { fakeDataApi } from "../_shared/testing/data-api.ts";
import { testServer } from "../_shared/testing/server.ts";
import { sessionId, userId as adminId } from "../_shared/testing/tokens.ts";
import endpoint from "./index.ts";
import { changeModel, listModels } from "./service.ts";

const model = {
  id: "0190a000-0000-7000-8000-000000000001",
  name: "Kling 2.5 Turbo Pro",
  description: "Cinematic motion from a text.",
  category: "text_to_video" as const,
  thumbnail_url: null,
  is_featured: true,
  requires_image: false,
  pricing: { type: "per_video" as const, credits: 4 },
  options: {
    duration_seconds: { values: [5], default: 5 },
    resolution: { values: ["1080p"], default: "1080p" },
    aspect_ratio: { values: ["16:9"], default: "16:9" },
  },
  inputs: [],
  is_available: false,
};
const request = { model_id: model.id, is_available: false, reason: "it is slow today" };

Deno.test("the models are asked for in one call, by the admin of the token", async () => {
  const providers = [{ provider: "fal", is_enabled: true, breaker: "half_open" as const, cost_cents: 7.5 }];
  const catalogue = { models: [{ ...model, providers }] };
  const { database, calls } = fakeDatabase({ get_admin_models: () => catalogue });
  const answer = await listModels(undefined, testContext("admin", { database }));
  assert.deepEqual(answer, { status: 200, body: catalogue });
  assert.deepEqual(calls, [{
    name: "get_admin_models",
    args: { p_admin_id: adminId, p_session_id: sessionId },
  }]);
});

Deno.test("a model is changed in one call, by the admin of the token, and answered as it is then", async () => {
  const { database, calls } = fakeDatabase({ patch_admin_models: () => model });
  const context = testContext("admin", { database });
  assert.deepEqual(await changeModel(request, context), { status: 200, body: model });
  assert.deepEqual(calls, [{
    name: "patch_admin_models",
    args: {
      p_admin_id: adminId,
      p_session_id: sessionId,
      p_request_id: "test-request",
      p_model_id: model.id,
      p_is_available: false,
      p_reason: "it is slow today",
    },
  }]);
});

Deno.test("a refusal of the database is the answer", async () => {
  const refusal = new AppError("ERR_4002", { details: { model_id: model.id } });
  const context = testContext("admin", fakeDatabase({ patch_admin_models: () => Promise.reject(refusal) }));
  await assert.rejects(changeModel(request, context), refusal);
});

Deno.test("PATCH admin-models takes whether the model is offered, and why, and nothing else of it", async () => {
  const { fetch, calls } = fakeDataApi({ patch_admin_models: () => ({ data: model }) });
  const server = await testServer(endpoint.operations, {}, { fetch });
  const token = await server.issuer.sign({ is_anonymous: false, aal: "aal2" });
  const send = (json: unknown) => server.send({ method: "PATCH", path: "admin-models", token, json });
  const response = await send(request);
  assert.deepEqual([response.status, await response.json()], [200, model]);
  for (
    const wrong of [{ reason: undefined }, { is_available: "no" }, { credits: 1 }, { model_id: "kling" }]
  ) {
    const refused = await send({ ...request, ...wrong });
    assert.deepEqual([refused.status, (await refused.json()).error.code], [400, "ERR_4008"]);
  }
  assert.equal(calls.length, 1);
});
