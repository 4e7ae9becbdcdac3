/** How often each endpoint asks the Data API before it answers, as each request's line in the log tells. */
import assert from "node:assert/strict";
import * as z from "zod";
import { deviceToken } from "../../local/simulators/device-check/device-check.ts";
import { operationsBut } from "../operations.ts";
import { eventually } from "./eventually.ts";
import type { Answer } from "./support/answer.ts";
import { type CallOptions, type Guest, startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import { credentialsFor } from "./support/credentials.ts";
import { crowd } from "./support/crowd.ts";
import { budgetOf, requestAbout } from "./support/example-requests.ts";
import { ended, generate, kling, priceOfKling } from "./support/videos.ts";

const backend = shared(startBackend);
let guest: Guest;
let admin: Guest;

Deno.test.beforeAll(async () => {
  guest = await backend.signIn(10 * priceOfKling);
  admin = await backend.signInAdmin();
});

const requestLine = z.looseObject({
  event: z.literal("request"),
  request_id: z.string(),
  data_api_calls: z.int(),
  status: z.int(),
});

/** The calls that the request with this id made before its answer. */
async function callsOf(requestId: string): Promise<number> {
  return await eventually(`the log line of ${requestId}`, async () => {
    const log = await Deno.readTextFile(backend.stack.logs.functions);
    const lines = log.split("\n").filter((line) => line.includes(`"request_id":"${requestId}"`));
    for (const line of lines) {
      const parsed = requestLine.safeParse(JSON.parse(line));
      if (parsed.success) return parsed.data.data_api_calls;
    }
    return undefined;
  });
}

/** Calls an endpoint as the guest, or as somebody else, and gives its status and how often it asked. */
async function count(
  path: string,
  options: CallOptions = {},
  caller = guest,
): Promise<[status: number, calls: number]> {
  return await countOf((headers) =>
    caller.call(path, { ...options, headers: { ...options.headers, ...headers } })
  );
}

async function countOf(
  call: (headers: Record<string, string>) => Promise<Answer>,
): Promise<[number, number]> {
  const requestId = crypto.randomUUID();
  const { status } = await call({ "x-request-id": requestId });
  return [status, await callsOf(requestId)];
}

const video = () => ({ body: { model_id: kling, prompt: "Counted" }, key: crypto.randomUUID() });

/** Operations whose example is not answered here with a success, and where else their cost is looked at. */
const elsewhere: Readonly<Record<string, string>> = {
  "POST provider-webhook": "only its provider can sign it; below",
};

/** Policies that are not told where an operation is called once, and why. */
const untold: Readonly<Record<string, readonly string[]>> = {
  // What happens in other networks is nobody's to see; and this account's grant is not settled before.
  "POST device-check": ["device_grants_global", "reads"],
  // Counted where the sandbox sold it; told when it refuses.
  "POST purchases": ["sandbox_credits", "sandbox_credits_global"],
};
/** Only an answer from a known key is counted there. */
const ofReplays = ["replays"];

for (const operation of operationsBut(elsewhere)) {
  const { operation: what, place, method, auth, idempotencyKey, policies = [] } = operation;
  Deno.test(`${what} asks the Data API as often as its documentation says, and takes the limits that it declares`, async () => {
    // Limits are looked at in whole, and some answers end their caller's account.
    const caller = auth === "admin"
      ? admin
      : what === "POST merge-guest"
      ? await backend.signInAdmin()
      : await backend.signIn(10 * priceOfKling);
    const { query, body } = await requestAbout(backend, caller, operation);
    const requestId = crypto.randomUUID();
    const { status, headers, body: answer } = await backend.call(`${place}${query}`, {
      method,
      headers: {
        ...credentialsFor(backend, caller, auth),
        "x-request-id": requestId,
        ...(idempotencyKey === undefined ? {} : { "idempotency-key": crypto.randomUUID() }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    assert(status < 300, `${status} ${JSON.stringify(answer)}`);
    const calls = await callsOf(requestId);
    const budget = budgetOf(operation);
    assert.equal(
      calls,
      budget,
      `${calls} calls before the answer; dataApiCalls of documentation.ts says ${budget}`,
    );
    const taken = (headers.get("ratelimit-policy") ?? "").matchAll(/"(\w+)"/g);
    const reported = new Set(Array.from(taken, ([, policy = ""]) => policy));
    const declared = new Set<string>(policies);
    assert.deepEqual({
      "its procedure takes it: add it to `policies` in index.ts": [...reported.difference(declared)],
      "its procedure does not take it: take it there, or remove it from `policies` in index.ts": [
        ...declared.difference(reported).difference(
          new Set([...untold[what] ?? [], ...(idempotencyKey === "required" ? ofReplays : [])]),
        ),
      ],
    }, {
      "its procedure takes it: add it to `policies` in index.ts": [],
      "its procedure does not take it: take it there, or remove it from `policies` in index.ts": [],
    });
  });
}

/** What else the budgets hold for, by the endpoint. */
const requests: Record<string, () => Promise<void>> = {
  "admin-refund-credits": async () => {
    const options = { body: { user_id: guest.id, amount: 1, reason: "A test" }, key: crypto.randomUUID() };
    assert.deepEqual(await count("admin-refund-credits", options), [403, 0], "a guest");
  },
  "credits": async () => {
    assert.deepEqual(await count("credits?cursor=made-up"), [400, 0]);
  },
  // Where it grants: begin, the lane, the intent before the device's bit is set, the grant after it.
  "device-check": async () => {
    const check = () => count("device-check", { body: { device_token: deviceToken("a counted phone") } });
    assert.deepEqual(await check(), [200, 4]);
    assert.deepEqual(await check(), [200, 1]);
  },
  "generate-video": async () => {
    const options = video();
    assert.deepEqual(await count("generate-video", options), [202, 1]);
    assert.deepEqual(await count("generate-video", options), [202, 1], "replayed");
    assert.deepEqual(await count("generate-video", { ...video(), key: options.key, body: {} }), [400, 0]);
  },
  "health": async () => {
    await guest.call("health");
    assert.deepEqual(await count("health"), [200, 0], "shared for 5 seconds");
  },
  "models": async () => {
    await guest.call("models");
    assert.deepEqual(await count("models"), [200, 0], "from memory");
    assert.deepEqual(await count("models", { headers: { "if-none-match": "*" } }), [304, 0]);
  },
  "provider-webhook": async () => {
    const { job_id } = await generate(guest, "Counted by its webhook");
    await ended(backend, guest, job_id);
    const log = await Deno.readTextFile(backend.stack.logs.functions);
    const lines = log.split("\n").filter((line) => line.includes('"endpoint":"provider-webhook"'))
      .map((line) => requestLine.safeParse(JSON.parse(line)))
      .flatMap(({ data }) => data === undefined ? [] : [data]);
    assert(lines.length > 0);
    for (const { status, data_api_calls } of lines) assert.deepEqual([status, data_api_calls], [200, 1]);
  },
  "video-jobs": async () => {
    const { job_id } = await generate(guest);
    await ended(backend, guest, job_id);
    assert.deepEqual(await count("video-jobs"), [200, 1]);
    await backend.database.sql`
      update videos.jobs set video_url_expires_at = now() + interval '9 minutes' where user_id = ${guest.id}`;
    assert.deepEqual(await count("video-jobs"), [200, 1], "where its URLs are renewed, too");
  },
  "video-status": async () => {
    const { job_id } = await generate(guest);
    await ended(backend, guest, job_id);
    assert.deepEqual(await count(`video-status?job_id=${job_id}`), [200, 1]);
    // Renewing its URLs asks Storage; keeping them waits until after the answer.
    await backend.database.sql`
      update videos.jobs set video_url_expires_at = now() + interval '9 minutes' where id = ${job_id}`;
    assert.deepEqual(await count(`video-status?job_id=${job_id}`), [200, 1]);
    await eventually("the new URL is kept", async () => {
      const [job] = await backend.database.sql<{ kept: boolean }[]>`
        select video_url_expires_at > now() + interval '50 minutes' as kept from videos.jobs where id = ${job_id}`;
      return job?.kept || undefined;
    });
  },
};

for (const [name, request] of Object.entries(requests)) {
  Deno.test(`${name} stays within its budget of calls before the answer`, request);
}

Deno.test("a request that is refused for its form or its caller asks nothing", async () => {
  assert.deepEqual(await count("generate-video", { body: { prompt: "No model" }, key: "k" }), [400, 0]);
  assert.deepEqual(await count("generate-video", { body: video().body }), [400, 0], "without a key");
  assert.deepEqual(await count("video-status"), [400, 0]);
  assert.deepEqual(await countOf((headers) => backend.call("models", { headers })), [401, 0]);
  assert.deepEqual(
    await countOf((headers) => backend.call("process-jobs", { method: "POST", headers })),
    [401, 0],
  );
});

Deno.test("whoever was refused by a rate limit is refused from memory, without another call", async () => {
  const restless = await backend.signIn();
  const ask = (headers: Record<string, string>) =>
    restless.call(`video-status?job_id=${crypto.randomUUID()}`, { headers });
  // All that `reads` admits within a minute.
  await crowd(120, () => ask({}));
  assert.deepEqual(await countOf(ask), [429, 1]);
  assert.deepEqual(await countOf(ask), [429, 0]);
});
