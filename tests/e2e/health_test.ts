/** What the operator's servers are told about the platform, and what the key that the database holds can open. */
import assert from "node:assert/strict";
import { missingParts } from "../../supabase/functions/_shared/ops/contract.ts";
import { HealthResponse } from "../../supabase/functions/health/schema.ts";
import { bodyOf, errorOf } from "./support/answer.ts";
import { type Backend, startBackend } from "./support/backend.ts";

/** What the migrations cannot make without the platform's extensions; the server is new enough, and nothing can be said of a job. */
const missingHere = missingParts.filter((part) =>
  !["postgres_17", "tick_job", "realtime_policy"].includes(part)
);

async function healthOf({ stack, call }: Backend): Promise<HealthResponse> {
  await stack.tick();
  return bodyOf(await call("health", { headers: { apikey: stack.secretKey } }), 200, HealthResponse);
}

Deno.test("the stack of this machine is healthy, and says what its scheduler stands in for", async () => {
  await using backend = await startBackend();
  const { status, checks } = await healthOf(backend);
  assert.equal(status, "healthy", JSON.stringify(checks));
  assert.deepEqual([checks?.platform.ok, checks?.platform.missing], [true, missingHere]);
});

Deno.test("a project that is deployed without them is degraded, and names them", async () => {
  await using backend = await startBackend({ environment: { ENVIRONMENT: "production" } });
  const { status, checks } = await healthOf(backend);
  assert.deepEqual([status, checks?.platform.missing], ["degraded", missingHere]);
});

Deno.test("health does not lie: what nobody can make, whom Apple refuses and whose address is unknown, it says", async () => {
  const cases: Record<string, { environment?: Record<string, string>; sql?: string }> = {
    providers: { sql: "update videos.providers set breaker = 'open', opened_at = now()" },
    apple: { environment: { APPLE_TEAM_ID: "SOMEBODYELSE" } },
    client_address: { environment: { CLIENT_ADDRESS_HEADER: "x-nobody-sends-this" } },
    platform: { environment: { REPLICATE_API_TOKEN: "two words" } },
  };
  for (const [broken, { environment = {}, sql }] of Object.entries(cases)) {
    await using backend = await startBackend({ environment });
    if (sql !== undefined) await backend.database.sql.unsafe(sql);
    const { status, checks } = await healthOf(backend);
    assert.equal(status, "degraded", broken);
    assert(checks);
    for (const [name, { ok }] of Object.entries(checks)) {
      // A provider whose breaker is open is away.
      const isBroken = name === broken || (name === "incidents" && broken === "providers");
      assert.equal(ok, !isBroken, `${name} without ${broken}`);
    }
  }
});

Deno.test("the worker's key wakes the worker, and opens neither another endpoint nor the Data API, Auth or Storage", async () => {
  await using backend = await startBackend();
  const { stack: { url, publishableKey }, keys: { workerKey } } = backend;
  const bearer = { authorization: `Bearer ${workerKey}` };
  const woken = await backend.call("process-jobs", { method: "POST", headers: bearer });
  assert.equal(woken.status, 202);

  await backend.stack.tick();
  assert.deepEqual((await backend.call("health", { headers: bearer })).body, { status: "healthy" });
  for (const headers of [bearer, { apikey: workerKey }, { apikey: publishableKey, ...bearer }]) {
    errorOf(await backend.call("credits", { headers }), "ERR_4005");
  }
  const places = ["/rest/v1/rpc/health", "/storage/v1/bucket", "/auth/v1/admin/users"];
  for (const place of places) {
    for (const headers of [{ apikey: workerKey }, { apikey: publishableKey, ...bearer }]) {
      const method = place.startsWith("/rest") ? "POST" : "GET";
      const response = await fetch(`${url}${place}`, { method, headers });
      await response.body?.cancel();
      assert(response.status >= 400 && response.status < 500, `${place} answered ${response.status}`);
    }
  }
});

Deno.test("with the tick dead, a monitor that knows only the public health is told within a minute and a half", async () => {
  await using backend = await startBackend();
  const monitor = async () => (await backend.call("health")).status;
  await backend.stack.tick();
  assert.equal(await monitor(), 200);
  // Nobody ticks any more. What it asks within 5 seconds of real time is the same answer: another isolate has its own.
  await backend.database.advance(85_000);
  await backend.stack.functions.reload();
  assert.equal(await monitor(), 503);
  await backend.stack.tick();
  await backend.stack.functions.reload();
  assert.equal(await monitor(), 200);
});
