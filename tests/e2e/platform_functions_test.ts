/** The functions' runtime on this machine gives a function what the platform gives it, and no more. */
import { fileURLToPath, pathToFileURL } from "node:url";
import assert from "node:assert/strict";
import { type Stack, startStack } from "../../local/stack.ts";
import { type TestDatabase, testDatabase } from "../database/harness.ts";
import { eventually } from "./eventually.ts";

let database: TestDatabase;
let stack: Stack;
/** A copy that a test may change. */
let functionsDirectory: string;

Deno.test.beforeAll(async () => {
  database = await testDatabase();
  // Beside the originals, where the repository's import map holds.
  functionsDirectory = await Deno.makeTempDir({
    dir: fileURLToPath(new URL(".", import.meta.url)),
    prefix: ".functions-",
  });
  for (const name of ["probe", "broken"]) {
    await Deno.mkdir(`${functionsDirectory}/${name}`);
    await Deno.copyFile(
      new URL(`functions/${name}/index.ts`, import.meta.url),
      `${functionsDirectory}/${name}/index.ts`,
    );
  }
  await Deno.mkdir(`${functionsDirectory}/_shared`);
  await Deno.writeTextFile(
    `${functionsDirectory}/_shared/index.ts`,
    "export default { fetch: () => new Response() };",
  );
  stack = await startStack({
    databaseUrl: database.url,
    functionsSource: { directory: pathToFileURL(`${functionsDirectory}/`) },
    environment: { EXTRA: "given", FAL_KEY: undefined },
    tickMilliseconds: Infinity,
    watch: true,
  });
});

Deno.test.afterAll(async () => {
  await stack[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  await Deno.remove(functionsDirectory, { recursive: true });
});

async function call(path: string, init: RequestInit = {}) {
  const response = await fetch(`${stack.url}/functions/v1/${path}`, init);
  return {
    status: response.status,
    headers: response.headers,
    body: JSON.parse(await response.text() || "null"),
  };
}

Deno.test("a request reaches the function with its method, path, query, headers and body, and the answer comes back whole", async () => {
  const { status, headers, body } = await call("probe/some/path?a=1&b=%20", {
    method: "PATCH",
    headers: { "x-own": "value", "content-type": "text/plain", authorization: "Bearer token" },
    body: "the body",
  });
  assert.equal(status, 201);
  assert.equal(headers.get("x-probe"), "yes");
  assert.equal(body.method, "PATCH");
  assert.equal(body.path, "/probe/some/path?a=1&b=%20");
  assert.equal(body.headers["x-own"], "value");
  assert.equal(body.headers.authorization, "Bearer token");
  assert.equal(body.body, "the body");
});

Deno.test("a function's preflight is its own, and needs no API key", async () => {
  const { status, body } = await call("probe", {
    method: "OPTIONS",
    headers: { "access-control-request-method": "POST" },
  });
  assert.equal(status, 201);
  assert.equal(body.method, "OPTIONS");
});

Deno.test("the client's address is the peer's, whatever the client says; a forwarded list passes as it is", async () => {
  const { body } = await call("probe", {
    headers: { "cf-connecting-ip": "203.0.113.7", "x-forwarded-for": "198.51.100.1, 203.0.113.7" },
  });
  assert.equal(body.headers["cf-connecting-ip"], "127.0.0.1");
  assert.equal(body.headers["x-forwarded-for"], "198.51.100.1, 203.0.113.7");
});

Deno.test("a stack that trusts its client lets it play another network", async () => {
  await using trusting = await startStack({
    databaseUrl: database.url,
    functionsSource: { directory: new URL("functions/", import.meta.url) },
    tickMilliseconds: Infinity,
    trustClientAddress: true,
  });
  const probe = async (headers: Record<string, string>) =>
    (await (await fetch(`${trusting.url}/functions/v1/probe`, { headers })).json())
      .headers["cf-connecting-ip"];
  assert.equal(await probe({ "cf-connecting-ip": "203.0.113.7" }), "203.0.113.7");
  assert.equal(await probe({}), "127.0.0.1");
});

Deno.test("a function sees the platform's variables and the project's secrets, and none of this machine's", async () => {
  const { body: { environment } } = await call("probe");
  assert.deepEqual(Object.keys(environment).sort(), [
    "ADMIN_ASSURANCE_LEVEL",
    "APNS_KEY",
    "APNS_KEY_ID",
    "APNS_SANDBOX_URL",
    "APNS_TEAM_ID",
    "APNS_TOPIC",
    "APNS_URL",
    "APPLE_DEVICE_CHECK_KEY_ID",
    "APPLE_DEVICE_CHECK_PRIVATE_KEY",
    "APPLE_DEVICE_CHECK_URL",
    "APPLE_ID_URL",
    "APPLE_SIGN_IN_KEY_ID",
    "APPLE_SIGN_IN_PRIVATE_KEY",
    "APPLE_TEAM_ID",
    "APP_STORE_API_URL",
    "APP_STORE_APP_ID",
    "APP_STORE_BUNDLE_ID",
    "APP_STORE_ISSUER_ID",
    "APP_STORE_KEY_ID",
    "APP_STORE_PRIVATE_KEY",
    "APP_STORE_ROOT_CERTIFICATE",
    "APP_STORE_SANDBOX_API_URL",
    "ENVIRONMENT",
    "EXTRA",
    "FAL_ACCOUNT_ID",
    "FAL_API_URL",
    "FAL_JWKS_URL",
    "FAL_QUEUE_URL",
    "FAL_RESULT_HOSTS",
    "METRICS_TOKEN",
    "OPENAI_API_KEY",
    "OPENAI_API_URL",
    "OUTBOUND_WEBHOOK_KEY",
    "REPLICATE_API_TOKEN",
    "REPLICATE_API_URL",
    "REPLICATE_RESULT_HOSTS",
    "REPLICATE_WEBHOOK_SECRET",
    "RUNWAY_API_SECRET",
    "RUNWAY_API_URL",
    "RUNWAY_RESULT_HOSTS",
    "SIMULATED_WEB",
    "SUPABASE_JWKS",
    "SUPABASE_PUBLISHABLE_KEYS",
    "SUPABASE_SECRET_KEYS",
    "SUPABASE_URL",
    "WEBHOOK_SECRET",
    "WORKER_KEY",
  ]);
  assert.equal(environment.SUPABASE_URL, stack.url);
  assert.deepEqual(JSON.parse(environment.SUPABASE_SECRET_KEYS), { default: stack.secretKey });
});

Deno.test("a function writes no file", async () => {
  const { status, headers } = await call("probe?do=write");
  assert.equal(status, 500);
  assert.equal(headers.get("sb-error-code"), "WORKER_ERROR");
});

Deno.test("an unknown function is a 404, and so is a folder of shared code", async () => {
  for (const name of ["absent", "_shared", ""]) {
    const { status, body } = await call(name);
    assert.deepEqual([status, body.code], [404, "NOT_FOUND"]);
  }
});

Deno.test("a function that does not start is a 503, says why in the log, and leaves the others alone", async () => {
  const { status, body } = await call("broken");
  assert.deepEqual([status, body.code], [503, "BOOT_ERROR"]);
  assert.match(await Deno.readTextFile(stack.logs.functions), /broken on purpose/);
  assert.equal((await call("probe")).status, 201);
});

/** A server that work in the background calls; each call is answered when the test says so. */
function backgroundTarget() {
  const calls: string[] = [];
  const { promise: go, resolve: release } = Promise.withResolvers<void>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    calls.push(new URL(request.url).pathname);
    await go;
    return new Response();
  });
  const url = `http://127.0.0.1:${server.addr.port}`;
  return { calls, release, url, [Symbol.asyncDispose]: () => server.shutdown() };
}

Deno.test("work handed to waitUntil goes on after the answer", async () => {
  await using target = backgroundTarget();
  assert.equal((await call(`probe?do=background&target=${target.url}`)).status, 202);
  await eventually("the work begins", () => Promise.resolve(target.calls.includes("/begun") || undefined));
  target.release();
  await eventually("the work ends", () => Promise.resolve(target.calls.includes("/done") || undefined));
});

Deno.test("a reload lets the work of the old process end", async () => {
  await using target = backgroundTarget();
  await call(`probe?do=background&target=${target.url}`);
  await eventually("the work begins", () => Promise.resolve(target.calls.includes("/begun") || undefined));
  const { body: { pid: old } } = await call("probe");
  const reloaded = stack.functions.reload();
  await eventually(
    "the new process answers",
    async () => (await call("probe")).body.pid !== old || undefined,
  );
  target.release();
  await reloaded;
  assert.equal(target.calls.at(-1), "/done");
});

Deno.test("a kill ends the work in the background, as a crash does, and a start brings the functions back", async () => {
  await using target = backgroundTarget();
  await call(`probe?do=background&target=${target.url}`);
  await eventually("the work begins", () => Promise.resolve(target.calls.includes("/begun") || undefined));
  await stack.functions.kill();
  target.release();
  await stack.functions.start();
  assert.equal((await call("probe")).status, 201);
  assert.deepEqual(target.calls, ["/begun"]);
});

Deno.test("a request that comes while the functions start again waits for them", async () => {
  await stack.functions.kill();
  const answer = call("probe");
  await stack.functions.start();
  assert.equal((await answer).status, 201);
});

Deno.test("functions whose process crashes are started again", async () => {
  const { status } = await call("probe?do=exit");
  assert.equal(status, 503);
  await eventually("they answer again", async () => (await call("probe")).status === 201 || undefined);
});

Deno.test("a change of a file is served without a restart, no request is lost, and a new function is found", async () => {
  const file = `${functionsDirectory}/probe/index.ts`;
  const text = await Deno.readTextFile(file);
  await Deno.writeTextFile(file, text.replace('"x-probe": "yes"', '"x-probe": "changed"'));
  await eventually("the change is served", async () => {
    const { status, headers } = await call("probe");
    assert.equal(status, 201);
    return headers.get("x-probe") === "changed" || undefined;
  });
  await Deno.mkdir(`${functionsDirectory}/newer`);
  await Deno.writeTextFile(
    `${functionsDirectory}/newer/index.ts`,
    "export default { fetch: () => Response.json({ newer: true }) };",
  );
  await eventually("the new function is served", async () => (await call("newer")).body.newer);
});
