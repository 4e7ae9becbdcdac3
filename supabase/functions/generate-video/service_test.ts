import assert from "node:assert/strict";
import type { AcceptedVideo } from "../_shared/videos/contract.ts";
import { testConfig } from "../_shared/testing/config.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { fakeDataApi } from "../_shared/testing/data-api.ts";
import { fakeProvider, fakeProviders } from "../_shared/testing/provider.ts";
import { type Sent, testServer } from "../_shared/testing/server.ts";
import { projectUrl, userId } from "../_shared/testing/tokens.ts";
import endpoint from "./index.ts";
import { GenerateVideoRequest } from "./schema.ts";
import { generateVideo } from "./service.ts";

const modelId = "0190a000-0000-7000-8000-000000000001";
const body = { model_id: modelId, prompt: "a red fox" };
const accepted: AcceptedVideo = {
  job_id: "0190a000-0000-7000-8000-0000000000aa",
  status: "pending",
  credits_used: 4,
  credits_remaining: 6,
  created_at: "2026-11-20T12:00:00.000Z",
};
const limits = [
  {
    policy: "video_generation",
    allowed: true,
    current: 1,
    limit: 10,
    window: 3600,
    remaining: 9,
    reset: 3600,
  },
  {
    policy: "generation_attempts",
    allowed: true,
    current: 1,
    limit: 60,
    window: 60,
    remaining: 59,
    reset: 60,
  },
];
const post: Sent = {
  method: "POST",
  path: "generate-video",
  headers: { "Idempotency-Key": "key-1" },
  json: body,
};

function setting(secret: string | null = "a secret of thirty-two characters") {
  const { database, calls } = fakeDatabase({
    generate_video: () => accepted,
    claim_submission: () => ({ claimed: false }),
  });
  const context = testContext("user", {
    database,
    config: testConfig(secret === null ? {} : { WEBHOOK_SECRET: secret }),
    moderation: null,
    providers: fakeProviders(fakeProvider()),
  });
  return { context, calls, names: () => calls.map(({ name }) => name) };
}

/** What the schema says about a field: its value, or what is wrong with it. */
function read(field: "prompt" | "image_url" | "settings" | "model_id", value: unknown) {
  const { success, data, error } = GenerateVideoRequest.safeParse({ ...body, [field]: value });
  return success ? { value: data[field] } : { errors: error.issues.map(({ message }) => message) };
}

Deno.test("a video is accepted in one call, for the caller of the token, with key and network", async () => {
  const { context, calls } = setting();
  const settings = { duration_seconds: 5 };
  const answer = await generateVideo(
    { ...body, settings, image_url: "https://example.com/fox.png" },
    context,
  );
  assert.deepEqual(calls, [{
    name: "generate_video",
    args: {
      p_user_id: userId,
      p_network: "192.0.2.1",
      p_request_id: "test-request",
      p_idempotency_key: "test-key",
      p_fingerprint: "0".repeat(64),
      p_model_id: modelId,
      p_prompt: "a red fox",
      p_settings: settings,
      p_image_url: "https://example.com/fox.png",
      p_providers: ["fal"],
    },
  }]);
  assert.deepEqual([answer.status, answer.body], [202, accepted]);
  assert.deepEqual(answer.headers, {
    Location: `${projectUrl}/functions/v1/video-status?job_id=${accepted.job_id}`,
  });
});

Deno.test("without the secret no provider is offered, since no webhook could be believed", async () => {
  const { context, calls } = setting(null);
  await generateVideo({ ...body, settings: {} }, context);
  const { p_providers, p_image_url } = calls[0]?.args ?? {};
  assert.deepEqual([p_providers, p_image_url], [[], undefined]);
});

Deno.test("the job is submitted after the answer, and does not delay it", async () => {
  const { context, calls, names } = setting();
  await generateVideo({ ...body, settings: {} }, context);
  assert.deepEqual(names(), ["generate_video"]);
  await context.settled();
  assert.deepEqual(names(), ["generate_video", "claim_submission"]);
  assert.equal(calls[1]?.args["p_job_id"], accepted.job_id);
});

Deno.test("an accepted video is 202 with its job, its status URL and the limits, for one Data API call", async () => {
  const { fetch, calls } = fakeDataApi({
    generate_video: () => ({ data: accepted, limits }),
    claim_submission: () => ({ data: { claimed: false } }),
  });
  const server = await testServer(endpoint.operations, {}, { fetch });
  const response = await server.send(post);
  assert.equal(response.status, 202);
  assert.deepEqual(await response.json(), accepted);
  assert.match(response.headers.get("location") ?? "", /\/video-status\?job_id=0190a000-/);
  assert.equal(
    response.headers.get("ratelimit-policy"),
    '"video_generation";q=10;w=3600, "generation_attempts";q=60;w=60',
  );
  assert.equal(response.headers.get("idempotency-replayed"), null);
  await server.settled();
  assert.deepEqual(calls.map(({ name }) => name), ["generate_video", "claim_submission"]);
  assert.equal(server.lines.find(({ event }) => event === "request")?.data_api_calls, 1);
});

Deno.test("data that the contract does not know fail a test; deployed they are told and answered, since the credits are held", async () => {
  const { credits_remaining: _, ...without } = accepted;
  for (const data of [without, { ...accepted, credits_used: 0 }, { ...accepted, created_at: "today" }]) {
    const { fetch } = fakeDataApi({
      generate_video: () => ({ data }),
      claim_submission: () => ({ data: { claimed: false } }),
    });
    const tested = await testServer(endpoint.operations, {}, { fetch });
    assert.equal((await (await tested.send(post)).json()).error.code, "ERR_6003");
    await tested.settled();
    const deployed = await testServer(endpoint.operations, { ENVIRONMENT: "production" }, { fetch });
    const response = await deployed.send(post);
    assert.deepEqual([response.status, await response.json()], [202, data]);
    await deployed.settled();
    const told = deployed.lines.filter(({ level }) => level === "critical").map(({ event }) => event);
    assert.deepEqual(told, ["data_breaks_contract", "response_breaks_contract"]);
    assert.equal(deployed.recorded.length, 2);
  }
});

Deno.test("a replay answers like the first, and says so", async () => {
  const { fetch } = fakeDataApi({
    generate_video: () => ({ data: accepted, replayed: true }),
    claim_submission: () => ({ data: { claimed: false } }),
  });
  const server = await testServer(endpoint.operations, {}, { fetch });
  const response = await server.send(post);
  assert.deepEqual([response.status, await response.json()], [202, accepted]);
  assert.equal(response.headers.get("idempotency-replayed"), "true");
  assert.equal(response.headers.get("ratelimit"), null);
  await server.settled();
});

Deno.test("each refusal of the procedure reaches the client with its status, and submits nothing", async () => {
  const refusals: [string, number, Record<string, unknown>][] = [
    ["ERR_4001", 402, { required: 4, available: 1 }],
    ["ERR_4002", 422, { model_id: modelId }],
    ["ERR_4003", 422, { reason: "policy" }],
    ["ERR_4004", 429, { policy: "video_generation", retry_after: 30 }],
    ["ERR_4005", 401, {}],
    ["ERR_4008", 400, { fields: [{ path: "image_url", message: "This model takes no image" }] }],
    ["ERR_4011", 422, {}],
    ["ERR_4012", 409, { retry_after: 1 }],
    ["ERR_4017", 403, {}],
    ["ERR_6001", 503, { retry_after: 2 }],
    ["ERR_6004", 503, { feature: "generation", retry_after: 300 }],
  ];
  for (const [code, status, details] of refusals) {
    const { fetch, calls } = fakeDataApi({ generate_video: () => ({ error: code, details }) });
    const server = await testServer(endpoint.operations, {}, { fetch });
    const response = await server.send(post);
    const { error } = await response.json();
    assert.deepEqual([response.status, error.code, error.details], [status, code, details]);
    await server.settled();
    assert.equal(calls.length, 1);
  }
});

Deno.test("without a key, or with a field that nobody asked for, the database is not asked", async () => {
  const server = await testServer(endpoint.operations);
  const keyless = await server.send({ ...post, headers: {} });
  assert.equal((await keyless.json()).error.code, "ERR_4010");
  const foreign = await server.send({ ...post, json: { ...body, user_id: userId, settings: { fps: 24 } } });
  const { code, details } = (await foreign.json()).error;
  assert.equal(code, "ERR_4008");
  assert.deepEqual(details.fields, [
    { path: "settings.fps", message: "Unknown field" },
    { path: "user_id", message: "Unknown field" },
  ]);
});

Deno.test("all that is wrong in a request is told at once", async () => {
  const server = await testServer(endpoint.operations);
  const json = {
    model_id: "veo",
    prompt: " ",
    settings: { duration_seconds: 4.5, resolution: "", aspect_ratio: 1 },
    image_url: "http://example.com",
  };
  const response = await server.send({ ...post, json });
  const { fields } = (await response.json()).error.details;
  assert.deepEqual(fields.map(({ path }: { path: string }) => path).sort(), [
    "image_url",
    "model_id",
    "prompt",
    "settings.aspect_ratio",
    "settings.duration_seconds",
    "settings.resolution",
  ]);
});

Deno.test("a prompt is trimmed and composed, and equal prompts are one request", () => {
  assert.deepEqual(read("prompt", "  a re\u0301d fox\n"), { value: "a r\u00e9d fox" });
  assert.deepEqual(read("prompt", "\u00a0\ufeffx\u2029"), { value: "x" });
});

Deno.test("a prompt has 1 to 2000 characters, counted as people and Postgres count them", () => {
  const refused = { errors: ["Must have 1 to 2000 characters"] };
  assert.deepEqual(read("prompt", ""), refused);
  assert.deepEqual(read("prompt", " \n\t "), refused);
  assert.deepEqual(read("prompt", "x"), { value: "x" });
  assert.deepEqual(read("prompt", "x".repeat(2001)), refused);
  const padding = " ".repeat(1000);
  assert.deepEqual(read("prompt", padding + "x".repeat(2000) + padding), { value: "x".repeat(2000) });
  assert.deepEqual(read("prompt", "🦊".repeat(2000)), { value: "🦊".repeat(2000) });
  assert.deepEqual(read("prompt", "🦊".repeat(2001)), refused);
  assert.deepEqual(read("prompt", "e\u0301".repeat(2000)), { value: "\u00e9".repeat(2000) });
  assert.deepEqual(read("prompt", "x".padStart(20_000)), { value: "x" });
  assert.deepEqual(read("prompt", "x".padStart(20_001)), refused);
  assert("errors" in read("prompt", 1));
});

Deno.test("a prompt holds no control characters but line breaks and tabs, and nothing that reverses text", () => {
  for (
    const text of [
      "shot 1:\n\ta fox",
      "shot 1\r\nshot 2",
      "ثعلب\u200f!",
      "שועל\u200e",
      "👩\u200d🚀",
      "fox\u00ad",
    ]
  ) {
    assert.deepEqual(read("prompt", text), { value: text });
  }
  const refused = [0x00, 0x07, 0x08, 0x0b, 0x0c, 0x0e, 0x1b, 0x1f, 0x7f, 0x80, 0x85, 0x9f]
    .concat([0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069]);
  for (const code of refused) {
    const text = `a ${String.fromCharCode(code)} fox`;
    assert.deepEqual(read("prompt", text), { errors: ["Must not contain control or direction characters"] });
  }
});

Deno.test("a prompt is well-formed Unicode, as the database wants it", () => {
  assert.deepEqual(read("prompt", "a \ud83e fox"), { errors: ["Must be well-formed Unicode"] });
});

Deno.test("a setting has the form of one; which of them, the model says", () => {
  const settings = { duration_seconds: 5, resolution: "1080p", aspect_ratio: "16:9" };
  assert.deepEqual(read("settings", settings), { value: settings });
  assert.deepEqual(read("settings", { resolution: "8k" }), { value: { resolution: "8k" } });
  assert.deepEqual(read("settings", {}), { value: {} });
  assert.deepEqual(read("settings", undefined), { value: {} });
  const absent = { duration_seconds: null, resolution: null, aspect_ratio: null };
  for (const value of [null, absent]) {
    const { value: read_ } = read("settings", value);
    assert.equal(JSON.stringify(read_), "{}", "null is as if it were not sent");
  }
  const refused = [
    [],
    { duration_seconds: 0 },
    { duration_seconds: -5 },
    { duration_seconds: 601 },
    { duration_seconds: "5" },
    { resolution: "720p\u0000" },
    { resolution: "x".repeat(21) },
    { resolution: "\ud83e" },
    { aspect_ratio: "" },
  ];
  for (const value of refused) assert("errors" in read("settings", value), JSON.stringify(value));
});

Deno.test("a model's id is one whatever its case, and whatever its version", () => {
  assert.deepEqual(read("model_id", modelId.toUpperCase()), { value: modelId });
  const unknown = "11111111-1111-1111-1111-111111111111";
  assert.deepEqual(read("model_id", unknown), { value: unknown });
  for (const value of ["", "veo", `${modelId}0`, 1, null]) assert("errors" in read("model_id", value));
});

Deno.test("an image's URL is taken in its canonical form", () => {
  const urls: [string, string][] = [
    ["https://example.com/fox.png?v=1#top", "https://example.com/fox.png?v=1#top"],
    ["HTTPS://Example.COM", "https://example.com/"],
    ["https://example.com?v=1", "https://example.com/?v=1"],
    ["https://bücher.example.de/füchse", "https://xn--bcher-kva.example.de/f%C3%BCchse"],
    ["https://пример.рф/a", "https://xn--e1afmkfd.xn--p1ai/a"],
    ["https://a_b.cdn-1.example.com/a\u0000\nb", "https://a_b.cdn-1.example.com/a%00b"],
    ["https://example.com/a@b:8080", "https://example.com/a@b:8080"],
    ["https://127.0.0.1.example.com/", "https://127.0.0.1.example.com/"],
  ];
  for (const [sent, taken] of urls) assert.deepEqual(read("image_url", sent), { value: taken });
  assert.deepEqual(read("image_url", undefined), { value: undefined });
});

Deno.test("an image's URL is https with a public DNS name, and nothing else before its path", () => {
  const refused = [
    "",
    "fox.png",
    "//example.com/fox.png",
    "http://example.com/",
    "ftp://example.com/",
    "data:image/png;base64,AAAA",
    "https:example.com/",
    "https:/example.com/",
    "https:\\\\example.com/",
    " https://example.com/",
    "https://example.com\\fox.png",
    // Ports and credentials.
    "https://example.com:8443/",
    "https://example.com:443/",
    "https://example.com:/",
    "https://user@example.com/",
    "https://user:password@example.com/",
    "https://@example.com/",
    "https://example.com\\@internal.example.org/",
    // IP addresses, in every notation.
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.0.1./",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://１２７.０.０.１/",
    "https://127%2e0%2e0%2e1/",
    "https://169.254.169.254/",
    "https://[::1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://1.2.3.4.5/",
    // Names of one's own network, or of none.
    "https://localhost/",
    "https://intranet/",
    "https://app.localhost/",
    "https://printer.local/",
    "https://metadata.google.internal/",
    "https://router.lan/",
    "https://nas.home/",
    "https://nas.home.arpa/",
    "https://wiki.corp/",
    "https://wiki.intranet/",
    "https://wiki.alt/",
    "https://db.private/",
    "https://host.localdomain/",
    "https://a.test/",
    "https://a.invalid/",
    "https://expyuzz4wqqyqhjn.onion/",
    "https://PRINTER.LOCAL/",
    // Names that are none.
    "https://com/",
    "https://example.com./",
    "https://example.com。/",
    "https://printer.local./",
    "https://example..com/",
    "https://.example.com/",
    "https://-a.example.com/",
    "https://a-.example.com/",
    "https://example.c/",
    `https://${"a".repeat(64)}.example.com/`,
    `https://${"a.".repeat(125)}example/`,
    "https:///fox.png",
    "https://",
  ];
  const error = "Must be an https URL with a public DNS name, without port or credentials";
  for (const url of refused) assert.deepEqual(read("image_url", url), { errors: [error] }, url);
  assert.deepEqual(read("image_url", null), { value: undefined });
  for (const value of [1, {}]) assert("errors" in read("image_url", value));
});

Deno.test("an image's URL has 2048 characters at most, also in its canonical form", () => {
  const url = (length: number, letter = "a") => `https://example.com/`.padEnd(length, letter);
  assert.deepEqual(read("image_url", url(2048)), { value: url(2048) });
  assert("errors" in read("image_url", url(2049)));
  assert("errors" in read("image_url", url(1000, "ü")), "longer when it is written out");
  assert("errors" in read("image_url", url(2049, "\t")), "shorter, but too long to be looked at");
});
