import assert from "node:assert/strict";
import { AppError } from "../_shared/errors/app-error.ts";
import type { Task } from "../_shared/queue/task.ts";
import type { WebhookVerdict } from "../_shared/videos/providers/provider.ts";
import { webhookToken } from "../_shared/videos/providers/webhook-token.ts";
import { testConfig } from "../_shared/testing/config.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { fakeDataApi } from "../_shared/testing/data-api.ts";
import { fakeProvider, fakeProviders } from "../_shared/testing/provider.ts";
import { testServer } from "../_shared/testing/server.ts";
import { fakeStorage } from "../_shared/testing/storage.ts";
import { fakeWeb } from "../_shared/testing/web.ts";
import {
  facts,
  jobId,
  ownerReference,
  pollTask,
  storeTask,
  submission,
  webhookSecret,
} from "../_shared/testing/tasks.ts";
import endpoint from "./index.ts";
import { receiveProviderWebhook } from "./service.ts";

const submissionId = submission.submission_id;
const token = webhookToken(webhookSecret, "fal", submissionId);
const query = { owner: ownerReference, provider: "fal", submission_id: submissionId, token };
const event = {
  eventId: "request-1:OK",
  requestId: "request-1",
  state: { state: "succeeded", videoUrl: "https://v3.fal.media/v.mp4", thumbnailUrl: null },
} as const;

/** The same for SQL, with the submission that the URL names. */
const written = {
  p_owner: ownerReference,
  p_provider: "fal",
  p_submission_id: submissionId,
  p_event_id: "request-1:OK",
  p_request_id: "request-1",
  p_state: { state: "succeeded", video_url: "https://v3.fal.media/v.mp4", thumbnail_url: null },
  p_without: [],
};

type Effect = "applied" | "asked" | "ignored" | "replayed";

/** The service before a provider that believes, or does not, and what it did. */
function setting(
  given: {
    effect?: Effect;
    tasks?: Task[];
    verdict?: WebhookVerdict;
    secret?: string | null;
    away?: AppError;
  } = {},
) {
  const { effect = "applied", tasks = [], verdict = { valid: true, event }, secret = webhookSecret } = given;
  const steps: string[] = [];
  const recorded: object[] = [];
  const verified: unknown[][] = [];
  const context = testContext("signed", {
    config: testConfig(secret === null ? {} : { WEBHOOK_SECRET: secret }),
    moderation: null,
    providers: fakeProviders(fakeProvider({
      verifyWebhook: (...args) => {
        steps.push("verified");
        verified.push(args);
        return Promise.resolve(verdict);
      },
      poll: (requestId) => {
        steps.push(`asked for ${requestId}`);
        return Promise.resolve({ state: "queued" });
      },
    })),
    ...fakeDatabase({
      claim_tasks: ({ p_subject }) => {
        steps.push(`looked for more of ${p_subject}`);
        return [];
      },
      record_poll: () => ({ status: "processing" }),
      provider_webhook: (args) => {
        steps.push("recorded");
        recorded.push(args);
        if (given.away !== undefined) throw given.away;
        return { job_id: jobId, effect, tasks };
      },
    }),
    storage: fakeStorage(),
    uploads: fakeStorage(),
    web: fakeWeb(),
    fetch: () => Promise.reject(new Error("This test has no network")),
  });
  const body = new TextEncoder().encode("{}");
  const headers = new Headers({ "X-Fal-Webhook-Signature": "s" });
  const receive = (changed: Partial<typeof query> = {}) =>
    receiveProviderWebhook({ body, headers, query: { ...query, ...changed } }, context);
  return { context, steps, recorded, verified, receive, body, headers };
}

Deno.test("an event that is proved is stored, answered, and then what it made due is done", async () => {
  const { receive, context, steps, recorded, verified, body, headers } = setting({
    tasks: [{ ...pollTask, facts }],
  });
  assert.deepEqual(await receive(), { status: 200, body: { received: true } });
  assert.deepEqual(steps, ["verified", "recorded"]);
  assert.deepEqual(verified, [[body, headers, context.now()]]);
  assert.deepEqual(recorded, [written]);
  await context.settled();
  assert.deepEqual(steps, ["verified", "recorded", "asked for request-1", `looked for more of ${jobId}`]);
});

Deno.test("after an event that made nothing due the database is asked for nothing more", async () => {
  for (const effect of ["applied", "asked", "ignored", "replayed"] satisfies Effect[]) {
    const { receive, context, steps } = setting({ effect });
    assert.equal((await receive()).status, 200);
    await context.settled();
    assert.deepEqual(steps, ["verified", "recorded"], effect);
    const line = context.lines.find(({ event }) => event === "provider_event");
    assert.deepEqual([line?.job_id, line?.state, line?.effect], [jobId, "succeeded", effect]);
  }
});

Deno.test("a video that is being stored keeps the next event from bringing another, and what fails keeps nothing", async () => {
  const offered = (recorded: object[]) =>
    recorded.map((args) => Object.entries(args).find(([name]) => name === "p_without"));
  const failing = setting({ away: new AppError("ERR_6001") });
  await assert.rejects(failing.receive(), { code: "ERR_6001" });
  const first = setting({ tasks: [{ ...storeTask, facts }] });
  const second = setting();
  await first.receive();
  await second.receive();
  await first.context.settled();
  const third = setting();
  await third.receive();
  assert.deepEqual(
    [failing, first, second, third].map(({ recorded }) => offered(recorded)),
    [[], [], ["store", "fingerprint"], []].map((without) => [["p_without", without]]),
  );
});

Deno.test("a token that was made for something else is ERR_4005, before anybody checks a signature", async () => {
  const tokens: [string, Partial<typeof query>][] = [
    ["no token", { token: "" }],
    ["a shorter one", { token: token.slice(1) }],
    ["a longer one", { token: `${token}${token}${token}` }],
    ["another submission's", { submission_id: "0190a000-0000-7000-8000-0000000000dd" }],
    ["another provider's", { token: webhookToken(webhookSecret, "runway", submissionId) }],
    ["one by another key", {
      token: webhookToken("another secret of enough characters", "fal", submissionId),
    }],
  ];
  for (const [name, changed] of tokens) {
    const { receive, steps } = setting();
    await assert.rejects(receive(changed), { code: "ERR_4005" }, name);
    assert.deepEqual(steps, [], name);
  }
});

Deno.test("without the secret, or the provider, nobody is believed", async () => {
  const { receive, steps } = setting({ secret: null });
  await assert.rejects(receive(), { code: "ERR_4005", cause: "WEBHOOK_SECRET is not set" });
  const runway = { provider: "runway", token: webhookToken(webhookSecret, "runway", submissionId) };
  await assert.rejects(setting().receive(runway), { code: "ERR_4005", cause: "runway is not configured" });
  assert.deepEqual(steps, []);
});

Deno.test("a signature that proves nothing is ERR_4005, whose reason only the log is told", async () => {
  const { receive, steps } = setting({ verdict: { valid: false, reason: "the account is not ours" } });
  await assert.rejects(receive(), { code: "ERR_4005", cause: "the account is not ours" });
  assert.deepEqual(steps, ["verified"]);
});

/** fal's keys, and the endpoint that knows them, before a database that stores every event. */
async function serve() {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  assert("privateKey" in pair);
  const { privateKey } = pair;
  const { kty, crv, x } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  const { fetch, calls } = fakeDataApi({
    provider_webhook: () => ({ data: { job_id: jobId, effect: "ignored", tasks: [] } }),
  }, () => Promise.resolve(Response.json({ keys: [{ kty, crv, x }] })));
  const environment = { WEBHOOK_SECRET: webhookSecret, FAL_KEY: "id:secret", FAL_ACCOUNT_ID: "user_1" };
  const server = await testServer(endpoint.operations, environment, { fetch });
  const body = JSON.stringify({
    request_id: "request-1",
    status: "OK",
    payload: { video: { url: "https://v3.fal.media/v.mp4" } },
  });
  const hex = (bytes: ArrayBuffer) =>
    [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

  async function send(given: { account?: string; at?: number; token?: string; sentBody?: string } = {}) {
    const { account = "user_1", at = server.clock.now(), sentBody = body } = given;
    const timestamp = String(at / 1000);
    const digest = hex(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(body)));
    const message = new TextEncoder().encode(`request-1\n${account}\n${timestamp}\n${digest}`);
    const parameters = new URLSearchParams({ ...query, token: given.token ?? token });
    return await server.send({
      method: "POST",
      path: `provider-webhook?${parameters}`,
      as: "nobody",
      headers: {
        "X-Fal-Webhook-Request-Id": "request-1",
        "X-Fal-Webhook-User-Id": account,
        "X-Fal-Webhook-Timestamp": timestamp,
        "X-Fal-Webhook-Signature": hex(await crypto.subtle.sign("Ed25519", privateKey, message)),
      },
      body: sentBody,
    });
  }
  return { server, calls, send };
}

Deno.test("fal's own webhook is 200 for one Data API call, without any other credentials", async () => {
  const { server, calls, send } = await serve();
  const response = await send();
  assert.deepEqual([response.status, await response.json()], [200, { received: true }]);
  assert.deepEqual(calls, [{ name: "provider_webhook", args: written }]);
  assert.equal(server.lines.find(({ event }) => event === "request")?.data_api_calls, 1);
});

Deno.test("a forged body, a stranger's account, an old delivery and a wrong token are 401 and store nothing", async () => {
  const { server, calls, send } = await serve();
  const now = server.clock.now();
  const forgeries = [
    { sentBody: '{"request_id":"request-1","status":"ERROR"}' },
    { account: "user_2" },
    { at: now - 301_000 },
    { at: now + 301_000 },
    { token: `${token.slice(0, -1)}${token.endsWith("A") ? "E" : "A"}` },
    { token: "x" },
  ];
  for (const forgery of forgeries) {
    const response = await send(forgery);
    const { error } = await response.json();
    assert.deepEqual(
      [response.status, error.code, error.details],
      [401, "ERR_4005", {}],
      JSON.stringify(forgery),
    );
  }
  assert.deepEqual(calls, []);
  assert(!JSON.stringify(server.lines).includes(token));
});

Deno.test("a URL that is not ours is malformed, and a body of more than 4 MB is too large", async () => {
  const server = await testServer(endpoint.operations, { WEBHOOK_SECRET: webhookSecret });
  const malformed = await server.send({ method: "POST", path: "provider-webhook", as: "nobody", body: "{}" });
  assert.equal((await malformed.json()).error.code, "ERR_4008");
  for (const owner of [[], [["owner", "somebody"]]]) {
    const { owner: _, ...others } = query;
    const parameters = new URLSearchParams([...Object.entries(others), ...owner]);
    const path = `provider-webhook?${parameters}`;
    const response = await server.send({ method: "POST", path, as: "nobody", body: "{}" });
    assert.equal((await response.json()).error.code, "ERR_4008", path);
  }
  const path = `provider-webhook?${new URLSearchParams(query)}`;
  const unread = await server.send({
    method: "POST",
    path: path.replace(token, "t"),
    as: "nobody",
    body: "{}",
  });
  assert.equal((await unread.json()).error.code, "ERR_4005");
  const large = await server.send({
    method: "POST",
    path,
    as: "nobody",
    body: "x".repeat(4 * 1024 * 1024 + 1),
  });
  assert.equal((await large.json()).error.code, "ERR_4013");
});
