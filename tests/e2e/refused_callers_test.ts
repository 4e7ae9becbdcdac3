/** Who is refused and goes on calling: what that costs, and what it must not take from others. */
import assert from "node:assert/strict";
import { eventually } from "./eventually.ts";
import { bodyOf, errorOf } from "./support/answer.ts";
import { type Backend, type Guest, startBackend } from "./support/backend.ts";
import { kling } from "./support/videos.ts";
import { AcceptedVideo } from "../../supabase/functions/_shared/videos/contract.ts";

let backend: Backend;

Deno.test.beforeAll(async () => {
  backend = await startBackend({ trustClientAddress: true });
});
Deno.test.afterAll(() => backend[Symbol.asyncDispose]());

function generate(guest: Guest, key: string) {
  return guest.call("generate-video", { body: { model_id: kling, prompt: "A fox" }, key });
}

/** What the functions asked of the Data API for requests with this prefix of their id. */
async function callsOf(prefix: string, requests: number): Promise<number> {
  return await eventually(`the log of ${requests} requests`, async () => {
    const lines = (await Deno.readTextFile(backend.stack.logs.functions)).split("\n")
      .filter((line) => line.includes(`"request_id":"${prefix}`) && line.includes('"event":"request"'));
    if (lines.length < requests) return undefined;
    return lines.map((line) => Number(JSON.parse(line).data_api_calls)).reduce(
      (sum, calls) => sum + calls,
      0,
    );
  });
}

Deno.test("200 fresh keys of a refused user ask the database once, and the key that was answered is replayed", async () => {
  await backend.database.sql`update guard.policies set max_hits = 1 where name = 'video_generation'`;
  const guest = await backend.signIn(100);
  const answered = crypto.randomUUID();
  const accepted = bodyOf(await generate(guest, answered), 202, AcceptedVideo);
  const prefix = crypto.randomUUID().slice(0, 13);
  for (let count = 0; count < 200; count++) {
    const answer = await guest.call("generate-video", {
      body: { model_id: kling, prompt: "A fox" },
      key: crypto.randomUUID(),
      headers: { "x-request-id": `${prefix}-${count}` },
    });
    const { policy, retry_after } = errorOf(answer, "ERR_4004").details;
    assert.equal(policy, "video_generation");
    assert(Number(retry_after) > 3_000);
  }
  assert.equal(await callsOf(prefix, 200), 1);
  const replayed = await generate(guest, answered);
  assert.equal(replayed.headers.get("idempotency-replayed"), "true");
  assert.equal(bodyOf(replayed, 202, AcceptedVideo).job_id, accepted.job_id);
  const other = await backend.signIn(100);
  assert.equal(
    (await generate(other, answered)).status,
    202,
    "another user's key of the same name is another's",
  );
});

Deno.test("a network of strangers is told to wait without a transaction, and its users are served", async () => {
  const guest = await backend.signIn(100);
  const network = { "cf-connecting-ip": "203.0.113.77" };
  const { apikey, authorization } = {
    apikey: backend.stack.publishableKey,
    authorization: "Bearer e30.e30.e30",
  };
  const recorded = async () => {
    const [row] = await backend.database.sql<{ n: number }[]>`
      select count(*)::int as n from ops.error_log`;
    return row?.n;
  };
  const before = await recorded();
  const prefix = crypto.randomUUID().slice(0, 13);
  const codes: string[] = [];
  for (let count = 0; count < 310; count++) {
    const headers = { apikey, authorization, ...network, "x-request-id": `${prefix}-${count}` };
    codes.push(errorOf(await backend.call("credits", { headers })).code);
  }
  assert.deepEqual([codes[0], codes[299], codes[300], codes[309]], [
    "ERR_4005",
    "ERR_4005",
    "ERR_4004",
    "ERR_4004",
  ]);
  assert.equal(await callsOf(prefix, 310), 0);
  assert.equal(await recorded(), before);
  assert.equal((await guest.call("credits", { headers: network })).status, 200);
});
