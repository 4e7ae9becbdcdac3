import assert from "node:assert/strict";
import { exportPKCS8, generateKeyPair } from "jose";
import { AppError } from "../_shared/errors/app-error.ts";
import type { EnvironmentVariables } from "../_shared/platform/config.ts";
import type { CallerOf } from "../_shared/endpoint/context.ts";
import { type DatabaseHealth, missingParts } from "../_shared/ops/contract.ts";
import { testConfig } from "../_shared/testing/config.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { fakeDataApi } from "../_shared/testing/data-api.ts";
import { fakeProvider, fakeProviders } from "../_shared/testing/provider.ts";
import { testServer } from "../_shared/testing/server.ts";
import { createTokenIssuer, secretKey } from "../_shared/testing/tokens.ts";
import type { QueryOutcome } from "../_shared/devices/device-check.ts";
import endpoint from "./index.ts";
import { getHealth } from "./service.ts";

const issuer = await createTokenIssuer();
const sound: DatabaseHealth = {
  oldest_due_task_seconds: 0,
  last_tick_seconds: 4,
  missing: [],
  models_without_provider: 0,
  incidents: [],
};

interface Backend {
  database?: () => Promise<DatabaseHealth>;
  storage?: () => Promise<void>;
  providers?: string[];
  environment?: EnvironmentVariables;
  apple?: QueryOutcome;
  network?: string | null;
}

const webhooks = { WEBHOOK_SECRET: "w".repeat(32) };
/** What Apple says of a token that is no device's, where it takes our key. */
const refused: QueryOutcome = { outcome: "refused", cause: "Apple answered 400" };

const away = () => Promise.reject(new AppError("ERR_6001"));
const service: CallerOf["public"] = { kind: "service", keyName: "default" };

/** An isolate before such a backend, and how often each part was asked. */
function isolate(
  { database, storage, providers = ["fal"], environment, apple = refused, network = "192.0.2.1" }: Backend =
    {},
) {
  const asked = { database: 0, storage: 0, apple: 0 };
  const context = testContext("public", {
    network,
    config: testConfig({
      SUPABASE_JWKS: issuer.jwks,
      ENVIRONMENT: "production",
      ...webhooks,
      ...environment,
    }),
    apple: {
      query: () => {
        asked.apple += 1;
        return Promise.resolve(apple);
      },
    },
    ...fakeDatabase({
      health: () => {
        asked.database += 1;
        return database?.() ?? sound;
      },
    }),
    storage: {
      check: () => {
        asked.storage += 1;
        return storage?.() ?? Promise.resolve();
      },
    },
    providers: fakeProviders(...providers.map((name) => fakeProvider({ name }))),
  });
  const ask = (caller: CallerOf["public"] = context.caller) => getHealth(undefined, { ...context, caller });
  return { ask, asked, context };
}

Deno.test("a backend whose parts all work is healthy, and tells strangers nothing else", async () => {
  assert.deepEqual(await isolate().ask(), { status: 200, body: { status: "healthy" } });
});

Deno.test("without the database it is unhealthy, which is 503", async () => {
  assert.deepEqual(await isolate({ database: away }).ask(), { status: 503, body: { status: "unhealthy" } });
});

Deno.test("a tick that has not come for a minute is unhealthy, which a stranger is told, too", async () => {
  for (const [seconds, status] of [[59.9, 200], [60, 503], [90, 503], [1e6, 503]] as const) {
    const answer = await isolate({
      database: () => Promise.resolve({ ...sound, last_tick_seconds: seconds }),
    }).ask();
    assert.deepEqual(answer, { status, body: { status: status === 200 ? "healthy" : "unhealthy" } });
  }
});

Deno.test("without the database nothing is known about the queue, and storage is asked all the same", async () => {
  const { body } = await isolate({ database: away }).ask(service);
  const { database, queue, storage } = body?.checks ?? {};
  assert.deepEqual([database?.ok, queue?.ok, storage?.ok], [false, false, true]);
});

Deno.test("without storage, a worker, a provider or a part of the platform it is degraded, which is 200", async () => {
  const backends: [string, Backend][] = [
    ["storage", { storage: () => Promise.reject(new AppError("ERR_6002")) }],
    ["queue", { database: () => Promise.resolve({ ...sound, oldest_due_task_seconds: 60 }) }],
    ["tick", { database: () => Promise.resolve({ ...sound, last_tick_seconds: null }) }],
    ["incidents", { database: () => Promise.resolve({ ...sound, incidents: ["provider fal"] }) }],
    ["providers", { providers: [] }],
    ["providers", { environment: { WEBHOOK_SECRET: "" } }],
    ["providers", { database: () => Promise.resolve({ ...sound, models_without_provider: 1 }) }],
    ["apple", { apple: { outcome: "unavailable", cause: "Apple answered 401" } }],
    ["client_address", { network: null }],
    ["platform", { environment: { FAL_KEY: "two words" } }],
    ["platform", { database: () => Promise.resolve({ ...sound, missing: ["pg_cron"] }) }],
  ];
  for (const [broken, backend] of backends) {
    const { status, body } = await isolate(backend).ask(service);
    assert.deepEqual([status, body?.status], [200, "degraded"], broken);
    const checks = Object.entries(body?.checks ?? {});
    assert.equal(checks.length, 9);
    for (const [name, { ok }] of checks) assert.equal(ok, name !== broken, `${name} without ${broken}`);
  }
  const waiting = isolate({ database: () => Promise.resolve({ ...sound, oldest_due_task_seconds: 59.9 }) });
  assert.equal((await waiting.ask()).body?.status, "healthy", "a task may wait for a worker");
});

Deno.test("the operator's servers are told each check, how long it took, and the version", async () => {
  const { status, body } = await isolate().ask(service);
  assert.deepEqual([status, body?.status, body?.version], [200, "healthy", "local"]);
  for (const { duration_ms } of Object.values(body?.checks ?? {})) {
    assert(Number.isInteger(duration_ms) && duration_ms >= 0);
  }
});

Deno.test("a part that fails is named in the log", async () => {
  const { ask, context } = isolate({ database: away });
  await ask();
  const failure = context.lines.find(({ event }) => event === "health_check_failed");
  assert.deepEqual([failure?.level, failure?.check], ["warn", "database"]);
});

Deno.test("the operator's servers are told when the platform does not expose `api`, strangers only that it is unhealthy", async () => {
  const { fetch } = fakeDataApi(
    { health: () => Response.json({ code: "PGRST106", message: "Invalid schema: api" }, { status: 406 }) },
    () => Promise.resolve(Response.json({ id: "videos" })),
  );
  const server = await testServer(endpoint.operations, {}, { fetch });
  const operator = await server.send({ path: "health", as: "nobody", headers: { apikey: secretKey } });
  const { status, checks } = await operator.json();
  assert.deepEqual([operator.status, status], [503, "unhealthy"]);
  assert.deepEqual([checks.database.ok, checks.database.reason], [false, "schema_not_exposed"]);
  assert.equal("reason" in checks.storage, false);
  const stranger = await server.send({ path: "health", as: "nobody" });
  assert.deepEqual(await stranger.json(), { status: "unhealthy" });
  const failure = server.lines.find(({ event, check }) =>
    event === "health_check_failed" && check === "database"
  );
  assert.match(JSON.stringify(failure), /does not expose the schema/);
});

Deno.test("whoever asks within 5 seconds shares one answer, strangers and servers alike", async () => {
  let isAway = false;
  const { ask, asked, context } = isolate({
    database: () => isAway ? away() : Promise.resolve(sound),
  });
  await ask();
  isAway = true;
  context.clock.advance(4_999);
  const { body } = await ask(service);
  assert.deepEqual([body?.status, body?.checks?.database.ok], ["healthy", true]);
  assert.deepEqual(asked, { database: 1, storage: 1, apple: 1 });
  context.clock.advance(1);
  assert.equal((await ask()).status, 503);
  assert.deepEqual(asked, { database: 2, storage: 2, apple: 1 });
  context.clock.advance(55_000);
  await ask();
  assert.equal(asked.apple, 2, "Apple is asked once a minute");
});

Deno.test("the client's address is each request's own, whoever shares the rest", async () => {
  const { ask, context } = isolate({ network: null });
  assert.equal((await ask()).body?.status, "degraded");
  const { body } = await getHealth(undefined, { ...context, network: "192.0.2.1" });
  assert.equal(body?.status, "healthy");
});

Deno.test("a variable that is bad is named to a secret key, without its value", async () => {
  const { body } = await isolate({ environment: { RUNWAY_API_SECRET: "canary words" } }).ask(service);
  assert.equal(body?.checks?.platform.invalid?.length, 1);
  assert.match(body?.checks?.platform.invalid?.[0] ?? "", /^RUNWAY_API_SECRET must /);
  assert(!JSON.stringify(body).includes("canary"));
});

Deno.test("many at once cost one examination", async () => {
  const { ask, asked } = isolate();
  await Promise.all(Array.from({ length: 20 }, () => ask()));
  assert.deepEqual(asked, { database: 1, storage: 1, apple: 1 });
});

async function appleKeys(): Promise<EnvironmentVariables> {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  return {
    APPLE_TEAM_ID: "TEAM123456",
    APPLE_DEVICE_CHECK_KEY_ID: "KEY1234567",
    APPLE_DEVICE_CHECK_PRIVATE_KEY: await exportPKCS8(privateKey),
  };
}

Deno.test("GET health needs no credentials; a secret key gets the checks, a wrong key nothing", async () => {
  const { fetch } = fakeDataApi(
    { health: () => ({ data: sound }) },
    (input) =>
      Promise.resolve(
        String(input).includes("devicecheck")
          ? new Response("Missing or badly formatted device token payload", { status: 400 })
          : Response.json({ id: "videos" }),
      ),
  );
  const environment = {
    ...webhooks,
    FAL_KEY: "id:secret",
    FAL_ACCOUNT_ID: "user_1",
    DENO_DEPLOYMENT_ID: "health_1",
    ...await appleKeys(),
  };
  const server = await testServer(endpoint.operations, environment, { fetch });
  const address = { "CF-Connecting-IP": "192.0.2.1" };
  const stranger = await server.send({ path: "health", as: "nobody", headers: address });
  assert.deepEqual([stranger.status, await stranger.json()], [200, { status: "healthy" }]);
  assert.equal(stranger.headers.get("cache-control"), "no-store");
  const operator = await server.send({
    path: "health",
    as: "nobody",
    headers: { ...address, apikey: secretKey },
  });
  const { checks, version } = await operator.json();
  assert.deepEqual(Object.keys(checks), [
    ...[
      "database",
      "storage",
      "tick",
      "incidents",
      "queue",
      "providers",
      "apple",
      "client_address",
      "platform",
    ],
  ]);
  assert.deepEqual([checks.platform.ok, checks.platform.missing], [true, []]);
  assert.equal(version, "health_1");
  const wrong = await server.send({ path: "health", as: "nobody", headers: { apikey: "sb_secret_wrong" } });
  assert.equal(wrong.status, 401);
  assert.deepEqual(server.lines.map(({ data_api_calls }) => data_api_calls), [1, 0, 0]);
});

Deno.test("each part of the platform that is missing is told to a secret key, and degrades what is deployed", async () => {
  for (const part of missingParts) {
    const { ask } = isolate({ database: () => Promise.resolve({ ...sound, missing: [part] }) });
    const { body } = await ask(service);
    assert.equal(body?.status, "degraded", part);
    assert.deepEqual([body?.checks?.platform.ok, body?.checks?.platform.missing], [false, [part]]);
    assert.deepEqual((await ask()).body, { status: "degraded" }, "strangers learn nothing of it");
  }
});

Deno.test("on a developer's machine what the stack's scheduler stands in for is told, and does no harm", async () => {
  const harmful = ["postgres_17", "realtime_policy"] as const;
  const missing = missingParts.filter((part) => !harmful.some((name) => name === part));
  for (const ENVIRONMENT of ["local", "test"]) {
    const local = isolate({
      environment: { ENVIRONMENT },
      database: () => Promise.resolve({ ...sound, missing }),
    });
    const { body } = await local.ask(service);
    assert.equal(body?.status, "healthy", ENVIRONMENT);
    assert.deepEqual(body?.checks?.platform.missing, missing);
  }
  for (const part of harmful) {
    const local = isolate({
      environment: { ENVIRONMENT: "local" },
      database: () => Promise.resolve({ ...sound, missing: [part] }),
    });
    assert.equal((await local.ask()).body?.status, "degraded", part);
  }
});

Deno.test("keys with which a reader of them could sign, and no others, are a part that is missing", async () => {
  const shared = { kty: "oct", kid: "shared", alg: "HS256", k: "c2hhcmVk" };
  const [own] = JSON.parse(issuer.jwks).keys;
  const cases: [unknown[], string[]][] = [[[shared], ["signing_key"]], [[shared, own], []], [[own], []]];
  for (const [keys, missing] of cases) {
    const { body } = await isolate({ environment: { SUPABASE_JWKS: JSON.stringify({ keys }) } }).ask(service);
    assert.deepEqual(body?.checks?.platform.missing, missing);
    assert.equal(body?.status, missing.length === 0 ? "healthy" : "degraded");
  }
});

Deno.test("without the database what it misses is not known, and the platform is not said to be right", async () => {
  const { body } = await isolate({ database: away }).ask(service);
  assert.deepEqual([body?.checks?.platform.ok, body?.checks?.platform.missing], [false, []]);
});
