/** A client that is generated from docs/api/openapi.json, and knows nothing else, against the real backend. */
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { paths } from "../../client/src/openapi.ts";
import { deviceToken } from "../../local/simulators/device-check/device-check.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import { eventually } from "./eventually.ts";

const backend = shared(startBackend);
let guest: Guest;

Deno.test.beforeAll(async () => {
  guest = await backend.signIn();
});

/** The client of a user of the app. */
function newClient() {
  const { url, publishableKey } = backend.stack;
  return createClient<paths>({
    baseUrl: `${url}/functions/v1`,
    headers: { apikey: publishableKey, authorization: `Bearer ${guest.token}` },
  });
}

Deno.test("a client generated from openapi.json makes a video, and is told what is wrong", async () => {
  const client = newClient();
  const check = await client.POST("/device-check", {
    body: { device_token: deviceToken("a generated phone") },
  });
  assert.equal(check.data?.initial_grant.status, "granted");

  const catalogue = await client.GET("/models");
  const model = catalogue.data?.models[0];
  assert(model);

  const accepted = await client.POST("/generate-video", {
    params: { header: { "Idempotency-Key": crypto.randomUUID() } },
    body: { model_id: model.id, prompt: "A fox by contract" },
  });
  const job = accepted.data;
  assert(job);
  assert.equal(job.credits_remaining, check.data.credits_remaining - job.credits_used);

  const ended = await eventually("the video is there", async () => {
    const { data } = await client.GET("/video-status", { params: { query: { job_id: job.job_id } } });
    return data?.next_poll_seconds === null ? data : undefined;
  });
  assert.equal(ended.status, "completed");

  const again = await client.POST("/cancel-video", { body: { job_id: job.job_id } });
  assert.equal(again.data, undefined);
  assert.equal(again.error?.error.code, "ERR_4009");
  assert.deepEqual(again.error?.error.details, { status: "completed" });

  const deleted = await client.DELETE("/delete-video-job", { params: { query: { job_id: job.job_id } } });
  assert.equal(deleted.response.status, 204);
});
